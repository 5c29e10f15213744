"""Read the labels of several annotators, or of several tasks, from a batch."""

from typing import Sequence

import numpy as np

from mmfer.datasets.batches import SampleBatch, Samples, stack_field


def stack_array(data_samples: Samples, name: str) -> np.ndarray:
    """Stack a field that the pipeline must have packed, (B, ...).

    Args:
        data_samples (SampleBatch | list[DataSample]): The batch.
        name (str): ``gt_va`` or ``gt_label_sets``.

    Raises:
        ValueError: A sample does not have this field.
    """
    batch = isinstance(data_samples, SampleBatch)
    if not all(name in part for part in ([data_samples] if batch else data_samples)):
        raise ValueError(
            f'the model needs {name}, which the samples do not have. End '
            f"the pipeline with dict(type='PackFERInputs', algorithm_keys="
            f"('{name}', )), and use a data set that has it (gt_label_sets: "
            "label_noise=dict(type='Annotators', generators=[...]), without majority; "
            'gt_va: SyntheticFaces, AffectNet, or RAFDB with a va_list).'
        )
    return stack_field(data_samples, name).cpu().numpy()


def stack_label_sets(
    data_samples: Samples,
    sizes: Sequence[int],
    owner: str,
    width_hint: str,
    size_hint: str,
    lowest: int = 0,
) -> np.ndarray:
    """Return the field ``gt_label_sets`` of a batch, int64 (B, T), on the CPU.

    The labels are checked here, before they are moved, because the CPU would have to
    wait for a check on the GPU.

    Args:
        data_samples (SampleBatch | list[DataSample]): The batch.
        sizes (Sequence[int]): Number of classes of each of the T label sets.
        owner (str): What has these sets, in words, for messages.
        width_hint (str): What to do if the samples have another number of sets.
        size_hint (str): What to do if a label is out of range.
        lowest (int): Smallest label; -1 allows missing labels. Defaults to 0.

    Raises:
        ValueError: The samples do not have these label sets.
    """
    given = stack_array(data_samples, 'gt_label_sets').reshape(len(data_samples), -1)
    if given.shape[1] != len(sizes):
        raise ValueError(
            f'{owner} has {len(sizes)} discrete label sets, but the samples have '
            f'labels of {given.shape[1]} sets. {width_hint}'
        )
    if (given < lowest).any() or (given >= sizes).any():
        raise ValueError(
            f'{owner} has label sets of {list(sizes)} classes, but the labels of the '
            f'samples go from {given.min(axis=0).tolist()} to '
            f'{given.max(axis=0).tolist()}. {size_hint}'
        )
    return given
