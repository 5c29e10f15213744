"""Views of a data set: its samples with other labels or another pipeline."""

import copy
from typing import Callable, List, Sequence

import numpy as np
import torch
from mmengine.dataset import Compose
from numpy.typing import ArrayLike

from mmfer.registry import TRANSFORMS

from .base import FERDataset
from .batches import IndexedSamples, SampleBatch
from .stored_images import DeviceKeys


class LabelView:
    """View of some samples of a data set with the labels of another task.

    The data set itself and its labels do not change.

    Args:
        dataset (FERDataset): Its pipeline must end with ``PackFERInputs``.
        sample_ids (array-like): Samples of the view, int64 (N,).
        labels (array-like): Their labels, int64 (N,), in [0,
            ``num_classes``).
        num_classes (int): Number of classes of the other task.

    Raises:
        ValueError: The data set lacks some of these samples.
    """

    def __init__(
        self,
        dataset: FERDataset,
        sample_ids: ArrayLike,
        labels: ArrayLike,
        num_classes: int,
    ):
        wanted = np.asarray(sample_ids, dtype=np.int64)
        order = np.argsort(dataset.sample_ids, kind='stable')
        places = np.searchsorted(dataset.sample_ids, wanted, sorter=order)
        self.positions = order[places.clip(max=len(order) - 1)]
        missing = dataset.sample_ids[self.positions] != wanted
        if missing.any():
            raise ValueError(
                f'{int(missing.sum())} of {len(wanted)} samples are not '
                f'in this {type(dataset).__name__}, e.g. sample '
                f'{wanted[missing][0]}.'
            )
        self.dataset = dataset
        self.sample_ids = wanted
        self.labels = np.asarray(labels, dtype=np.int64)
        self.metainfo = dict(classes=tuple(f'class {i}' for i in range(num_classes)))

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> dict:
        packed = self.dataset[int(self.positions[index])]
        packed['data_samples'].set_gt_label(int(self.labels[index]))
        return packed

    def __getitems__(self, indices: Sequence[int]) -> IndexedSamples:
        """Return samples that a collate function can make at once."""
        return IndexedSamples(self, indices)

    def stack(self, indices: Sequence[int]) -> dict:
        """Make a batch, see :func:`~mmfer.datasets.batches.fer_collate`."""
        batch = self.dataset.stack(self.positions[list(indices)].tolist())
        samples, labels = batch['data_samples'], self.labels[list(indices)]
        if isinstance(samples, SampleBatch):
            batch['data_samples'] = samples.replace(gt_label=torch.from_numpy(labels))
        else:
            for sample, label in zip(samples, labels.tolist(), strict=True):
                sample.set_gt_label(label)
        return batch

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels of the view, int64 (N,)."""
        return self.labels


def view_of(dataset: FERDataset) -> FERDataset:
    """Return a view of a data set, whose attributes can be replaced.

    Its batches have images even if those of the data set are on a device, because
    another model may read them.

    Args:
        dataset (FERDataset): Any data set.
    """
    view = copy.copy(dataset)
    view._resident = DeviceKeys()
    return view


def with_pipeline(dataset: FERDataset, pipeline: List[dict]) -> FERDataset:
    """Return a view of a data set with the same labels, but another pipeline.

    Args:
        dataset (FERDataset): A training set.
        pipeline (list[dict]): Configs of transforms.
    """
    view = view_of(dataset)
    view.pipeline = Compose([TRANSFORMS.build(step) for step in pipeline])
    return view


def unaugmented(dataset: FERDataset, pipeline: Callable) -> FERDataset:
    """Return a view of a data set with the same labels, but no augmentation.

    Args:
        dataset (FERDataset): Any data set, such as a training set.
        pipeline (Callable): A deterministic pipeline, such as that of a
            validation set.
    """
    view = view_of(dataset)
    view.pipeline = pipeline
    view.test_mode = True
    return view
