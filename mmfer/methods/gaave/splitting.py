"""Dataset Splitting and Subset Refactoring of GAAVE (AAAI'23)."""

from typing import NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np


def subset_names(count: int) -> Sequence[str]:
    """Return the names of the subsets.

    Args:
        count (int): Number of subsets: 2 if the data set is split, else 1.
    """
    return ('head-set', 'tail-set') if count == 2 else ('whole set',)


class HeadTail(NamedTuple):
    """Classes of the head-set and of the tail-set.

    Attributes:
        head (np.ndarray): Frequent classes, most frequent first, int64.
        tail (np.ndarray): Rare classes, most frequent first, int64. Empty if
            the data set is not split.
    """

    head: np.ndarray
    tail: np.ndarray


class Subset(NamedTuple):
    """A subset of the training set, with local labels; refactored or not.

    Attributes:
        name (str): Name of the subset, see :func:`subset_names`.
        classes (np.ndarray): Class of the data set for each local label from
            0 to L - 1, int64 (L, ).
        num_classes (int): L, or L + 1 with the extra class.
        sample_ids (np.ndarray): Sample ids, int64 (N, ), ascending.
        labels (np.ndarray): Local labels, int64 (N, ); the extra class is
            ``num_classes - 1``.
        native (np.ndarray): Whether a sample belongs to the subset, not to
            its extra class, bool (N, ).
    """

    name: str
    classes: np.ndarray
    num_classes: int
    sample_ids: np.ndarray
    labels: np.ndarray
    native: np.ndarray

    @property
    def has_extra(self) -> bool:
        """Whether the subset has an extra class for all other samples."""
        return self.num_classes > len(self.classes)


def imbalance(counts: np.ndarray) -> float:
    """Compute the size of the largest class over that of the smallest."""
    return float(counts.max() / counts.min())


def balanced_cut(counts: np.ndarray) -> int:
    """Find the number of head classes that keeps both subsets balanced.

    The cut minimises the larger imbalance of the two refactored subsets. The
    whole tail-set counts as one class of the head-set. It must not be its
    largest class ("usually closed to that of one of the categories").

    The paper gives no criterion. With clean labels, this one cuts RAF-DB into
    4 and 3 classes, long-tailed CIFAR-10 into 5 and 5, and FERPlus into 5 and
    3. Noise makes class sizes more similar and moves the cut.

    Args:
        counts (np.ndarray): Class sizes, descending, all > 0, (C, ).
    """

    def cost(cut):
        head, tail = counts[:cut], counts[cut:]
        refactored = np.append(head, tail.sum())
        return (tail.sum() > head[0], max(imbalance(refactored), imbalance(tail)))

    return min(range(1, len(counts)), key=cost)


