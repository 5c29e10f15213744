"""Samplers, which choose the samples of an epoch."""

import math
from typing import Any, Iterator, Optional

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmfer.registry import DATA_SAMPLERS
from mmfer.utils.checks import positive_int


def balanced_indices(
    labels: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw indices so that all classes occur equally often, in random order.

    The ``count`` draws are divided equally among the classes that have
    samples; some classes get one draw more. Within a class, all samples are
    drawn equally often, or some of them once more. No sample of a rare class
    is repeated before all samples of the class are drawn. If a class has at
    least as many samples as draws, none of them is repeated.

    Args:
        labels (np.ndarray): Classes, int (N,), N at least 1.
        count (int): Number of draws.
        rng (np.random.Generator): Source of all draws.

    Returns:
        np.ndarray: int64 (count,), indices into ``labels``.
    """
    order = np.argsort(labels, kind='stable')
    sizes = np.unique(labels, return_counts=True)[1]
    quotas = np.full(len(sizes), count // len(sizes))
    # Choose at random which classes get one draw more. If they were always the
    # same classes, the draws would not be balanced.
    quotas[rng.permutation(len(sizes))[: count % len(sizes)]] += 1
    drawn = []
    for rows, quota in zip(np.split(order, np.cumsum(sizes)[:-1]), quotas):
        rounds, rest = divmod(int(quota), len(rows))
        drawn.append(np.tile(rows, rounds))
        drawn.append(rng.permutation(rows)[:rest])
    return rng.permutation(np.concatenate(drawn))


@DATA_SAMPLERS.register_module()
class BalancedSampler(Sampler):
    """Draw every class that has samples equally often (oversampling).

    The draws of an epoch depend on (seed, epoch) and on the labels at its
    beginning. If labels change during an epoch, this has an effect from the
    next epoch on. All ranks make the same draws, and each rank takes an equal
    part of them.

    If a class is drawn often, its wrong labels are drawn often, too. GAAVE
    therefore does not oversample while it looks for wrong labels. Only the
    run on the cleaned set may do so.

    Args:
        dataset (FERDataset): Any data set with ``get_gt_labels()``.
        seed (int, optional): Seed, the same on all ranks. Defaults to None:
            it is drawn at random and sent to all ranks, as in mmengine's
            samplers.
        epoch_size (int, optional): Number of draws per epoch over all ranks,
            rounded up to a multiple of the number of ranks. Defaults to
            None: the length of the data set.
        shuffle (bool): Must be True. The argument exists so that a change of
            ``type`` alone turns a config's ``DefaultSampler`` into this one.

    Raises:
        TypeError: The data set does not give its labels.
        ValueError: ``shuffle`` is False, or ``epoch_size`` is not a positive
            integer.
    """

    def __init__(
        self,
        dataset: Any,
        seed: Optional[int] = None,
        epoch_size: Optional[int] = None,
        shuffle: bool = True,
    ):
        if not hasattr(dataset, 'get_gt_labels'):
            raise TypeError(
                'BalancedSampler asks the data set for its labels, but '
                f'{type(dataset).__name__} has no get_gt_labels(). Use it on '
                'the data set itself, without a wrapper.'
            )
        if not shuffle:
            raise ValueError(
                'BalancedSampler always draws at random. Remove '
                'shuffle=False, or use DefaultSampler.'
            )
        draws = positive_int(
            self,
            'epoch_size',
            len(dataset) if epoch_size is None else epoch_size,
            hint='By default it is the number of samples, which must not be 0.',
        )
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.seed: int = sync_random_seed() if seed is None else seed
        self.epoch: int = 0
        self.num_samples: int = math.ceil(draws / self.world_size)

    def __iter__(self) -> Iterator[int]:
        """Draw the indices of this rank."""
        indices = balanced_indices(
            self.dataset.get_gt_labels(),
            self.num_samples * self.world_size,
            np.random.default_rng([self.seed, self.epoch]),
        )
        return iter(indices[self.rank :: self.world_size].tolist())

    def __len__(self) -> int:
        """Return the number of draws of this rank in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next epoch; each epoch has other draws.

        Args:
            epoch (int): Number of the epoch, from 0.
        """
        self.epoch = epoch
