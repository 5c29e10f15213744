"""Dataset splitting and subset refactoring of GAAVE (AAAI'23)."""

from typing import NamedTuple, Optional, Sequence

import numpy as np


def subset_names(count: int) -> Sequence[str]:
    """What the subsets are called.

    Args:
        count (int): 1, or 2 of a set that is split.
    """
    return ('head-set', 'tail-set') if count == 2 else ('whole set',)


class HeadTail(NamedTuple):
    """Classes of the head-set and of the tail-set.

    Attributes:
        head (np.ndarray): Frequent classes, most frequent first, int64.
        tail (np.ndarray): Rare classes, most frequent first, int64. Empty
            when the data set is not split.
    """

    head: np.ndarray
    tail: np.ndarray


class Subset(NamedTuple):
    """A subset with classes of its own, refactored or not.

    Attributes:
        classes (np.ndarray): Classes of the data set behind the first local
            labels, int64 (L, ).
        num_classes (int): L, or L + 1 with the extra class.
        sample_ids (np.ndarray): Samples, int64 (N, ), ascending.
        labels (np.ndarray): Local labels, int64 (N, ); the extra class is
            ``num_classes - 1``.
        native (np.ndarray): Whether a sample belongs to the subset, not to
            its extra class, bool (N, ).
    """

    classes: np.ndarray
    num_classes: int
    sample_ids: np.ndarray
    labels: np.ndarray
    native: np.ndarray

    @property
    def has_extra(self) -> bool:
        """Whether there is a class for everything else."""
        return self.num_classes > len(self.classes)


def imbalance(counts: np.ndarray) -> float:
    """Size of the largest over that of the smallest class."""
    return float(counts.max() / counts.min())


def balanced_cut(counts: np.ndarray) -> int:
    """Number of head classes that leaves both refactored subsets balanced.

    The larger imbalance of the two is made as small as possible, with the
    whole tail-set as a class of the head-set, and with the condition that it
    is not the largest one ("usually closed to that of one of the
    categories"). The paper gives no criterion. By its clean labels RAF-DB is
    cut 4/3, long-tailed CIFAR-10 5/5, FERPlus 5/3; noise makes classes more
    alike and moves the cut.

    Args:
        counts (np.ndarray): Class sizes, descending, all > 0, (C, ).
    """

    def cost(cut):
        head, tail = counts[:cut], counts[cut:]
        refactored = np.append(head, tail.sum())
        return (tail.sum() > head[0], max(imbalance(refactored), imbalance(tail)))

    return min(range(1, len(counts)), key=cost)


def two_means_cut(counts: np.ndarray) -> int:
    """Number of head classes by 2-means on the logarithms of the sizes.

    Args:
        counts (np.ndarray): Class sizes, descending, all > 0, (C, ).
    """
    logs = np.log(counts)

    def cost(cut):
        return sum(
            np.square(part - part.mean()).sum() for part in (logs[:cut], logs[cut:])
        )

    return min(range(1, len(counts)), key=cost)


CUTS = dict(balanced=balanced_cut, two_means=two_means_cut)


def split_head_tail(
    counts: Sequence[int],
    cut: str = 'balanced',
    head: Optional[Sequence[int]] = None,
    min_imbalance: float = 1.5,
) -> HeadTail:
    """Dataset Splitting: divide the classes by their size.

    Classes without a sample belong to neither set.

    Args:
        counts (Sequence[int]): Size of each class, as labelled, (C, ).
        cut (str): :func:`balanced_cut` or :func:`two_means_cut`. Defaults to
            ``'balanced'``.
        head (Sequence[int], optional): Head classes, if they are to be
            given.
        min_imbalance (float): Below this imbalance the data set is not
            split; neither when fewer than two classes have samples.
            Defaults to 1.5.

    Raises:
        ValueError: ``head`` names a class that has no sample or does not
            exist, a class twice, or all classes.
    """
    counts = np.asarray(counts)
    order = np.argsort(-counts, kind='stable')
    order = order[counts[order] > 0]
    if head is not None:
        given = np.asarray(head, dtype=np.int64)
        if len(set(given.tolist())) != len(given) or not set(given.tolist()) < set(
            order.tolist()
        ):
            raise ValueError(
                f'head={list(head)} must name different classes of '
                f'{sorted(order.tolist())}, those with samples, and leave '
                'at least one for the tail.'
            )
        chosen = np.isin(order, given)
        if not chosen.any():
            raise ValueError(
                'head must name at least one class; with '
                'min_imbalance=inf there is no split.'
            )
        return HeadTail(order[chosen], order[~chosen])
    if len(order) < 2 or imbalance(counts[order]) < min_imbalance:
        return HeadTail(order, order[:0])
    size = CUTS[cut](counts[order])
    return HeadTail(order[:size], order[size:])