def two_means_cut(counts: np.ndarray) -> int:
    """Find the number of head classes by 2-means on logarithms of the sizes.

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
    counts: Union[Sequence[int], np.ndarray],
    cut: str = 'balanced',
    head: Optional[Sequence[int]] = None,
    min_imbalance: float = 1.5,
) -> HeadTail:
    """Divide the classes by their sizes into head and tail (Dataset Splitting).

    Classes without a sample belong to neither set.

    Args:
        counts (Sequence[int]): Size of each class by its given labels, (C, ).
        cut (str): ``'balanced'``, see :func:`balanced_cut`, or
            ``'two_means'``, see :func:`two_means_cut`. Defaults to
            ``'balanced'``.
        head (Sequence[int], optional): Head classes; replaces the criterion
            ``cut``. Defaults to None.
        min_imbalance (float): Imbalance below which the data set is not
            split. It is not split either if fewer than two classes have
            samples. Defaults to 1.5.

    Raises:
        ValueError: ``head`` is empty, names all classes or one class twice, or
            names a class without samples.
    """
    sizes = np.asarray(counts)
    order = np.argsort(-sizes, kind='stable')
    order = order[sizes[order] > 0]
    if head is not None:
        given = np.asarray(head, dtype=np.int64)
        if len(set(given.tolist())) != len(given) or not set(given.tolist()) < set(
            order.tolist()
        ):
            raise ValueError(
                f'head={list(head)} must name different classes among those '
                f'with samples, {sorted(order.tolist())}, and leave at least '
                'one for the tail.'
            )
        chosen = np.isin(order, given)
        if not chosen.any():
            raise ValueError(
                'head must name at least one class. Set split=False to switch '
                'splitting off.'
            )
        return HeadTail(order[chosen], order[~chosen])
    if len(order) < 2 or imbalance(sizes[order]) < min_imbalance:
        return HeadTail(order, order[:0])
    size = CUTS[cut](sizes[order])
    return HeadTail(order[:size], order[size:])


def proportional_draw(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Draw samples so that the classes keep their shares.

    The number of samples of each class is rounded by the largest-remainder
    method. The first class wins a tie.

    Args:
        labels (np.ndarray): Labels, int64 (N, ).
        size (int): Number of samples to draw. If there are fewer samples, all
            are drawn.
        seed (int): Seed of the draw.

    Returns:
        np.ndarray: Ascending positions in ``labels``, int64.
    """
    if size >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    # Compute with integers: float remainders could have rounding errors.
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
        labels (np.ndarray): Labels, int64 (N, ).
        share (float): Share in (0, 1). Nothing is drawn from a class with
            fewer than 1 / share samples.
        seed (int): Seed of the draw.

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
    """Select the samples of some classes, without an extra class.

    Args:
        sample_ids (np.ndarray): int64 (N, ).
        labels (np.ndarray): Classes of the data set, int64 (N, ).
        classes (np.ndarray): Classes of the subset.
    """
    return _subset(subset_names(1)[0], sample_ids, labels, classes)


def refactor(
    sample_ids: np.ndarray, labels: np.ndarray, split: HeadTail, seed: int
) -> Tuple[Subset, Subset]:
    """Give each subset the other one as an extra class (Subset Refactoring).

    The extra class of the head-set is the whole tail-set. The extra class of
    the tail-set is drawn from the head-set. It is as large as the largest class
    of the tail-set, and the head classes keep their shares in it.

    Args:
        sample_ids (np.ndarray): int64 (N, ).
        labels (np.ndarray): Classes of the data set, int64 (N, ).
        split (HeadTail): Split with classes in both sets.
        seed (int): Seed of the draw.

    Returns:
        tuple[Subset, Subset]: Refactored head-set and tail-set.
    """
    in_head = np.isin(labels, split.head)
    in_tail = np.isin(labels, split.tail)
    tail_counts = np.unique(labels[in_tail], return_counts=True)[1]
    size = tail_counts.max() if len(tail_counts) else 0
    drawn = proportional_draw(labels[in_head], size, seed)
    head_name, tail_name = subset_names(2)
    return (
        _subset(head_name, sample_ids, labels, split.head, sample_ids[in_tail]),
        _subset(tail_name, sample_ids, labels, split.tail, sample_ids[in_head][drawn]),
    )


def _subset(
    name: str,
    sample_ids: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
    extra: Optional[np.ndarray] = None,
) -> Subset:
    """Select samples of ``classes``, and the ids ``extra`` as the extra class."""
    classes = np.asarray(classes, dtype=np.int64)
    native = np.isin(labels, classes)
    chosen = native if extra is None else native | np.isin(sample_ids, extra)
    local = np.full(max(labels.max(initial=0), classes.max()) + 1, len(classes))
    local[classes] = np.arange(len(classes))
    order = np.argsort(sample_ids[chosen], kind='stable')
    return Subset(
        name=name,
        classes=classes,
        num_classes=len(classes) + (extra is not None),
        sample_ids=sample_ids[chosen][order],
        labels=local[labels[chosen]][order],
        native=native[chosen][order],
    )
