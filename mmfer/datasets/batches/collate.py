"""Collate function that makes whole batches."""

from typing import Any, Iterator, List, Optional, Sequence

from mmengine.dataset import default_collate
from mmengine.registry import FUNCTIONS
from mmpretrain.structures import DataSample

from .sample_batch import SampleBatch


class IndexedSamples:
    """Samples of a batch that a data set has not made yet.

    A data loader gets them from a data set and gives them to its collate
    function. :func:`fer_collate` makes the whole batch at once. Any other
    collate function reads the samples one by one, as ``dataset[index]``.

    Args:
        dataset: Data set with ``stack(indices)``.
        indices (Sequence[int]): Positions of the samples in the data set.
    """

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset = dataset
        self.indices = list(indices)
        self._samples: Optional[List[dict]] = None

    def stack(self) -> dict:
        """Return the whole batch, see :func:`fer_collate`."""
        return self.dataset.stack(self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        # Collate functions read the samples several times.
        if self._samples is None:
            self._samples = [self.dataset[i] for i in self.indices]
        return self._samples[index]

    def __iter__(self) -> Iterator[dict]:
        return (self[i] for i in range(len(self)))


@FUNCTIONS.register_module()
def fer_collate(samples: Sequence[dict]) -> dict:
    """Make a batch of tensors.

    It takes samples of every data set. From data sets of mmfer, it gets whole
    batches, so nothing is done image by image that can be done at once.

    Args:
        samples (Sequence[dict]): Packed samples, ``inputs`` and
            ``data_samples``.

    Returns:
        dict: ``inputs``, uint8 (B, C, H, W) or :class:`PlannedImages`, and
        ``data_samples``, a :class:`SampleBatch`. If the samples cannot be
        stacked, the result is that of mmengine's ``default_collate``.
    """
    if isinstance(samples, IndexedSamples):
        return samples.stack()
    return stack_packed(samples)


def stack_packed(samples: Sequence[dict]) -> dict:
    """Stack packed samples, see :func:`fer_collate`."""
    batch = default_collate(samples)
    if isinstance(batch, dict):
        data_samples = batch.get('data_samples')
        if isinstance(data_samples, list) and isinstance(data_samples[0], DataSample):
            try:
                batch['data_samples'] = SampleBatch.from_samples(data_samples)
            except ValueError:
                # For example, several labels for each image.
                pass
    return batch
