"""Making labels wrong, on purpose and reproducibly.

'30 % noise' means different things in different papers, so every definition
is a generator with a name of its own. The first half of this module is pure:
labels and a random generator in, new labels out. The second half wraps each
function in a small class that a data-set config names::

    label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0)

| generator | how many | new label | used by |
|---|---|---|---|
| `SymmetricNoise` | exact share | one of the others | RUL, ReSup, ALUM |
| `UniformNoise` | exact share | any, own class included | |
| `PairNoise` | exact share per class | the next class | |
| `AsymmetricNoise` | exact share per class | a given class | CIFAR-10 |
| `ClassDependentNoise` | a share for each class | others | ReSup |
| `BernoulliSymmetricNoise` | by chance, per sample | others | JoCoR code |
| `BernoulliUniformNoise` | by chance, per sample | any | noisyFER code |
"""

import copy
import hashlib
import numbers
import operator
import platform
import random
import zlib
from collections.abc import Mapping
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from mmfer.registry import TASK_UTILS

ClassMapping = Union[Dict[int, int], Sequence[Tuple[int, int]]]

CIFAR10_CONFUSIONS = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}
"""Asymmetric noise of CIFAR-10 (as in JoCoR's code): truck to automobile,
bird to airplane, cat to dog and back, deer to horse."""


# Checks, shared by the functions and the classes.


def check_rate(rate: float, name: str = 'rate') -> float:
    """Return a noise rate as a float, or say what is wrong with it.

    Args:
        rate (float): A share of samples in [0, 1).
        name (str): What the message calls it.

    Raises:
        ValueError: It is no number or not in [0, 1).
    """
    if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
        raise ValueError(
            f'{name}={rate!r} is not a number in [0, 1): it is the share of '
            'samples to pick, and some have to stay as they are. For 30 % '
            f'write {name}=0.3.'
        )
    return float(rate)


def check_seed(seed: int) -> int:
    """Return a seed as an int, or say what is wrong with it.

    Raises:
        ValueError: It is not an integer, or negative.
    """
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(
            f'seed={seed!r} is not an integer of at least 0: without a fixed '
            'seed the noise could not be made again. Give one, e.g. seed=0.'
        )
    return int(seed)