def proportional_draw(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Draw samples so that classes keep their shares.

    The quotas are rounded to the largest remainder; ties go to the class
    that comes first.

    Args:
        labels (np.ndarray): int64 (N, ).
        size (int): How many to draw; all if there are not more.
        seed (int): Of the draw.

    Returns:
        np.ndarray: Ascending positions in ``labels``, int64.
    """
    if size >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    # In integers: a float remainder could be off by one rounding error.
    quotas, remainders = np.divmod(counts * size, len(labels))
    missing = size - quotas.sum()
    quotas[np.argsort(-remainders, kind='stable')[:missing]] += 1
    rng = np.random.default_rng(seed)
    return np.sort(
        np.concatenate(
            [
                rng.choice(np.flatnonzero(labels == c), quota, replace=False)
                for c, quota in zip(classes, quotas)
            ]
        )
    )


def draw_of_each_class(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw a share of each class, rounded down.

    Args:
        labels (np.ndarray): int64 (N, ).
        share (float): In (0, 1); of small classes nothing is drawn.
        seed (int): Of the draw.

    Returns:
        np.ndarray: Ascending positions in ``labels``, int64.
    """
    rng = np.random.default_rng(seed)
    drawn = [np.zeros(0, dtype=np.int64)]
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        drawn.append(rng.choice(mine, int(share * len(mine)), replace=False))
    return np.sort(np.concatenate(drawn))


def plain_subset(
    sample_ids: np.ndarray, labels: np.ndarray, classes: np.ndarray
) -> Subset:
    """Samples of some classes, without an extra class.

    Args:
        sample_ids (np.ndarray): int64 (N, ).
        labels (np.ndarray): Classes of the data set, int64 (N, ).
        classes (np.ndarray): Those of the subset.
    """
    return _subset(sample_ids, labels, classes)


def refactor(
    sample_ids: np.ndarray, labels: np.ndarray, split: HeadTail, seed: int
) -> tuple:
    """Subset Refactoring: each subset gets the other one as a class.

    The head-set gets all of the tail-set; the tail-set a draw from the
    head-set, as large as its own largest class, in which the head classes
    keep their shares.

    Args:
        sample_ids (np.ndarray): int64 (N, ).
        labels (np.ndarray): Classes of the data set, int64 (N, ).
        split (HeadTail): With classes in both sets.
        seed (int): Of the draw.

    Returns:
        tuple[Subset, Subset]: Refactored head-set and tail-set.
    """
    in_head = np.isin(labels, split.head)
    in_tail = np.isin(labels, split.tail)
    tail_counts = np.unique(labels[in_tail], return_counts=True)[1]
    size = tail_counts.max() if len(tail_counts) else 0
    drawn = proportional_draw(labels[in_head], size, seed)
    return (
        _subset(sample_ids, labels, split.head, sample_ids[in_tail]),
        _subset(sample_ids, labels, split.tail, sample_ids[in_head][drawn]),
    )


def _subset(
    sample_ids: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
    extra: Optional[np.ndarray] = None,
) -> Subset:
    """Samples of ``classes``, and with ``extra`` those as one more class."""
    classes = np.asarray(classes, dtype=np.int64)
    native = np.isin(labels, classes)
    chosen = native if extra is None else native | np.isin(sample_ids, extra)
    local = np.full(max(labels.max(initial=0), classes.max()) + 1, len(classes))
    local[classes] = np.arange(len(classes))
    order = np.argsort(sample_ids[chosen], kind='stable')
    return Subset(
        classes=classes,
        num_classes=len(classes) + (extra is not None),
        sample_ids=sample_ids[chosen][order],
        labels=local[labels[chosen]][order],
        native=native[chosen][order],
    )
