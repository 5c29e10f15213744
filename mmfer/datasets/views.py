"""A part of a data set with the labels of another task."""

import copy
from typing import Callable, List, Sequence

import numpy as np
from mmengine.dataset import Compose

from mmfer.registry import TRANSFORMS

from .base import FERDataset


class LabelView:
    """Samples of a data set under labels of their own.

    The data set itself, its labels and its other users see nothing of it.

    Args:
        dataset (FERDataset): Ends its pipeline with ``PackFERInputs``.
        sample_ids (np.ndarray): Which samples, int64 (N, ).
        labels (np.ndarray): int64 (N, ), in [0, ``num_classes``).
        num_classes (int): Of the other task.

    Raises:
        ValueError: The data set has not got these samples.
    """

    def __init__(
        self,
        dataset: FERDataset,
        sample_ids: Sequence[int],
        labels: Sequence[int],
        num_classes: int,
    ):
        sample_ids = np.asarray(sample_ids, dtype=np.int64)
        order = np.argsort(dataset.sample_ids, kind='stable')
        places = np.searchsorted(dataset.sample_ids, sample_ids, sorter=order)
        self.positions = order[places.clip(max=len(order) - 1)]
        missing = dataset.sample_ids[self.positions] != sample_ids
        if missing.any():
            raise ValueError(
                f'{int(missing.sum())} of {len(sample_ids)} samples are not '
                f'in this {type(dataset).__name__}, e.g. sample '
                f'{sample_ids[missing][0]}.'
            )
        self.dataset = dataset
        self.sample_ids = sample_ids
        self.labels = np.asarray(labels, dtype=np.int64)
        self.metainfo = dict(classes=tuple(f'class {i}' for i in range(num_classes)))

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> dict:
        packed = self.dataset[int(self.positions[index])]
        packed['data_samples'].set_gt_label(int(self.labels[index]))
        return packed

    def get_gt_labels(self) -> np.ndarray:
        """The labels, int64 (N, )."""
        return self.labels


def with_pipeline(dataset: FERDataset, pipeline: List[dict]) -> FERDataset:
    """The same samples and labels with another augmentation.

    Args:
        dataset (FERDataset): A training set.
        pipeline (list[dict]): Configs of transforms.
    """
    view = copy.copy(dataset)
    view.pipeline = Compose([TRANSFORMS.build(step) for step in pipeline])
    return view


def unaugmented(dataset: FERDataset, pipeline: Callable) -> FERDataset:
    """The same samples and labels through another, deterministic pipeline.

    Args:
        dataset (FERDataset): E.g. a training set.
        pipeline (Callable): That of a validation set.
    """
    view = copy.copy(dataset)
    view.pipeline = pipeline
    view.test_mode = True
    return view