def check_labels(labels: Sequence[int], num_classes: int) -> np.ndarray:
    """Return labels as a new int64 array, or say what is wrong with them.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes, at least 2.

    Returns:
        np.ndarray: int64, (N,), a copy.

    Raises:
        ValueError: Fewer than two classes; labels that are not one-
            dimensional, not integers, or outside 0..num_classes - 1.
    """
    if not isinstance(num_classes, numbers.Integral) or num_classes < 2:
        raise ValueError(
            f'num_classes={num_classes!r}: label noise needs at least two '
            'classes, there is no wrong label otherwise. Give the number of '
            'classes of the data set.'
        )
    labels = np.asarray(labels)
    if labels.dtype.kind not in 'iu':
        raise ValueError(
            f'labels have dtype {labels.dtype}, not an integer type: noise '
            'is defined on class indices. Convert them, e.g. '
            'labels.astype(np.int64), or take the arg-max of soft labels.'
        )
    if labels.ndim != 1:
        raise ValueError(
            f'labels have shape {labels.shape}, not (N,): noise is defined '
            'on one class index per sample. Pass one label set at a time.'
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(
            f'{wrong.size} labels are outside 0..{num_classes - 1}, the '
            f'first is labels[{first}]={int(labels[first])}. Subtract 1 from '
            '1-based labels, drop samples without a label, or correct '
            f'num_classes={num_classes}.'
        )
    return labels.astype(np.int64)


def check_mapping(
    mapping: ClassMapping, num_classes: Optional[int] = None
) -> Dict[int, int]:
    """Return a class mapping as a plain dict, or say what is wrong with it.

    Args:
        mapping (dict or Sequence[tuple[int, int]]): Source class to the
            class its wrong labels name, as a dict or as pairs.
        num_classes (int, optional): If given, both must be below it.

    Raises:
        ValueError: No entry, an entry that is not a pair of integers, a
            source that appears twice, a class mapped to itself, or one
            outside 0..num_classes - 1.
    """
    pairs = mapping.items() if isinstance(mapping, Mapping) else mapping
    try:
        pairs = [(operator.index(s), operator.index(d)) for s, d in pairs]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'mapping={mapping!r} does not map class indices to class '
            'indices. Write integers, e.g. mapping={3: 5, 5: 3}.'
        ) from error
    if not pairs:
        raise ValueError(
            'mapping is empty, so no label would change. Name at least one '
            'class, e.g. mapping={3: 5}, or leave the label noise out.'
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
                f'mapping sends class {source} to itself, which is no '
                'noise. Leave that class out: unmapped classes stay as they '
                'are.'
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
    """Return rates per class as a list of floats, each in [0, 1).

    Raises:
        ValueError: A rate outside [0, 1), or not one for each class.
    """
    rates = [check_rate(r, f'rates[{i}]') for i, r in enumerate(rates)]
    if num_classes is not None and len(rates) != num_classes:
        raise ValueError(
            f'rates has {len(rates)} entries for {num_classes} classes: '
            'every class needs its own. Write 0 for the classes that stay '
            'clean.'
        )
    return rates


def check_transition(
    transition: Sequence[Sequence[float]], rates: Sequence[float]
) -> np.ndarray:
    """Return where the changed labels of each class go.

    Args:
        transition (array-like): (C, C), row-stochastic; row: given class,
            column: new class.
        rates (Sequence[float]): (C,), the share of each class to change.

    Returns:
        np.ndarray: float64, (C, C), the diagonal set to zero and the rest
        of each row scaled to sum 1 (a row of zeros where the rate is 0 and
        nothing is left beside the diagonal).

    Raises:
        ValueError: Wrong shape, negative or not finite entries, a row that
            does not sum to 1, or a class to be changed that has nowhere to
            go.
    """
    try:
        transition = np.array(transition, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            'transition is not a matrix of numbers. Give a list of '
            f'{len(rates)} rows of {len(rates)} numbers.'
        ) from error
    if transition.shape != (len(rates), len(rates)):
        raise ValueError(
            f'transition has shape {transition.shape}, but {len(rates)} '
            f'classes need ({len(rates)}, {len(rates)}). Give one row and '
            'one column for each class.'
        )
    if not np.isfinite(transition).all() or (transition < 0).any():
        raise ValueError(
            'transition has negative or not finite entries, but they are '
            'probabilities. Correct them; each row sums to 1.'
        )
    sums = transition.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > 1e-6)
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f'row {row} of transition sums to {sums[row]:.6g}, not 1. '
            'Divide each row by its sum; counts of a confusion matrix are '
            'not probabilities yet.'
        )
    np.fill_diagonal(transition, 0)
    left = transition.sum(axis=1, keepdims=True)
    for label, rate in enumerate(rates):
        if rate > 0 and left[label, 0] <= 0:
            raise ValueError(
                f'class {label} has rates[{label}]={rate} but row {label} of '
                'transition names no other class to change to. Set that '
                'rate to 0 or spread the row over other classes.'
            )
    return np.divide(transition, left, out=np.zeros_like(transition), where=left > 0)


# The noise itself: labels and a random generator in, new labels out.


def _share(rate: float, count: int) -> int:
    """Number of samples that is the given share (halves to even)."""
    return int(round(rate * count))


def _rows_by_class(labels: np.ndarray, num_classes: int) -> List[np.ndarray]:
    """Row numbers of each class, ascending: a list of C int64 arrays."""
    # One sort instead of C scans: also fast for many classes.
    order = np.argsort(labels, kind='stable')
    ends = np.cumsum(np.bincount(labels, minlength=num_classes))
    return np.split(order, ends[:-1])


