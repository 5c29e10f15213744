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


def paired_indices(
    domains: np.ndarray, batch_size: int, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw batches whose halves come from two different domains.

    Each batch draws its two domains at random, with equal chances. No sample of a
    domain is repeated before all samples of the domain are drawn.

    Args:
        domains (np.ndarray): Domain of each sample, int (N,), at least two domains.
        batch_size (int): Size of a batch, even.
        count (int): Number of batches.
        rng (np.random.Generator): Source of all draws.

    Returns:
        np.ndarray: int64 (count * batch_size,), indices into ``domains``.
    """
    rows = [np.flatnonzero(domains == domain) for domain in np.unique(domains)]
    waiting = [rng.permutation(part) for part in rows]
    half = batch_size // 2
    drawn = []
    for _ in range(count):
        for number in rng.permutation(len(rows))[:2]:
            while len(waiting[number]) < half:
                again = rng.permutation(rows[number])
                waiting[number] = np.concatenate([waiting[number], again])
            drawn.append(waiting[number][:half])
            waiting[number] = waiting[number][half:]
    return np.concatenate(drawn)


class DrawingSampler(Sampler):
    """Base of samplers that draw all indices of an epoch at once.

    All ranks make the same draws, and each rank takes an equal part of them. A
    subclass sets ``num_samples``, the draws of one rank in an epoch, and implements
    :meth:`draw`.

    Args:
        dataset (FERDataset): Data set of which indices are drawn.
        seed (int, optional): Seed, the same on all ranks. None: it is drawn at random
            and sent to all ranks, as in mmengine's samplers.
    """

    num_samples: int

    def __init__(self, dataset: Any, seed: Optional[int]):
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.seed: int = sync_random_seed() if seed is None else seed
        self.epoch: int = 0

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the indices of an epoch over all ranks, int64 (count,)."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        """Draw the indices of this rank."""
        indices = self.draw(
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


@DATA_SAMPLERS.register_module()
class DomainSampler(DrawingSampler):
    """Fill the two halves of each batch from two different domains.

    This is what ``MixStyle(mix='crossdomain')`` needs. The draws of an epoch depend
    on (seed, epoch). In several processes, the halves are those of the global batch,
    and of the batch of each process.

    Args:
        dataset (LeaveOneDomainOut): Data set with ``get_domains()``: PACS or
            Office-Home.
        batch_size (int): Batch size of the data loader, even.
        seed (int, optional): Seed, the same on all ranks. Defaults to None: it is
            drawn at random and sent to all ranks, as in mmengine's samplers.
        shuffle (bool): Must be True. The argument exists so that a config can turn
            its ``DefaultSampler`` into this one by the type and the batch size.

    Raises:
        TypeError: The data set does not give domains.
        ValueError: ``batch_size`` is odd, ``shuffle`` is False, or there is only one
            domain.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        seed: Optional[int] = None,
        shuffle: bool = True,
    ):
        if not hasattr(dataset, 'get_domains'):
            raise TypeError(
                'DomainSampler asks the data set for its domains, but '
                f'{type(dataset).__name__} has no get_domains(). Use PACS or '
                "OfficeHome; for other data, use DefaultSampler and mix='random'."
            )
        if not shuffle:
            raise ValueError(
                'DomainSampler always draws at random. Remove shuffle=False, or use '
                'DefaultSampler.'
            )
        positive_int(self, 'batch_size', batch_size)
        if batch_size % 2:
            raise ValueError(
                f'DomainSampler: batch_size must be even, got {batch_size}, because '
                'each half of a batch comes from one domain.'
            )
        domains = np.unique(dataset.get_domains())
        if len(domains) < 2:
            raise ValueError(
                'DomainSampler: the data set has images of one domain only, and a '
                'batch needs two. Use the training split, or DefaultSampler and '
                "mix='random'."
            )
        super().__init__(dataset, seed)
        self.batch_size = batch_size
        batches = len(dataset) // (batch_size * self.world_size)
        self.num_samples = max(batches, 1) * batch_size

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the indices of an epoch over all ranks, int64 (count,)."""
        size = self.batch_size * self.world_size
        return paired_indices(self.dataset.get_domains(), size, count // size, rng)


@DATA_SAMPLERS.register_module()
class BalancedSampler(DrawingSampler):
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
        super().__init__(dataset, seed)
        self.num_samples = math.ceil(draws / self.world_size)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the indices of an epoch over all ranks, int64 (count,)."""
        return balanced_indices(self.dataset.get_gt_labels(), count, rng)
