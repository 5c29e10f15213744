"""Operations on batches from the built steps of a pipeline."""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import mmcv.transforms as mmcv
import mmpretrain.datasets.transforms as mmpretrain
from mmpretrain.datasets.transforms.processing import TorchVisonTransformWrapper
from torchvision.transforms import RandomAffine

from ...transforms import GaussianNoise
from .base import BatchOperation
from .cropping import CenterCropOperation, CropOperation
from .erasing import EraseOperation
from .flipping import FlipOperation
from .noise import NoiseOperation
from .resizing import ResizedCropOperation, ResizeOperation
from .warping import AffineOperation, RotateOperation
from .wrappers import ApplyOperation, ChoiceOperation, SequenceOperation


def batch_operation(transform: Any) -> Optional[BatchOperation]:
    """Make the batch form of one step of a pipeline.

    A subclass of a known step has none, because its behaviour is its own.

    Args:
        transform (Callable): A built step of mmcv, mmpretrain or mmfer.

    Returns:
        BatchOperation | None: None if the step or its options have no batch form.
    """
    make = _FORMS.get(type(transform))
    return None if make is None else make(transform)


def batch_operations(transforms: Sequence[Any]) -> Tuple[int, List[BatchOperation]]:
    """Make the batch forms of the longest possible end of a pipeline.

    Steps between ``NumpyToPIL`` and ``PILToNumpy`` are taken together with these two:
    a batch has no images of Pillow.

    Args:
        transforms (Sequence[Callable]): Built steps, without the step that packs.

    Returns:
        tuple: Number of steps at the start that stay, and the operations of all
        others.
    """
    operations: List[BatchOperation] = []
    start = len(transforms)
    while start:
        begin = _start_of_pillow(transforms, start)
        if begin is None:
            begin = start - 1
            made = [batch_operation(transforms[begin])]
        else:
            made = [
                _pillow_operation(step) for step in transforms[begin + 1 : start - 1]
            ]
        found = [operation for operation in made if operation is not None]
        if len(found) < len(made):
            break
        operations[:0] = found
        start = begin
    return start, operations


def register_batch_form(
    step: type, make: Callable[[Any], Optional[BatchOperation]]
) -> None:
    """Give a step of your own a form for whole batches.

    Args:
        step (type): Class of the step. Its subclasses have no batch form.
        make (Callable): Function from a built step to its operation, or None if
            its options have no batch form.
    """
    _FORMS[step] = make


def _start_of_pillow(transforms: Sequence[Any], end: int) -> Optional[int]:
    """Return the index of the ``NumpyToPIL`` of the ``PILToNumpy`` before ``end``."""
    last = transforms[end - 1]
    if type(last) is not mmpretrain.PILToNumpy or last.dtype is not None:
        return None
    for index in reversed(range(end - 1)):
        if type(transforms[index]) is mmpretrain.NumpyToPIL:
            # Another order of channels in between is not worth a batch form.
            plain = not transforms[index].to_rgb and not last.to_bgr
            return index if plain else None
    return None


def _pillow_operation(transform: Any) -> Optional[BatchOperation]:
    """Make the batch form of a step on images of Pillow."""
    if type(transform) is not TorchVisonTransformWrapper:
        return None
    if type(transform.t) is not RandomAffine:
        return None
    return AffineOperation.from_transform(transform)


def _sequence(transforms: Any) -> Optional[List[BatchOperation]]:
    """Make the batch forms of all steps of a ``Compose``."""
    start, operations = batch_operations(list(transforms))
    return operations if start == 0 else None


def _from_compose(transform: Any) -> Optional[BatchOperation]:
    operations = _sequence(transform)
    return None if operations is None else SequenceOperation(operations)


def _from_apply(transform: Any) -> Optional[BatchOperation]:
    operations = _sequence(transform.transforms)
    return None if operations is None else ApplyOperation(operations, transform.prob)


def _from_choice(transform: Any) -> Optional[BatchOperation]:
    branches = [_sequence(branch) for branch in transform.transforms]
    found = [branch for branch in branches if branch is not None]
    if len(found) < len(branches):
        return None
    probabilities = transform.prob or [1 / len(found)] * len(found)
    return ChoiceOperation(
        [b[0] if len(b) == 1 else SequenceOperation(b) for b in found], probabilities
    )


_FORMS: Dict[type, Callable[[Any], Optional[BatchOperation]]] = {
    GaussianNoise: NoiseOperation.from_transform,
    mmcv.CenterCrop: CenterCropOperation.from_transform,
    mmcv.Compose: _from_compose,
    mmcv.RandomApply: _from_apply,
    mmcv.RandomChoice: _from_choice,
    mmcv.RandomFlip: FlipOperation.from_transform,
    mmcv.Resize: ResizeOperation.from_transform,
    mmpretrain.RandomCrop: CropOperation.from_transform,
    mmpretrain.RandomErasing: EraseOperation.from_transform,
    mmpretrain.RandomResizedCrop: ResizedCropOperation.from_transform,
    mmpretrain.Rotate: RotateOperation.from_transform,
}
