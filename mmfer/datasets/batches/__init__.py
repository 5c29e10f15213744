"""Whole batches: stacked samples, the split of a pipeline, and its batch steps.

- `sample_batch`: :class:`SampleBatch`, the tensors of a batch that can also be
  read as data samples.
- `planned_images`: images of a batch that still have to be augmented.
- `collate`: :func:`fer_collate`, the collate function for data loaders.
- `splitting`: which steps of a pipeline are done once, per image, or per batch.
- `operations`: steps of a pipeline for whole batches.
"""

from .collate import IndexedSamples, fer_collate, stack_packed
from .planned_images import PlannedImages
from .sample_batch import SampleBatch, Samples, has_field, stack_field
from .splitting import SplitPipeline, split_pipeline

__all__ = [
    'IndexedSamples',
    'PlannedImages',
    'SampleBatch',
    'Samples',
    'SplitPipeline',
    'fer_collate',
    'has_field',
    'split_pipeline',
    'stack_field',
    'stack_packed',
]
