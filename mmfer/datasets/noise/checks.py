"""Checks of the arguments of label noise: rates, seeds, labels and mappings."""

import operator
from collections.abc import Mapping
from typing import Dict, List, Optional, Sequence, Union

import numpy as np
from numpy.typing import ArrayLike

from mmfer.utils.checks import in_range, whole_number

ClassMapping = Union[Mapping[int, int], Sequence[Sequence[int]]]
"""Map from source class to target class, as a dict or as pairs."""


def check_rate(rate: float, name: str = 'rate') -> float:
    """Check a noise rate and return it as a float.

    Args:
        rate (float): Share of samples in [0, 1).
        name (str): Name of the argument, for the message.

    Raises:
        ValueError: The rate is not a number in [0, 1).
    """
    hint = (
        'It is the share of samples that the noise may change, and some samples '
        f'must stay unchanged. For 30 % write {name}=0.3.'
    )
    return float(in_range('', name, rate, 0, 1, open_high=True, hint=hint))


def check_seed(seed: int) -> int:
    """Check the seed of a noise generator and return it as an int.

    Args:
        seed (int): At least 0.

    Raises:
        ValueError: The seed is negative or not an integer.
    """
    hint = 'Without a fixed seed the noise cannot be reproduced.'
    return int(whole_number('', 'seed', seed, 0, hint=hint))


def check_labels(labels: ArrayLike, num_classes: int) -> np.ndarray:
    """Check labels and return them as a new int64 array.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes, at least 2.

    Returns:
        np.ndarray: Copy of the labels, int64 (N,).

    Raises:
        ValueError: There are fewer than two classes; or labels are not
            one-dimensional, not integers, or outside 0..num_classes - 1.
    """
    hint = (
        'With a single class there is no wrong label. Give the number of '
        'classes of the data set.'
    )
    whole_number('label noise', 'num_classes', num_classes, 2, hint=hint)
    array = np.asarray(labels)
    if array.dtype.kind not in 'iu':
        raise ValueError(
            f'labels have dtype {array.dtype}, not an integer type, but noise '
            'is defined on class indices. Convert them, e.g. '
            'labels.astype(np.int64), or take the arg-max of soft labels.'
        )
    if array.ndim != 1:
        raise ValueError(
            f'labels have shape {array.shape}, not (N,), but noise is defined '
            'on one class index per sample. Pass one label set at a time.'
        )
    wrong = np.flatnonzero((array < 0) | (array >= num_classes))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(
            f'{wrong.size} labels are outside 0..{num_classes - 1}, the '
            f'first is labels[{first}]={int(array[first])}. Subtract 1 from '
            '1-based labels, drop samples without a label, or correct '
            f'num_classes={num_classes}.'
        )
    return array.astype(np.int64)


def check_mapping(
    mapping: ClassMapping, num_classes: Optional[int] = None
) -> Dict[int, int]:
    """Check a class mapping and return it as a plain dict.

    Args:
        mapping (dict or Sequence[tuple[int, int]]): For each source class,
            the target class, which its wrong labels name; as a dict or as
            pairs.
        num_classes (int, optional): If given, both classes of each pair must
            be below it.

    Raises:
        ValueError: There is no pair; a pair does not consist of two
            integers; a source class appears twice; a class is mapped to
            itself; or a class is outside 0..num_classes - 1.
    """
    given = mapping.items() if isinstance(mapping, Mapping) else mapping
    try:
        pairs = [(operator.index(s), operator.index(d)) for s, d in given]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'mapping={mapping!r} does not map class indices to class '
            'indices. Write integers, e.g. mapping={3: 5, 5: 3}.'
        ) from error
    if not pairs:
        raise ValueError(
            'mapping is empty, so no label would change. Name at least one '
            'class, e.g. mapping={3: 5}, or remove label_noise.'
        )
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError(
            f'mapping={mapping!r} names a source class twice. Use '
            'ClassDependentNoise with a transition matrix for more than one '
            'target per class.'
        )
    for source, target in pairs:
        if source == target:
            raise ValueError(
                f'mapping sends class {source} to itself, which changes no '
                'label. Remove that class; classes that are not mapped keep '
                'their labels.'
            )
        for label in (source, target):
            if label < 0 or num_classes is not None and label >= num_classes:
                last = 'C - 1' if num_classes is None else num_classes - 1
                raise ValueError(
                    f'mapping {source} -> {target}: class {label} is outside '
                    f'0..{last}. Class indices are 0-based; correct the '
                    'mapping or num_classes.'
                )
    return result


def check_rates(
    rates: Sequence[float], num_classes: Optional[int] = None
) -> List[float]:
    """Check one noise rate per class and return them as a list of floats.

    Args:
        rates (Sequence[float]): (C,), each in [0, 1).
        num_classes (int, optional): If given, C must be equal to it.

    Raises:
        ValueError: A rate is outside [0, 1), or their number is wrong.
    """
    rates = [check_rate(r, f'rates[{i}]') for i, r in enumerate(rates)]
    if num_classes is not None and len(rates) != num_classes:
        raise ValueError(
            f'rates has {len(rates)} entries for {num_classes} classes, but '
            'every class needs one. Write 0 for the classes that stay clean.'
        )
    return rates


def check_transition(
    transition: Sequence[Sequence[float]], rates: Sequence[float]
) -> np.ndarray:
    """Check a transition matrix and remove its diagonal.

    Args:
        transition (array-like): (C, C), each row sums to 1. The row is the
            class before the noise, the column the class after it.
        rates (Sequence[float]): (C,), the share of each class that changes.

    Returns:
        np.ndarray: float64 (C, C), probability of each new class for a
        changed label. The diagonal is zero and the rest of each row is
        scaled to sum 1. A row is all zeros where the rate is 0 and the given
        row has its whole mass on the diagonal.

    Raises:
        ValueError: The shape is wrong; an entry is negative or not finite; a
            row does not sum to 1; or a class has a rate above 0 and no other
            class to change to.
    """
    try:
        matrix = np.array(transition, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            'transition is not a matrix of numbers. Give a list of '
            f'{len(rates)} rows of {len(rates)} numbers.'
        ) from error
    if matrix.shape != (len(rates), len(rates)):
        raise ValueError(
            f'transition has shape {matrix.shape}, but {len(rates)} '
            f'classes need ({len(rates)}, {len(rates)}). Give one row and '
            'one column for each class.'
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError(
            'transition has negative or not finite entries, but its entries '
            'are probabilities. Correct them; each row must sum to 1.'
        )
    sums = matrix.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > 1e-6)
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f'row {row} of transition sums to {sums[row]:.6g}, not 1. '
            'Divide each row by its sum; a confusion matrix of counts has to '
            'be normalised first.'
        )
    np.fill_diagonal(matrix, 0)
    left = matrix.sum(axis=1, keepdims=True)
    for label, rate in enumerate(rates):
        if rate > 0 and left[label, 0] <= 0:
            raise ValueError(
                f'class {label} has rates[{label}]={rate} but row {label} of '
                'transition names no other class to change to. Set that '
                'rate to 0 or spread the row over other classes.'
            )
    return np.divide(matrix, left, out=np.zeros_like(matrix), where=left > 0)
