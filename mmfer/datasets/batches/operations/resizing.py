"""Bilinear resizing of whole images and of random crops."""

import math
from typing import Any, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .base import BatchOperation, Shape, integers
from .sampling import round_pixels, sample_pixels


class ResizeOperation(BatchOperation):
    """Bilinear ``Resize`` of mmcv to a fixed size; it draws nothing.

    Like OpenCV, it does not smooth before it makes images smaller. The pixels differ
    from those of OpenCV by at most one grey level: OpenCV rounds the weights to
    1 / 2,048.

    Args:
        size (tuple[int, int]): Width and height.
    """

    def __init__(self, size: Tuple[int, int]):
        self.size = size

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``Resize``."""
        fixed = transform.scale is not None and not transform.keep_ratio
        if not fixed or (transform.backend, transform.interpolation) != (
            'cv2',
            'bilinear',
        ):
            return None
        width, height = transform.scale
        return cls((width, height))

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape with the new height and width."""
        return self.size[1], self.size[0], shape[2]

    def neutral(self, shape: Shape) -> Optional[np.ndarray]:
        """Return no parameters if the images have this size already."""
        return np.zeros(0) if self.output_shape(shape) == shape else None

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Resize all images."""
        size = self.size[::-1]
        if images.shape[2:] == size:
            return images
        resized = F.interpolate(
            images.float(), size=size, mode='bilinear', align_corners=False
        )
        return round_pixels(resized)


class ResizedCropOperation(BatchOperation):
    """Bilinear ``RandomResizedCrop`` of mmpretrain.

    The boxes are exact, pixels differ by at most one grey level. The parameters are
    top, left, height and width of the box.

    Args:
        size (tuple[int, int]): Height and width of the result.
        area (tuple[float, float]): Range of the share of the image.
        aspect (tuple[float, float]): Range of width over height.
        attempts (int): Boxes that are drawn until one fits; then the centre is taken.
    """

    columns = 4

    def __init__(
        self,
        size: Tuple[int, int],
        area: Tuple[float, float],
        aspect: Tuple[float, float],
        attempts: int,
    ):
        self.size = size
        self.area = area
        self.aspect = aspect
        self.attempts = attempts
        self.draws = 2 * attempts + 2

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``RandomResizedCrop``."""
        if (transform.backend, transform.interpolation) != ('cv2', 'bilinear'):
            return None
        height, width = transform.scale
        return cls(
            (height, width),
            tuple(transform.crop_ratio_range),
            tuple(transform.aspect_ratio_range),
            transform.max_attempts,
        )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape with the new height and width."""
        return self.size[0], self.size[1], shape[2]

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw the box of each image: the first that fits, or the centre."""
        height, width = shape[:2]
        # The last attempt is the centre, which always fits.
        central_rows, central_columns = self._central_size(height, width)
        boxes = uniforms[:, :-2].reshape(len(uniforms), self.attempts, 2)
        low, high = self.area
        area = height * width * (low + (high - low) * boxes[..., 0])
        low, high = map(math.log, self.aspect)
        aspect = np.exp(low + (high - low) * boxes[..., 1])
        columns = np.rint(np.sqrt(area * aspect))
        rows = np.rint(np.sqrt(area / aspect))
        fits = (columns > 0) & (columns <= width) & (rows > 0) & (rows <= height)
        fits = np.pad(fits, ((0, 0), (0, 1)), constant_values=True)
        first = fits.argmax(1)[:, None]
        sizes = [
            np.take_along_axis(
                np.pad(values, ((0, 0), (0, 1)), constant_values=central), first, 1
            )[:, 0]
            for values, central in ((rows, central_rows), (columns, central_columns))
        ]
        spare = np.array([height, width]) - np.stack(sizes, 1)
        places = integers(uniforms[:, -2:], spare + 1)
        places = np.where(first == self.attempts, spare // 2, places)
        return np.column_stack([places, *sizes])

    def neutral(self, shape: Shape) -> Optional[np.ndarray]:
        """Return the box of the whole image, if its size stays."""
        if self.output_shape(shape) != shape:
            return None
        return np.array([0, 0, shape[0], shape[1]], float)

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Resize the box of each image."""
        grids = []
        for axis, size in ((1, self.size[1]), (0, self.size[0])):
            start, length = (plan[:, i, None].float() for i in (axis, axis + 2))
            # Pixels beyond the box are those of its edge, as if it was cut out.
            steps = torch.arange(size, device=images.device) + 0.5
            inside = (steps * (length / size) - 0.5).clamp_(min=0)
            places = start + torch.minimum(inside, length - 1)
            grids.append((2 * places + 1) / images.shape[3 - (axis == 0)] - 1)
        x, y = grids
        shape = (len(images), *self.size)
        grid = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], 3)
        return round_pixels(sample_pixels(images, grid, 'border'))

    def _central_size(self, height: int, width: int) -> Sequence[int]:
        low, high = min(self.aspect), max(self.aspect)
        if width / height < low:
            return round(width / low), width
        if width / height > high:
            return height, round(height * high)
        return height, width
