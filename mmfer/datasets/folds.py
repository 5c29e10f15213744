"""Folds: a data set cut into equal parts, one of which is held out."""

from typing import Any, Optional, Sequence, Tuple

import numpy as np

from mmfer.utils.checks import is_whole
from mmfer.utils.counter_random import uniforms


def fold_numbers(count: int, folds: int) -> np.ndarray:
    """Assign samples to folds at random, always in the same way.

    Labels have no influence. The sizes of two folds differ by one sample at most.

    Args:
        count (int): Number of samples N.
        folds (int): Number of folds, at least 2.

    Returns:
        np.ndarray: Number of the fold of each sample, int64 (N,), in [0, folds).
    """
    drawn = uniforms(0, folds, np.arange(count), 0, 1)[:, 0]
    ranks = np.empty(count, dtype=np.int64)
    ranks[np.argsort(drawn, kind='stable')] = np.arange(count)
    return ranks % folds


def check_fold(fold: Optional[Sequence[int]], owner: Any) -> Optional[Tuple[int, int]]:
    """Check the option ``fold`` of a data set.

    Args:
        fold (Sequence[int], optional): Number of the fold that is held out, and number
            of folds.
        owner: Name of the data set, for the message.

    Raises:
        ValueError: These are not two such numbers.
    """
    if fold is None:
        return None
    numbers = list(fold) if isinstance(fold, (list, tuple)) else []
    if (
        len(numbers) != 2
        or not all(map(is_whole, numbers))
        or not 0 <= numbers[0] < numbers[1]
        or numbers[1] < 2
    ):
        raise ValueError(
            f'{owner}: fold={fold!r} is not the number of a fold and the number of '
            'folds. To hold out the first tenth, write fold=(0, 10).'
        )
    return int(numbers[0]), int(numbers[1])
