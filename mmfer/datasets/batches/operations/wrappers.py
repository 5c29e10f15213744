"""Sequences of operations, and operations that some images do not take."""

from typing import Iterator, List, Optional, Sequence

import numpy as np
from torch import Tensor

from .base import BatchOperation, Shape, UnsupportedShape


class SequenceOperation(BatchOperation):
    """Operations one after the other, as ``Compose`` of mmcv.

    Args:
        operations (Sequence[BatchOperation]): They are applied in this order.
    """

    def __init__(self, operations: Sequence[BatchOperation]):
        self.operations = tuple(operations)
        self.draws = sum(operation.draws for operation in self.operations)
        self.columns = sum(operation.columns for operation in self.operations)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape after the last operation."""
        for operation in self.operations:
            shape = operation.output_shape(shape)
        return shape

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Plan each operation for the shape that it gets."""
        plans = [np.zeros((len(uniforms), 0))]
        widths = [operation.draws for operation in self.operations]
        for operation, numbers in zip(self.operations, _parts(uniforms, widths)):
            plans.append(operation.plan(numbers, shape))
            shape = operation.output_shape(shape)
        return np.concatenate(plans, 1)

    def neutral(self, shape: Shape) -> Optional[np.ndarray]:
        """Return the neutral parameters of all operations."""
        rows = [operation.neutral(shape) for operation in self.operations]
        # An operation with neutral parameters keeps the shape.
        known = [row for row in rows if row is not None]
        return (
            np.concatenate([np.zeros(0), *known]) if len(known) == len(rows) else None
        )

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Apply the operations one after the other."""
        widths = [operation.columns for operation in self.operations]
        for operation, part in zip(self.operations, _parts(plan, widths)):
            images = operation.apply(images, part)
        return images

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Apply the operations one after the other, with static shapes."""
        widths = [operation.columns for operation in self.operations]
        for operation, part in zip(self.operations, _parts(plan, widths)):
            images = operation.apply_static(images, part)
        return images


class ApplyOperation(SequenceOperation):
    """``RandomApply`` of mmcv: each image takes the operations, or none of them.

    The gate is part of the plan: without the operations, an image gets their neutral
    parameters.

    Args:
        operations (Sequence[BatchOperation]): They must keep the shape of images.
        prob (float): Probability that an image takes them.
    """

    def __init__(self, operations: Sequence[BatchOperation], prob: float):
        super().__init__(operations)
        self.prob = prob
        self.draws += 1

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape, which stays."""
        require_neutral(self, self.operations, shape)
        return super().output_shape(shape)

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw who takes the operations, and plan them."""
        plan = super().plan(uniforms[:, 1:], shape)
        plan[uniforms[:, 0] >= self.prob] = self.neutral(shape)
        return plan


class ChoiceOperation(SequenceOperation):
    """``RandomChoice`` of mmcv: each image takes one of several operations.

    The others get neutral parameters for this image.

    Args:
        operations (Sequence[BatchOperation]): They must keep the shape of images.
        probabilities (Sequence[float]): One per operation; they sum to 1.
    """

    def __init__(
        self, operations: Sequence[BatchOperation], probabilities: Sequence[float]
    ):
        super().__init__(operations)
        self.probabilities = tuple(probabilities)
        self.draws += 1

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape, which stays."""
        require_neutral(self, self.operations, shape)
        return super().output_shape(shape)

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw the operation of each image, and plan it."""
        edges = np.cumsum(self.probabilities)[:-1]
        chosen = np.searchsorted(edges, uniforms[:, 0], side='right')
        plan = super().plan(uniforms[:, 1:], shape)
        widths = [operation.columns for operation in self.operations]
        for index, part in enumerate(_parts(plan, widths)):
            part[chosen != index] = self.operations[index].neutral(shape)
        return plan


def require_neutral(
    owner: BatchOperation, operations: Sequence[BatchOperation], shape: Shape
) -> None:
    """Check that images can leave the operations out.

    Raises:
        UnsupportedShape: An operation changes the shape.
    """
    for operation in operations:
        if operation.neutral(shape) is None:
            raise UnsupportedShape(
                f'{type(owner).__name__}: {operation} gives images of shape {shape} '
                f'the shape {operation.output_shape(shape)}, and other images of the '
                'batch keep theirs. Only steps that keep the shape have a batch form.'
            )


def _parts(values, widths: List[int]) -> Iterator:
    """Split columns, shape (B, sum of widths), into views of the given widths."""
    start = 0
    for width in widths:
        yield values[:, start : start + width]
        start += width
