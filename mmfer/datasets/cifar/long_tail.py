"""Long-tailed subsets: class sizes that fall exponentially."""

import zlib

import numpy as np
from numpy.typing import ArrayLike

from mmfer.utils.checks import in_range, whole_number


def check_long_tail(ratio: float, seed: int) -> None:
    """Check the imbalance ratio and the seed of a long-tailed subset.

    Args:
        ratio (float): Finite, at least 1.
        seed (int): At least 0.

    Raises:
        ValueError: One of the two is out of range or not a number.
    """
    hint = (
        'It is the imbalance ratio, the size of the largest class divided by '
        'that of the smallest, such as 50.'
    )
    in_range('', 'long_tail', ratio, 1, hint=hint)
    whole_number('', 'long_tail_seed', seed, 0)


def long_tail_counts(counts: ArrayLike, ratio: float) -> np.ndarray:
    """Return how many samples of each class a long-tailed subset keeps.

    Class k of C keeps ``floor(n_max * ratio ** (-k / (C - 1)))`` samples, where
    ``n_max`` is the size of the largest class. It keeps at least one sample, and
    at most all that it has. For CIFAR-10 with ratio 50, as in the GAAVE paper,
    class sizes fall from 5000 to 100, and 13,996 samples are kept.

    Args:
        counts (array-like): Samples of each class, (C,), C at least 2.
        ratio (float): Largest class divided by smallest class, at least 1.

    Returns:
        np.ndarray: int64 (C,).
    """
    sizes = np.asarray(counts, dtype=np.int64)
    powers = np.arange(len(sizes)) / (len(sizes) - 1)
    # Division instead of a negative power gives exact whole numbers.
    wanted = np.floor(sizes.max() / float(ratio) ** powers).astype(np.int64)
    return np.minimum(sizes, np.maximum(wanted, 1))


def long_tail_rows(
    labels: np.ndarray, num_classes: int, ratio: float, seed: int
) -> np.ndarray:
    """Return the rows that a long-tailed subset keeps.

    Args:
        labels (np.ndarray): int (N,), in [0, num_classes).
        num_classes (int): Number of classes, at least 2.
        ratio (float): See :func:`long_tail_counts`.
        seed (int): At least 0. Label noise with the same seed makes other,
            independent draws.

    Returns:
        np.ndarray: int64, rows in ascending order.
    """
    kept = long_tail_counts(np.bincount(labels, minlength=num_classes), ratio)
    rng = np.random.default_rng([seed, zlib.crc32(b'long_tail')])
    # Permute each class completely. The rows of a larger ratio are then a part of
    # the rows of a smaller ratio.
    rows = [
        rng.permutation(np.flatnonzero(labels == label))[:count]
        for label, count in enumerate(kept)
    ]
    return np.sort(np.concatenate(rows))
