"""Crops of a fixed size, at the centre or at a random place."""

import math
from typing import Any, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from .base import (
    BatchOperation,
    Shape,
    UnsupportedShape,
    channel_tensor,
    empty_images,
    integers,
    pixel_values,
)


class CropOperation(BatchOperation):
    """``RandomCrop`` of mmpretrain. Its pixels are exact.

    The parameters are the first row and column of the crop in the padded image.

    Args:
        size (tuple[int, int]): Height and width of the crop.
        padding (tuple[int, int, int, int]): Rows and columns that are added to the
            left, top, right and bottom. Defaults to none.
        pad_if_needed (bool): Whether smaller images are padded to the size of the
            crop. Defaults to False: then the crop is smaller.
        pad_val (Number | Sequence[Number]): Border value of OpenCV, which gives a
            single number to the first channel only. Defaults to 0.
    """

    draws = 2
    columns = 2

    def __init__(
        self,
        size: Tuple[int, int],
        padding: Tuple[int, int, int, int] = (0, 0, 0, 0),
        pad_if_needed: bool = False,
        pad_val: Any = 0,
    ):
        self.size = size
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.pad_val = pad_val

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``RandomCrop``."""
        # mmpretrain uses the mode for pad_if_needed alone, not for padding.
        if transform.pad_if_needed and transform.padding_mode != 'constant':
            return None
        padding = _four_sides(transform.padding)
        if padding is None:
            return None
        height, width = transform.crop_size
        return cls((height, width), padding, transform.pad_if_needed, transform.pad_val)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the size of the crop, which is not larger than the padded image."""
        pixel = pixel_values(self.pad_val, shape[2])
        if pixel is None and any(self._pads(shape)):
            raise UnsupportedShape(
                f'RandomCrop: pad_val={self.pad_val} does not fit images with '
                f'{shape[2]} channels. Give one number per channel.'
            )
        height, width = self._padded_size(shape)
        return min(self.size[0], height), min(self.size[1], width), shape[2]

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw the place of each crop."""
        places = self._places(shape)
        return integers(uniforms, np.array(places, float))

    def neutral(self, shape: Shape) -> Optional[np.ndarray]:
        """Return the place of the original image in the padded one."""
        if self.output_shape(shape) != shape:
            return None
        left, top, _, _ = self._pads(shape)
        return np.array([top, left], float)

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Crop all images; on a CPU, too, all are computed."""
        return self.apply_static(images, plan)

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Pad all images, then gather the pixels of each crop."""
        shape = (images.shape[2], images.shape[3], images.shape[1])
        height, width, _ = self.output_shape(shape)
        padded = self._pad(images, shape).permute(0, 2, 3, 1)
        if images.device.type == 'cpu':
            return _slices(padded, plan, height, width).permute(0, 3, 1, 2)
        device = images.device
        top, left = plan.long().unbind(1)
        sample = torch.arange(len(images), device=device).view(-1, 1, 1)
        rows = top.view(-1, 1, 1) + torch.arange(height, device=device).view(-1, 1)
        columns = left.view(-1, 1, 1) + torch.arange(width, device=device)
        return padded[sample, rows, columns].permute(0, 3, 1, 2)

    def _pad(self, images: Tensor, shape: Shape) -> Tensor:
        left, top, right, bottom = self._pads(shape)
        if not (left or top or right or bottom):
            return images
        values = pixel_values(self.pad_val, shape[2])
        assert values is not None  # output_shape has checked it
        height, width = self._padded_size(shape)
        padded = empty_images(images, len(images), height, width, shape[2])
        border = channel_tensor(values, images)
        if isinstance(border, int):
            padded.fill_(border)
        else:
            padded.copy_(border.expand_as(padded))
        padded[:, :, top : top + shape[0], left : left + shape[1]] = images
        return padded

    def _pads(self, shape: Shape) -> Tuple[int, int, int, int]:
        """Return the padding of the left, top, right and bottom side."""
        left, top, right, bottom = self.padding
        if self.pad_if_needed:
            rows = math.ceil(max(0, self.size[0] - shape[0] - top - bottom) / 2)
            columns = math.ceil(max(0, self.size[1] - shape[1] - left - right) / 2)
            left, right = left + columns, right + columns
            top, bottom = top + rows, bottom + rows
        return left, top, right, bottom

    def _padded_size(self, shape: Shape) -> Tuple[int, int]:
        left, top, right, bottom = self._pads(shape)
        return shape[0] + top + bottom, shape[1] + left + right

    def _places(self, shape: Shape) -> Tuple[int, int]:
        """Return the number of rows and columns at which a crop can start."""
        height, width = self._padded_size(shape)
        return max(height - self.size[0], 0) + 1, max(width - self.size[1], 0) + 1


class CenterCropOperation(BatchOperation):
    """``CenterCrop`` of mmcv. Its pixels are exact; it draws nothing.

    Args:
        size (tuple[int, int]): Width and height of the crop.
        auto_pad (bool): Whether smaller images are padded, which has no batch form.
            Defaults to False: then the crop is smaller.
    """

    def __init__(self, size: Tuple[int, int], auto_pad: bool = False):
        self.size = size
        self.auto_pad = auto_pad

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``CenterCrop``."""
        return cls(transform.crop_size, transform.auto_pad)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the size of the crop, which is not larger than the image."""
        width, height = self.size
        if self.auto_pad and (height > shape[0] or width > shape[1]):
            raise UnsupportedShape(
                f'CenterCrop: images of {shape[1]} x {shape[0]} pixels would be padded '
                f'to {width} x {height}, which has no batch form.'
            )
        return min(height, shape[0]), min(width, shape[1]), shape[2]

    def neutral(self, shape: Shape) -> Optional[np.ndarray]:
        """Return no parameters if the crop is the whole image."""
        return np.zeros(0) if self.output_shape(shape) == shape else None

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Crop all images; on a CPU, too, all are computed."""
        return self.apply_static(images, plan)

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Crop the centre of all images."""
        shape = (images.shape[2], images.shape[3], images.shape[1])
        height, width, _ = self.output_shape(shape)
        # Halves go to the even number, as mmcv rounds them.
        top = round((shape[0] - height) / 2)
        left = round((shape[1] - width) / 2)
        return images[:, :, top : top + height, left : left + width]


def _slices(images: Tensor, plan: Tensor, height: int, width: int) -> Tensor:
    """Copy one slice of each image, shape (B, H, W, C), on a CPU.

    A slice is copied row by row, in a fraction of the time of a gather of pixels.
    """
    source = images.numpy()
    result = np.empty((len(source), height, width, source.shape[3]), source.dtype)
    for image, crop, (top, left) in zip(source, result, plan.long().tolist()):
        crop[:] = image[top : top + height, left : left + width]
    return torch.from_numpy(result)


def _four_sides(padding: Any) -> Optional[Tuple[int, int, int, int]]:
    """Return the padding of the left, top, right and bottom side."""
    if padding is None:
        return 0, 0, 0, 0
    if not isinstance(padding, Sequence):
        return padding, padding, padding, padding
    if isinstance(padding, tuple) and len(padding) in (2, 4):
        left, top, right, bottom = (padding * 2)[:4]
        return left, top, right, bottom
    # impad refuses all others; the step itself raises the error.
    return None