def symmetric_noise(
    labels: Sequence[int], num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Exactly ``round(rate * N)`` samples get one of the *other* classes.

    The samples are drawn uniformly without replacement, the new label
    uniformly from the C - 1 other classes, so the share of wrong labels is
    the rate. This is what ReSup, ALUM and GAAVE call symmetric noise.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes C, at least 2.
        rate (float): Share of samples in [0, 1).
        rng (np.random.Generator): Where all draws come from.

    Returns:
        np.ndarray: int64, (N,). The input is not modified.

    Raises:
        ValueError: See :func:`check_labels` and :func:`check_rate`.
    """
    noisy = check_labels(labels, num_classes)
    count = _share(check_rate(rate), noisy.size)
    picked = rng.choice(noisy.size, size=count, replace=False)
    shift = rng.integers(1, num_classes, size=count)
    noisy[picked] = (noisy[picked] + shift) % num_classes
    return noisy


def uniform_noise(
    labels: Sequence[int], num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Exactly ``round(rate * N)`` samples get a class out of *all*.

    A picked sample keeps its own label with probability 1 / C, so the
    expected share of wrong labels is ``rate * (C - 1) / C``.

    Args, returns and errors as :func:`symmetric_noise`.
    """
    noisy = check_labels(labels, num_classes)
    count = _share(check_rate(rate), noisy.size)
    picked = rng.choice(noisy.size, size=count, replace=False)
    noisy[picked] = rng.integers(0, num_classes, size=count)
    return noisy


def asymmetric_noise(
    labels: Sequence[int],
    num_classes: int,
    rate: float,
    mapping: ClassMapping,
    rng: np.random.Generator,
) -> np.ndarray:
    """Exactly ``round(rate * N_c)`` samples of each mapped class change.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes C, at least 2.
        rate (float): Share of each mapped class in [0, 1).
        mapping (dict): Source class to the class its wrong labels name.
            Classes that are no source stay as they are. For CIFAR-10:
            ``CIFAR10_CONFUSIONS``.
        rng (np.random.Generator): Where all draws come from.

    Returns:
        np.ndarray: int64, (N,). The input is not modified.

    Raises:
        ValueError: See :func:`check_labels`, :func:`check_rate` and
            :func:`check_mapping`.
    """
    noisy = check_labels(labels, num_classes)
    rate = check_rate(rate)
    mapping = check_mapping(mapping, num_classes)
    rows = _rows_by_class(noisy, num_classes)
    # Ascending, so that the order of a dict in a config changes nothing.
    for source in sorted(mapping):
        count = _share(rate, rows[source].size)
        picked = rng.choice(rows[source], size=count, replace=False)
        noisy[picked] = mapping[source]
    return noisy


def pair_noise(
    labels: Sequence[int], num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Exactly ``round(rate * N_c)`` samples of each class c get (c + 1) % C.

    Args, returns and errors as :func:`symmetric_noise`.
    """
    labels = check_labels(labels, num_classes)
    following = {c: (c + 1) % num_classes for c in range(num_classes)}
    return asymmetric_noise(labels, num_classes, rate, following, rng)


def class_dependent_noise(
    labels: Sequence[int],
    num_classes: int,
    rates: Sequence[float],
    rng: np.random.Generator,
    transition: Optional[Sequence[Sequence[float]]] = None,
) -> np.ndarray:
    """Exactly ``round(rates[c] * N_c)`` samples of each class c change.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes C, at least 2.
        rates (Sequence[float]): (C,), the share of each class in [0, 1).
        rng (np.random.Generator): Where all draws come from.
        transition (array-like, optional): (C, C), row-stochastic: row c
            says where the changed labels of class c go. **Its diagonal is
            ignored** and the rest of the row scaled to sum 1, because
            ``rates`` alone say how many change; so the row-normalised
            confusion matrix of a model or an annotator can be given as it
            is. None: uniformly to the other classes.

    Returns:
        np.ndarray: int64, (N,). The input is not modified.

    Raises:
        ValueError: See :func:`check_labels`, :func:`check_rates` and
            :func:`check_transition`.
    """
    noisy = check_labels(labels, num_classes)
    rates = check_rates(rates, num_classes)
    if transition is not None:
        transition = check_transition(transition, rates)
    for label, rows in enumerate(_rows_by_class(noisy, num_classes)):
        count = _share(rates[label], rows.size)
        picked = rng.choice(rows, size=count, replace=False)
        if transition is None:
            shift = rng.integers(1, num_classes, size=count)
            noisy[picked] = (label + shift) % num_classes
        elif count:
            noisy[picked] = rng.choice(num_classes, size=count, p=transition[label])
    return noisy


def bernoulli_symmetric_noise(
    labels: Sequence[int], num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Each sample gets, with probability ``rate``, one of the other classes.

    The number of wrong labels varies from seed to seed. JoCoR's code draws
    its symmetric noise like this, sample by sample (with other random
    numbers).

    Args, returns and errors as :func:`symmetric_noise`.
    """
    noisy = check_labels(labels, num_classes)
    changed = rng.random(noisy.size) < check_rate(rate)
    # One draw for every sample: no sample's label hangs on the others'.
    shift = rng.integers(1, num_classes, size=noisy.size)
    return np.where(changed, (noisy + shift) % num_classes, noisy)


def bernoulli_uniform_noise(
    labels: Sequence[int], num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Each sample gets, with probability ``rate``, a class out of all.

    The expected share of wrong labels is ``rate * (C - 1) / C``.

    Args, returns and errors as :func:`symmetric_noise`.
    """
    noisy = check_labels(labels, num_classes)
    changed = rng.random(noisy.size) < check_rate(rate)
    drawn = rng.integers(0, num_classes, size=noisy.size)
    return np.where(changed, drawn, noisy)


def official_bernoulli_uniform_noise(
    labels: Sequence[int], num_classes: int, rate: float, rng: random.Random
) -> np.ndarray:
    """The joint GAN's CIFAR-10 noise with the draws of the noisyFER code.

    For each sample in order one uniform number in [0, 1); if it is below
    ``rate``, an integer in 0..C - 1, own class included. That code makes
    the sets of 20, 30 and 40 % one after the other from one generator that
    it seeds once with 100: pass the same ``rng`` to three calls.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1, in the
            order of the original training batches.
        num_classes (int): Number of classes C, at least 2.
        rate (float): Probability in [0, 1).
        rng (random.Random): Python's generator, not NumPy's; advanced.

    Returns:
        np.ndarray: int64, (N,). The input is not modified.

    Raises:
        ValueError: See :func:`check_labels` and :func:`check_rate`.
    """
    noisy = check_labels(labels, num_classes)
    rate = check_rate(rate)
    for i in range(noisy.size):
        if rng.random() < rate:
            noisy[i] = rng.randint(0, num_classes - 1)
    return noisy


def majority_vote(sets: np.ndarray, num_classes: int) -> np.ndarray:
    """What most annotators say.

    Args:
        sets (np.ndarray): Labels of T annotators, int64 (N, T).
        num_classes (int): Number of classes.

    Returns:
        np.ndarray: int64 (N, ). Of equally frequent labels, that of the
        first annotator who gave one of them.
    """
    votes = np.stack([(sets == c).sum(axis=1) for c in range(num_classes)], axis=1)
    own = np.take_along_axis(votes, sets, axis=1)
    first = own.argmax(axis=1)
    return np.take_along_axis(sets, first[:, None], axis=1)[:, 0]


def labels_sha256(labels: Sequence[int]) -> str:
    """Sha256 of labels, as hex; independent of machine and input dtype.

    Args:
        labels (array-like): Integers; hashed as int64 little-endian bytes.
    """
    labels = np.ascontiguousarray(labels, dtype='<i8')
    return hashlib.sha256(labels.tobytes()).hexdigest()


# What a config names.


class LabelNoise:
    """Base of the label-noise generators: labels in, noisy labels out.

    All draws come from a generator of this object's own, seeded by ``seed``
    and the name of the class: global random states are neither read nor
    changed, every call with the same labels gives the same result, and two
    different generators with one seed do not share draws.

    One generator with one seed but two rates *does* share draws: the
    samples picked at the smaller rate are mostly, or all, picked at the
    larger one too. Give each of several label sets for one data set (as
    the joint GAN needs them) a seed of its own.

    A subclass sets ``self.parameters`` to a dict of plain JSON types with
    which it can be built again (without the seed), and implements
    :meth:`corrupt`.

    Args:
        seed (int): At least 0. Default: 0.

    Raises:
        ValueError: ``seed`` is negative or no integer.
    """

    parameters: dict = {}

    def __init__(self, seed: int = 0) -> None:
        self.seed = check_seed(seed)

    @property
    def name(self) -> str:
        """str: Name of the generator, as a config gives it."""
        return type(self).__name__

    @property
    def requested_rate(self) -> Union[float, List[float]]:
        """float or list[float]: The rate asked for (one or per class)."""
        return self.parameters.get('rate')

    def annotate(self, labels: Sequence[int], num_classes: int) -> Optional[np.ndarray]:
        """Label sets of several annotators, int64 (N, T); None of one."""
        return None

    def make_rng(self) -> np.random.Generator:
        """A fresh ``np.random.Generator``, the same at every call."""
        entropy = [self.seed, zlib.crc32(self.name.encode())]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        """Noisy int64 labels from checked ones, for subclasses."""
        raise NotImplementedError

    def __call__(self, labels: Sequence[int], num_classes: int) -> np.ndarray:
        """Make labels noisy.

        Args:
            labels (array-like): (N,) integers in 0..num_classes - 1. Not
                modified.
            num_classes (int): Number of classes, at least 2.

        Returns:
            np.ndarray: int64, (N,), a new array.

        Raises:
            ValueError: Labels, number of classes and parameters do not fit
                together.
        """
        return self.corrupt(check_labels(labels, num_classes), num_classes)

    def manifest(self, clean: Sequence[int], noisy: Sequence[int]) -> dict:
        """What to write down so that the labels can be made and checked.

        Args:
            clean (array-like): (N,) the labels that were given.
            noisy (array-like): (N,) the labels that came out.

        Returns:
            dict: Plain JSON types: ``generator``, ``parameters``, ``seed``,
            ``requested_rate``, ``num_samples``, ``num_changed``,
            ``changed_share`` in [0, 1] (0 for no samples),
            ``noisy_sha256`` and ``given_sha256`` (see
            :func:`labels_sha256`), ``numpy_version`` and
            ``python_version`` (the draws are only promised to be the same
            under the same versions; the hashes tell).

        Raises:
            ValueError: The two have different shapes.
        """
        clean, noisy = np.asarray(clean), np.asarray(noisy)
        if clean.shape != noisy.shape:
            raise ValueError(
                f'clean labels have shape {clean.shape} and noisy ones '
                f'{noisy.shape}: a manifest compares them row by row. Pass '
                'the two ends of one call.'
            )
        changed = int(np.count_nonzero(clean != noisy))
        return dict(
            generator=self.name,
            parameters=copy.deepcopy(self.parameters),
            seed=self.seed,
            requested_rate=copy.copy(self.requested_rate),
            num_samples=int(clean.size),
            num_changed=changed,
            changed_share=changed / max(clean.size, 1),
            noisy_sha256=labels_sha256(noisy),
            given_sha256=labels_sha256(clean),
            numpy_version=np.__version__,
            python_version=platform.python_version(),
        )

    def __repr__(self) -> str:
        given = [f'{k}={v!r}' for k, v in self.parameters.items()]
        return f'{self.name}({", ".join([*given, f"seed={self.seed}"])})'


@TASK_UTILS.register_module()
class SymmetricNoise(LabelNoise):
    """An exact share of labels becomes one of the *other* classes.

    See :func:`symmetric_noise`.

    Args:
        rate (float): Share of samples in [0, 1).
        seed (int): At least 0. Default: 0.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self.parameters = dict(rate=check_rate(rate))

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return symmetric_noise(
            labels, num_classes, rng=self.make_rng(), **self.parameters
        )


@TASK_UTILS.register_module()
class UniformNoise(LabelNoise):
    """An exact share of labels is drawn anew from *all* classes.

    See :func:`uniform_noise`.

    Args:
        rate (float): Share of samples in [0, 1).
        seed (int): At least 0. Default: 0.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self.parameters = dict(rate=check_rate(rate))

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return uniform_noise(
            labels, num_classes, rng=self.make_rng(), **self.parameters
        )


@TASK_UTILS.register_module()
class PairNoise(LabelNoise):
    """An exact share of each class c becomes class (c + 1) % C.

    See :func:`pair_noise`.

    Args:
        rate (float): Share of each class in [0, 1).
        seed (int): At least 0. Default: 0.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self.parameters = dict(rate=check_rate(rate))

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return pair_noise(labels, num_classes, rng=self.make_rng(), **self.parameters)


@TASK_UTILS.register_module()
class AsymmetricNoise(LabelNoise):
    """An exact share of each mapped class becomes the class it maps to.

    See :func:`asymmetric_noise`. CIFAR-10 (truck to automobile, bird to
    airplane, cat to dog and back, deer to horse)::

        dict(type='AsymmetricNoise', rate=0.4,
             mapping={9: 1, 2: 0, 3: 5, 5: 3, 4: 7})

    JoCoR's code, which this mapping is from, draws per sample; here the
    share is exact.

    Args:
        rate (float): Share of each mapped class in [0, 1).
        mapping (dict or Sequence[tuple[int, int]]): Source class to target
            class, as a dict or as pairs. Other classes stay as they are.
        seed (int): At least 0. Default: 0.
    """

    def __init__(self, rate: float, mapping: ClassMapping, seed: int = 0) -> None:
        super().__init__(seed)
        # Pairs, because JSON would turn the keys of a dict into strings.
        pairs = sorted(check_mapping(mapping).items())
        self.parameters = dict(rate=check_rate(rate), mapping=[list(p) for p in pairs])

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return asymmetric_noise(
            labels, num_classes, rng=self.make_rng(), **self.parameters
        )


@TASK_UTILS.register_module()
class ClassDependentNoise(LabelNoise):
    """Each class has its own exact share of wrong labels.

    See :func:`class_dependent_noise`. The rates that ReSup's class-dependent
    RAF-DB list shows, in RAF-DB's order (surprise, fear, disgust,
    happiness, sadness, anger, neutral)::

        dict(type='ClassDependentNoise',
             rates=[0.1, 0.5, 0.3, 0., 0.4, 0.2, 0.])

    Args:
        rates (Sequence[float]): (C,), the share of each class in [0, 1).
        seed (int): At least 0. Default: 0.
        transition (Sequence[Sequence[float]], optional): (C, C),
            row-stochastic, where the changed labels of a class go; the
            diagonal is ignored and the rest of the row scaled to sum 1.
            None (default): uniformly to the other classes.
    """

    def __init__(
        self,
        rates: Sequence[float],
        seed: int = 0,
        transition: Optional[Sequence[Sequence[float]]] = None,
    ) -> None:
        super().__init__(seed)
        rates = check_rates(rates)
        if transition is not None:
            check_transition(transition, rates)
            transition = np.asarray(transition, dtype=float).tolist()
        self.parameters = dict(rates=rates, transition=transition)

    @property
    def requested_rate(self) -> List[float]:
        """list[float]: (C,) the share of each class."""
        return self.parameters['rates']

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return class_dependent_noise(
            labels, num_classes, rng=self.make_rng(), **self.parameters
        )


@TASK_UTILS.register_module()
class BernoulliSymmetricNoise(LabelNoise):
    """Each sample gets, by chance, one of the *other* classes.

    See :func:`bernoulli_symmetric_noise`.

    Args:
        rate (float): Probability in [0, 1).
        seed (int): At least 0. Default: 0.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self.parameters = dict(rate=check_rate(rate))

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        return bernoulli_symmetric_noise(
            labels, num_classes, rng=self.make_rng(), **self.parameters
        )


@TASK_UTILS.register_module()
class BernoulliUniformNoise(LabelNoise):
    """Each sample gets, by chance, a class out of *all*.

    See :func:`bernoulli_uniform_noise`. With ``official=True`` the draws
    are those of the joint GAN's CIFAR-10 data set (noisyFER code), see
    :func:`official_bernoulli_uniform_noise`: for each sample in order
    ``if random() < rate: label = randint(0, C - 1)`` with Python's own
    generator. The three published label sets are::

        dict(type='BernoulliUniformNoise', official=True, seed=100, rate=.2)
        dict(type='BernoulliUniformNoise', official=True, seed=100, rate=.3,
             preceding_rates=[.2])
        dict(type='BernoulliUniformNoise', official=True, seed=100, rate=.4,
             preceding_rates=[.2, .3])

    This order of draws is this project's reading of the published loader
    (its ``random.uniform(0., 1.)`` draws the same number as ``random()``);
    there is no published label file to compare the result with.

    Args:
        rate (float): Probability in [0, 1).
        seed (int): At least 0. Default: 0.
        official (bool): Reproduce the draws of the noisyFER code.
            Default: False.
        preceding_rates (Sequence[float]): Only with ``official``: rates of
            the sets that were drawn before this one from the same
            generator. Default: none.

    Raises:
        ValueError: A rate or the seed is out of range, or
            ``preceding_rates`` without ``official``.
    """

    def __init__(
        self,
        rate: float,
        seed: int = 0,
        official: bool = False,
        preceding_rates: Sequence[float] = (),
    ) -> None:
        super().__init__(seed)
        preceding_rates = [
            check_rate(r, f'preceding_rates[{i}]')
            for i, r in enumerate(preceding_rates)
        ]
        if preceding_rates and not official:
            raise ValueError(
                'preceding_rates is given without official=True: only the '
                'published procedure draws several label sets from one '
                'generator. Set official=True, or leave it out and give '
                'each set a seed of its own.'
            )
        self.parameters = dict(
            rate=check_rate(rate),
            official=bool(official),
            preceding_rates=preceding_rates,
        )

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        rate = self.parameters['rate']
        if not self.parameters['official']:
            return bernoulli_uniform_noise(labels, num_classes, rate, self.make_rng())
        rng = random.Random(self.seed)
        for before in self.parameters['preceding_rates']:
            official_bernoulli_uniform_noise(labels, num_classes, before, rng)
        return official_bernoulli_uniform_noise(labels, num_classes, rate, rng)


@TASK_UTILS.register_module()
class Annotators(LabelNoise):
    """Several annotators, each with an error rate of their own.

    A data set with it has one label set for each, ``gt_label_sets``;
    ``gt_label`` is that of the first. The three of the joint GAN's CIFAR-10
    are :class:`BernoulliUniformNoise` with ``official=True``.

    Args:
        generators (Sequence[dict]): Config of each, at least two. They must
            have different seeds, unless they draw from one generator one
            after the other (``preceding_rates``).
        majority (bool): One label set, of what most annotators say; where
            the most frequent labels are equally frequent, that of the first
            annotator who gave one of them. Defaults to False.
        seed (int): Added to the seeds of the generators. Default: 0.

    Raises:
        ValueError: There are fewer than two, or two with the same draws.
    """

    def __init__(
        self, generators: Sequence[dict], majority: bool = False, seed: int = 0
    ) -> None:
        super().__init__(seed)
        if len(generators) < 2:
            raise ValueError(
                f'Annotators has {len(generators)} generators; give at least '
                'two, or take the one as label_noise.'
            )
        draws = [
            (cfg['type'], cfg.get('seed', 0), tuple(cfg.get('preceding_rates', ())))
            for cfg in generators
        ]
        if len(set(draws)) < len(draws):
            raise ValueError(
                'Annotators: generators of one type with one seed err on the '
                'same samples, as if they were one person. Give each a seed '
                'of its own.'
            )
        self.majority = majority
        self.generators = [
            TASK_UTILS.build(dict(cfg, seed=check_seed(cfg.get('seed', 0)) + self.seed))
            for cfg in generators
        ]
        self.parameters = dict(
            generators=[copy.deepcopy(dict(cfg)) for cfg in generators],
            majority=bool(majority),
        )

    @property
    def requested_rate(self) -> list:
        """list: The rate of each annotator."""
        return [generator.requested_rate for generator in self.generators]

    def annotate(self, labels: Sequence[int], num_classes: int) -> Optional[np.ndarray]:
        """A column for each; None with ``majority``."""
        return None if self.majority else self.all_labels(labels, num_classes)

    def all_labels(self, labels: Sequence[int], num_classes: int) -> np.ndarray:
        """int64 (N, T), with ``majority`` too."""
        return np.stack(
            [generator(labels, num_classes) for generator in self.generators], axis=1
        )

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        sets = self.all_labels(labels, num_classes)
        return majority_vote(sets, num_classes) if self.majority else sets[:, 0]
