"""Random steps of a pipeline for a whole batch, on the device of the model.

===========================================  ================================
step of a pipeline                           operation
===========================================  ================================
``RandomFlip`` of mmcv                       :class:`FlipOperation`
``CenterCrop`` of mmcv                       :class:`CenterCropOperation`
``RandomCrop`` of mmpretrain                 :class:`CropOperation`
``Resize`` of mmcv, bilinear                 :class:`ResizeOperation`
``RandomResizedCrop`` of mmpretrain          :class:`ResizedCropOperation`
``RandomErasing`` of mmpretrain              :class:`EraseOperation`
``GaussianNoise`` of mmfer                   :class:`NoiseOperation`
``Rotate`` of mmpretrain, bilinear           :class:`RotateOperation`
``torchvision/RandomAffine``, bilinear       :class:`AffineOperation`
``RandomApply``, ``RandomChoice``, sequence  :mod:`.wrappers`
===========================================  ================================

:func:`batch_operation` turns a built step into its operation,
:func:`batch_operations` the end of a pipeline.
"""

from .base import BatchOperation, UnsupportedShape
from .cropping import CenterCropOperation, CropOperation
from .erasing import EraseOperation
from .factory import batch_operation, batch_operations, register_batch_form
from .flipping import FlipOperation
from .noise import NoiseOperation
from .resizing import ResizedCropOperation, ResizeOperation
from .warping import AffineOperation, RotateOperation
from .wrappers import ApplyOperation, ChoiceOperation, SequenceOperation

__all__ = [
    'AffineOperation',
    'ApplyOperation',
    'BatchOperation',
    'CenterCropOperation',
    'ChoiceOperation',
    'CropOperation',
    'EraseOperation',
    'FlipOperation',
    'NoiseOperation',
    'ResizeOperation',
    'ResizedCropOperation',
    'RotateOperation',
    'SequenceOperation',
    'UnsupportedShape',
    'batch_operation',
    'batch_operations',
    'register_batch_form',
]
