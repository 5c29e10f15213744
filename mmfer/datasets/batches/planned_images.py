"""Images of a batch that still have to be augmented."""

from typing import Any, Iterator, Mapping, NamedTuple, NoReturn, Optional, Sequence

import numpy as np
import torch
from torch import Tensor

from mmfer.utils.counter_random import uniforms

from .operations import BatchOperation
from .operations.base import Shape

# Epoch offset of the draws of a second view, larger than any run, and larger than that
# of the second pass over a training set.
SECOND_VIEW_OFFSET = 1 << 21


class Origin(NamedTuple):
    """Key of the random numbers of a plan.

    Attributes:
        shape (tuple[int, int, int]): (H, W, C) of an image before the operations.
        seed (int): Seed of the run.
        epoch (int): Epoch, 0-based.
        sample_ids (np.ndarray): int64 (B,).
    """

    shape: Shape
    seed: int
    epoch: int
    sample_ids: np.ndarray


class PlannedStep(NamedTuple):
    """One operation, and where its parameters are.

    Attributes:
        operation (BatchOperation): What to do.
        start (int): First column of its parameters in the plan.
        stop (int): Column after the last one.
    """

    operation: BatchOperation
    start: int
    stop: int


class PlannedImages:
    """Images of a batch with the random operations that remain to be done.

    A data loader returns them as ``inputs``. ``FERDataPreprocessor`` moves
    them to the device of the model and calls :meth:`apply` there. All draws are
    made already, so the result does not depend on the device.

    Args:
        images (Tensor): uint8 (B, C, H, W). If the images of the whole data set
            are on the device already: their rows there, int64 (B,).
        steps (Sequence[PlannedStep]): Operations, in order.
        plan (Tensor): Parameters of all operations, float64 (B, P).
        source (str): Key of the images on the device. Defaults to '': the
            images are here.
        origin (Origin, optional): What the plan was drawn from. Defaults to None.
    """

    def __init__(
        self,
        images: Tensor,
        steps: Sequence[PlannedStep],
        plan: Tensor,
        source: str = '',
        origin: Optional[Origin] = None,
    ):
        self.images = images
        self.steps = tuple(steps)
        self.plan = plan
        self.source = source
        self.origin = origin

    @classmethod
    def draw(
        cls,
        images: Tensor,
        shape: Shape,
        operations: Sequence[BatchOperation],
        seed: int,
        epoch: int,
        sample_ids: np.ndarray,
        source: str = '',
    ) -> 'PlannedImages':
        """Draw the parameters of all operations.

        Args:
            images (Tensor): uint8 (B, C, H, W), or rows int64 (B,).
            shape (tuple[int, int, int]): (H, W, C) of an image.
            operations (Sequence[BatchOperation]): Steps, in order.
            seed (int): Seed of the run.
            epoch (int): Epoch, 0-based.
            sample_ids (np.ndarray): int64 (B,).
            source (str): Key of the images on the device. Defaults to ''.
        """
        origin = Origin(shape, seed, epoch, sample_ids)
        steps, plans, start = [], [np.zeros((len(sample_ids), 0))], 0
        for stream, operation in enumerate(operations):
            numbers = uniforms(seed, epoch, sample_ids, stream, operation.draws)
            plan = operation.plan(numbers, shape)
            steps.append(PlannedStep(operation, start, start + plan.shape[1]))
            plans.append(plan)
            start += plan.shape[1]
            shape = operation.output_shape(shape)
        columns = torch.from_numpy(np.concatenate(plans, axis=1))
        return cls(images, steps, columns, source, origin)

    def second_view(self) -> 'PlannedImages':
        """Return the same images with other draws of the same operations.

        The draws depend on the seed, the epoch and the sample, as the first ones do.

        Raises:
            RuntimeError: The plan was not made by :meth:`draw`.
        """
        if self.origin is None:
            raise RuntimeError(
                'PlannedImages.second_view: these images do not know what their plan '
                'was drawn from. Make them with PlannedImages.draw.'
            )
        operations = [step.operation for step in self.steps]
        shape, seed, epoch, sample_ids = self.origin
        return self.draw(
            self.images,
            shape,
            operations,
            seed,
            epoch + SECOND_VIEW_OFFSET,
            sample_ids,
            self.source,
        )

    def apply(self, resident: Optional[Mapping[str, Tensor]] = None) -> Tensor:
        """Return the augmented images, uint8 (B, C, H, W).

        Args:
            resident (Mapping[str, Tensor], optional): Images of whole data sets
                on the device, uint8 (N, H, W, C), by key.

        Raises:
            RuntimeError: The images are on the device for another model.
        """
        images = self.images
        if self.source:
            if resident is None or self.source not in resident:
                raise RuntimeError(
                    'the images of this batch are in the memory of another model, '
                    'which trains on the same data set. Set '
                    'default_hooks.image_store.on_device=False.'
                )
            images = resident[self.source][images].permute(0, 3, 1, 2)
        for operation, start, stop in self.steps:
            images = operation.apply(images, self.plan[:, start:stop])
        return images

    def to(self, device: Any, non_blocking: bool = False) -> 'PlannedImages':
        """Return the same images and plan on another device."""
        return type(self)(
            self.images.to(device, non_blocking=non_blocking),
            self.steps,
            self.plan.to(device, non_blocking=non_blocking),
            self.source,
            self.origin,
        )

    def pin_memory(self) -> 'PlannedImages':
        """Return the images in pinned memory, for copies that do not block."""
        return type(self)(
            self.images.pin_memory(),
            self.steps,
            self.plan.pin_memory(),
            self.source,
            self.origin,
        )

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[NoReturn]:
        # Another data preprocessor would train without augmentation.
        raise TypeError(
            'these images are not ready yet: '
            f'{", ".join(repr(step.operation) for step in self.steps) or "nothing"} '
            'remains to be done by the data preprocessor, and this one does not '
            'know how. Set '
            "data_preprocessor.type='FERDataPreprocessor', or let the data loader "
            "augment each image: train_dataloader.collate_fn=dict(type='"
            "default_collate')."
        )
