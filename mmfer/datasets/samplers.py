"""Samplers: which samples an epoch draws."""

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
    """Draw indices so that all classes come equally often, in random order.

    Every class that has samples gets the same share of the ``count`` draws,
    or one draw more. Within a class, every sample is drawn equally often, or
    once more. So all samples of a rare class are drawn once before any of
    them is drawn again, and no sample of a frequent class is drawn twice.

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
    # Random classes get one draw more: always the same ones would be an
    # imbalance.
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
    beginning, so relabelling has an effect from the next epoch on. All ranks
    make the same draws and take turns, so each gets the same number.

    Wrong labels in a rare class are repeated with it. GAAVE therefore
    oversamples only in its final training, not while it looks for wrong
    labels.

    Args:
        dataset (FERDataset): Any data set with ``get_gt_labels()``.
        seed (int, optional): Seed, the same on all ranks. Defaults to None:
            it is drawn and shared, as mmengine's samplers do.
        epoch_size (int, optional): Draws per epoch over all ranks, rounded
            up to a multiple of their number. Defaults to None: the length
            of the data set.
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
        """Set the next epoch; each epoch has other draws.

        Args:
            epoch (int): Its number, from 0.
        """
        self.epoch = epoch
