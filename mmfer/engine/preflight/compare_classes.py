"""Compare classes, labels and model outputs.

Each check returns a message, or None if nothing is wrong.
"""

from typing import List, Optional, Sequence

import numpy as np
import torch.nn as nn


def compare_classes(
    where: str,
    classes: Optional[Sequence[str]],
    other: str,
    other_classes: Optional[Sequence[str]],
) -> Optional[str]:
    """Compare names and order of classes.

    Upper and lower case are the same. If one side has numbers ('0', '1', ...)
    instead of names, only the number of classes is compared.

    Args:
        where (str): Place that states the first classes, for the message.
        classes (Sequence[str], optional): First classes; None if unknown.
        other (str): Place that states the second classes.
        other_classes (Sequence[str], optional): Second classes; None if
            unknown.
    """
    if classes is None or other_classes is None:
        return None
    first, second = plain_names(classes), plain_names(other_classes)
    if first == second:
        return None
    if len(first) == len(second) and (numbered(first) or numbered(second)):
        return None
    advice = (
        'The same label would mean different classes. Give both the '
        'same classes in the same order (classes=[...] of the data '
        'set).'
    )
    if len(first) != len(second):
        lacking = _lacking(where, classes, other, other_classes)
        return (
            f'{where} has {len(first)} classes and {other} has '
            f'{len(second)}{lacking}. {advice}'
        )
    label = next(i for i, pair in enumerate(zip(first, second)) if pair[0] != pair[1])
    kind, synonyms = 'the same classes in another order', ''
    if set(first) != set(second):
        kind = 'other classes'
        synonyms = (
            'If these are two names of one class, set '
            'default_hooks.preflight.strict=False. '
        )
    return (
        f'{where} and {other} have {kind}: label {label} is '
        f'{str(classes[label])!r} in {where} and '
        f'{str(other_classes[label])!r} in {other}. {synonyms}{advice}'
    )


def _lacking(
    where: str, classes: Sequence[str], other: str, other_classes: Sequence[str]
) -> str:
    """Return ``: A lacks ..., B lacks ...``, empty without class names."""
    first, second = plain_names(classes), plain_names(other_classes)
    if numbered(first) or numbered(second):
        return ''
    parts = []
    for who, missing in (
        (where, set(second) - set(first)),
        (other, set(first) - set(second)),
    ):
        names = [
            n for n in [*classes, *other_classes] if plain_names([n])[0] in missing
        ]
        if names:
            parts.append(f'{who} lacks {shorten(names)}')
    return ': ' + ', '.join(parts) if parts else ''


def compare_outputs(
    where: str,
    num_classes: Optional[int],
    outputs: Optional[int],
    settings: Sequence[str] = (),
) -> Optional[str]:
    """Compare the number of classes with the model's number of outputs.

    Args:
        where (str): Name of the data set.
        num_classes (int, optional): Classes of the data set; None if unknown.
        outputs (int, optional): Outputs of the model; None if unknown.
        settings (Sequence[str]): Dotted paths at which the config states
            ``outputs``.
    """
    if num_classes is None or outputs is None or num_classes == outputs:
        return None
    what = (
        f'labels from {outputs} on have no output'
        if outputs < num_classes
        else f'outputs from {num_classes} on belong to no class'
    )
    change = (
        ' and '.join(f'{path}={num_classes}' for path in settings)
        or f'num_classes={num_classes} of the model'
    )
    return (
        f'{where} has {num_classes} classes, and the model has {outputs} '
        f'outputs: {what}. Set {change}, or correct the classes of the '
        'data set.'
    )


def compare_one_hot(
    where: str, num_classes: int, preprocessor: nn.Module
) -> Optional[str]:
    """Compare the number of classes with the width of mixed labels.

    Args:
        where (str): Name of the data set.
        num_classes (int): Classes of the data set.
        preprocessor (nn.Module): Data preprocessor; it mixes labels if it has
            ``batch_augments``.
    """
    width = getattr(preprocessor, 'num_classes', None)
    if getattr(preprocessor, 'batch_augments', None) is None or width in (
        None,
        num_classes,
    ):
        return None
    return (
        f'{where} has {num_classes} classes, and '
        f'data_preprocessor.num_classes={width} is the width of mixed '
        f'labels: set data_preprocessor.num_classes={num_classes}.'
    )


def compare_labels(
    where: str, largest: Optional[int], outputs: Optional[int]
) -> Optional[str]:
    """Compare the largest label of a data set that names no classes."""
    if largest is None or outputs is None or largest < outputs:
        return None
    return (
        f'{where} has a label {largest}, and the model has {outputs} '
        f'outputs, for labels 0 to {outputs - 1}. Set num_classes of the '
        'model, or correct the labels.'
    )


def check_one_class(
    where: str, counts: Sequence[int], classes: Sequence[str], cause: str = ''
) -> Optional[str]:
    """Check that the training samples do not all have the same label.

    Args:
        where (str): Name of the data set.
        counts (Sequence[int]): Number of samples of each class.
        classes (Sequence[str]): Names of the classes.
        cause (str): Why the other classes are missing, for the message.
            Defaults to ''.
    """
    used = np.flatnonzero(counts)
    if len(counts) < 2 or len(used) > 1:
        return None
    name = classes[used[0]] if len(used) else 'any class'
    return (
        f'{where} has samples of {name} only{cause}: a classifier needs '
        'a second class to learn from. Look at the labels or the decisions, '
        'and keep samples of at least two classes.'
    )


def plain_names(classes: Sequence[str]) -> List[str]:
    """Return class names in lower case, without surrounding spaces."""
    return [str(name).strip().casefold() for name in classes]


def numbered(names: Sequence[str]) -> bool:
    """Return whether classes have numbers instead of names."""
    return list(names) == [str(i) for i in range(len(names))]


def shorten(names: Sequence[str], limit: int = 5) -> str:
    """Join the first names of a list, and state how many more there are."""
    names = list(dict.fromkeys(str(name) for name in names))
    text = ', '.join(names[:limit])
    return text if len(names) <= limit else f'{text} and {len(names) - limit} more'
