"""Batches of a loader from a given position on."""

from itertools import islice
from typing import Any, Iterable, Iterator

from torch.utils.data import DataLoader

# Arguments of a loader that its copy with another batch sampler keeps.
KEPT = (
    'num_workers',
    'collate_fn',
    'pin_memory',
    'timeout',
    'worker_init_fn',
    'multiprocessing_context',
    'generator',
    'prefetch_factor',
    'persistent_workers',
    'pin_memory_device',
)


class LaterBatches:
    """Batch sampler without its first batches, which are not loaded either.

    Args:
        batches (Iterable): Batch sampler: a list of indices for each batch.
        skipped (int): Number of batches to leave out.
    """

    def __init__(self, batches: Iterable, skipped: int):
        self.batches = batches
        self.skipped = skipped

    def __iter__(self) -> Iterator:
        return islice(iter(self.batches), self.skipped, None)


class Passes:
    """Part of an endless batch sampler; each iteration takes the next part.

    mmengine's ``InfiniteSampler`` never ends, so nobody would know where one pass
    over the data ends and the next one begins. Each has another augmentation.

    Args:
        batches (Iterable): Endless batch sampler.
        length (int): Number of batches in a pass.
        skipped (int): Number of batches to leave out at the beginning.
    """

    def __init__(self, batches: Iterable, length: int, skipped: int = 0):
        self.length = length
        self._stream = islice(iter(batches), skipped, None)
        self._left = length - skipped % length

    def __iter__(self) -> Iterator:
        for batch in islice(self._stream, self._left):
            # Counted before the batch is used: a worker may never return it.
            self._left -= 1
            yield batch
        self._left = self.length


def with_batch_sampler(loader: DataLoader, batches: Any) -> DataLoader:
    """Return a loader of the same data with another batch sampler.

    Args:
        loader (DataLoader): Loader with a batch sampler of its own.
        batches (Iterable): Batch sampler.
    """
    options = {name: getattr(loader, name) for name in KEPT if hasattr(loader, name)}
    return DataLoader(loader.dataset, batch_sampler=batches, **options)


def remaining_batches(loader: Any, skipped: int) -> Iterable:
    """Return the batches of an epoch without the first ones.

    Args:
        loader (Any): Loader.
        skipped (int): Number of batches to leave out. A torch ``DataLoader``
            does not load them; any other iterable does.
    """
    if not skipped:
        return loader
    if isinstance(loader, DataLoader) and loader.batch_sampler is not None:
        return with_batch_sampler(loader, LaterBatches(loader.batch_sampler, skipped))
    return islice(iter(loader), skipped, None)
