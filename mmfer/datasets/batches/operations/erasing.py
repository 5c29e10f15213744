"""Random erasing of rectangles."""

from typing import Any, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from mmfer.utils.counter_random import normals, random_bytes

from .base import (
    BatchOperation,
    Shape,
    UnsupportedShape,
    channel_tensor,
    copy_images,
    integers,
)

BYTES, NORMAL = 'bytes', 'normal'


class EraseOperation(BatchOperation):
    """``RandomErasing`` of mmpretrain.

    The rectangles are exact: their area and the logarithm of their aspect are
    uniform, sides are rounded and at most those of the image. As in mmpretrain, a
    rectangle never touches the last row or column unless it fills the side.

    The parameters are top, left, height and width of the rectangle, and two key
    words of its random pixels.

    Args:
        prob (float): Probability of a rectangle.
        area (tuple[float, float]): Range of its share of the image.
        aspect (tuple[float, float]): Range of height over width.
        color (Sequence[float]): Grey levels of the three channels; mean of the
            normal distribution with ``fill='normal'``.
        fill (str): ``'color'``, ``'bytes'`` for uniform pixels or ``'normal'``.
            Defaults to ``'color'``.
        std (Sequence[float]): Standard deviation of ``'normal'``.
    """

    draws = 7
    columns = 6

    def __init__(
        self,
        prob: float,
        area: Tuple[float, float],
        aspect: Tuple[float, float],
        color: Sequence[float],
        fill: str = 'color',
        std: Sequence[float] = (0.0, 0.0, 0.0),
    ):
        self.prob = prob
        self.area = area
        self.aspect = aspect
        self.color = tuple(color)
        self.fill = fill
        self.std = tuple(std)

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``RandomErasing``."""
        fill = 'color'
        if transform.mode == 'rand':
            fill = BYTES if transform.fill_std is None else NORMAL
        elif not all(0 <= value < 256 for value in transform.fill_color):
            return None
        return cls(
            transform.erase_prob,
            (transform.min_area_ratio, transform.max_area_ratio),
            tuple(transform.aspect_range),
            transform.fill_color,
            fill,
            transform.fill_std or (0.0, 0.0, 0.0),
        )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape, which must have three channels as in mmpretrain."""
        if shape[2] != 3:
            raise UnsupportedShape(
                f'RandomErasing: images need 3 channels, got {shape[2]}. Load them in '
                "colour with LoadFERImage(color_type='color'), or leave the step out."
            )
        return shape

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw the rectangle of each image."""
        height, width = shape[:2]
        low, high = np.log(np.array(self.aspect, np.float32)).astype(float)
        aspect = np.exp(low + (high - low) * uniforms[:, 1])
        low, high = self.area
        area = height * width * (low + (high - low) * uniforms[:, 2])
        rows = np.minimum(np.rint(np.sqrt(area * aspect)), height)
        columns = np.minimum(np.rint(np.sqrt(area / aspect)), width)
        top = integers(uniforms[:, 3], height - rows)
        left = integers(uniforms[:, 4], width - columns)
        keys = uniforms[:, 5:7] * 2.0**32
        plan = np.column_stack([top, left, rows, columns, keys])
        plan[uniforms[:, 0] >= self.prob] = 0
        return plan

    def neutral(self, shape: Shape) -> np.ndarray:
        """Return the parameters of an empty rectangle."""
        return np.zeros(6)

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Erase the rectangles; on a CPU, a constant colour is set in slices."""
        if self.fill != 'color' or images.device.type != 'cpu':
            return super().apply(images, plan)
        result = copy_images(images)
        pixels = result.permute(0, 2, 3, 1).numpy()
        color = np.array(self.color, np.uint8)
        for image, (top, left, rows, columns) in zip(
            pixels, plan[:, :4].int().tolist()
        ):
            image[top : top + rows, left : left + columns] = color
        return result

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Erase the rectangles of all images at once."""
        top, left, rows, columns = plan[:, :4].int().view(-1, 4, 1, 1, 1).unbind(1)
        y = torch.arange(images.shape[2], device=images.device).view(-1, 1)
        x = torch.arange(images.shape[3], device=images.device)
        inside = ((y >= top) & (y < top + rows)) & ((x >= left) & (x < left + columns))
        return torch.where(inside, self._filling(images, plan), images)

    def _filling(self, images: Tensor, plan: Tensor) -> Tensor:
        """Return what the rectangles show, shape (B, 3, H, W) or what expands to it."""
        batch, channels, height, width = images.shape
        if self.fill == 'color':
            # mmpretrain cuts the decimals off.
            values = np.array(self.color, np.uint8).tolist()
            color = channel_tensor(values, images)
            return images.new_full((), color) if isinstance(color, int) else color
        count = height * width * channels
        if self.fill == BYTES:
            filling = random_bytes(plan[:, 4:], count)
        else:
            draws = normals(plan[:, 4:], count).view(batch, -1, channels)
            values = [draws[..., c] * s + m for c, (m, s) in enumerate(self._moments())]
            filling = torch.stack(values, -1).clamp(0, 255).to(torch.uint8)
        return filling.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _moments(self):
        return zip(self.color, self.std)
