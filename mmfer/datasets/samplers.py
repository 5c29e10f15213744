"""Which samples an epoch draws."""

import math
import numbers
from typing import Iterator, Optional

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmfer.registry import DATA_SAMPLERS


def balanced_indices(
    labels: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw indices so that all classes come equally often, in random order.

    Of ``count`` draws every class that has samples gets the same number, or
    one more. Within a class every sample is drawn equally often, or once
    more: a rare class is repeated as a whole before any sample has its turn
    again, of a frequent class no sample comes twice.

    Args:
        labels (np.ndarray): Classes, int (N, ), N at least 1.
        count (int): Number of draws.
        rng (np.random.Generator): Where all draws come from.

    Returns:
        np.ndarray: int64 (count, ), indices into ``labels``.
    """
    order = np.argsort(labels, kind='stable')
    sizes = np.unique(labels, return_counts=True)[1]
    quotas = np.full(len(sizes), count // len(sizes))
    # Which classes get one more changes, or it would be an imbalance.
    quotas[rng.permutation(len(sizes))[: count % len(sizes)]] += 1
    drawn = []
    for rows, quota in zip(np.split(order, np.cumsum(sizes)[:-1]), quotas):
        rounds, rest = divmod(int(quota), len(rows))
        drawn.append(np.tile(rows, rounds))
        drawn.append(rng.permutation(rows)[:rest])
    return rng.permutation(np.concatenate(drawn))


@DATA_SAMPLERS.register_module()
class BalancedSampler(Sampler):
    """Oversampling: every class that has samples is drawn equally often.

    The draws of an epoch depend on (seed, epoch) and on the labels at its
    beginning, so that relabelling counts from the next epoch on. All ranks
    draw the same and take turns; each gets equally many.

    Wrong labels in a rare class are repeated with it. GAAVE, for one,
    oversamples in its final training only, not while it looks for them.

    Args:
        dataset (FERDataset): Or any other with ``get_gt_labels()``.
        seed (int, optional): The same on all ranks. Defaults to None: drawn
            and shared, as mmengine's samplers do.
        epoch_size (int, optional): Draws per epoch over all ranks, rounded
            up to a multiple of their number. Defaults to None: the length
            of the data set.
        shuffle (bool): Only True. It is here so that the type alone turns a
            ``DefaultSampler`` of a config into this sampler.

    Raises:
        TypeError: The data set cannot tell its labels.
        ValueError: ``shuffle=False``, or ``epoch_size`` is no positive
            integer.
    """

    def __init__(
        self,
        dataset,
        seed: Optional[int] = None,
        epoch_size: Optional[int] = None,
        shuffle: bool = True,
    ):
        if not hasattr(dataset, 'get_gt_labels'):
            raise TypeError(
                'BalancedSampler asks the data set for its labels, and '
                f'{type(dataset).__name__} has no get_gt_labels(). Use it on '
                'the data set itself, without a wrapper.'
            )
        if not shuffle:
            raise ValueError(
                'BalancedSampler always draws at random: remove '
                'shuffle=False, or use DefaultSampler.'
            )
        if epoch_size is None:
            epoch_size = len(dataset)
        if not isinstance(epoch_size, numbers.Integral) or epoch_size < 1:
            raise ValueError(
                f'BalancedSampler: an epoch of {epoch_size!r} draws. '
                'epoch_size is a positive integer; leave it out to draw as '
                'many as the data set has samples, at least one.'
            )
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.num_samples = math.ceil(epoch_size / self.world_size)

    def __iter__(self) -> Iterator[int]:
        """Indices of this rank."""
        indices = balanced_indices(
            self.dataset.get_gt_labels(),
            self.num_samples * self.world_size,
            np.random.default_rng([self.seed, self.epoch]),
        )
        return iter(indices[self.rank :: self.world_size].tolist())

    def __len__(self) -> int:
        """Number of draws of this rank in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; another one draws otherwise.

        Args:
            epoch (int): From 0.
        """
        self.epoch = epoch
