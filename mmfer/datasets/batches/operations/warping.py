"""Rotations and affine warps."""

from typing import Any, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode

from .base import BatchOperation, Shape, UnsupportedShape, channel_tensor, pixel_values
from .sampling import cut_pixels, round_pixels, sample_pixels

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class WarpOperation(BatchOperation):
    """Base class of the affine warps.

    The parameters are the matrix ((a, b, c), (d, e, f)), row by row: the pixel in
    column x and row y of the result comes from column a x + b y + c and row
    d x + e y + f.
    """

    columns = 6

    def neutral(self, shape: Shape) -> np.ndarray:
        """Return the identity."""
        return np.array(IDENTITY)

    @staticmethod
    def grid(images: Tensor, plan: Tensor) -> Tensor:
        """Return where the pixels come from, shape (B, H, W, 2).

        Minus one and one are the outer edges of the outer pixels.
        """
        height, width = images.shape[2:]
        a, b, c, d, e, f = plan.unbind(1)
        # The scales are applied to a few parameters, in float64, not to all pixels.
        x_step = torch.stack([a * 2 / width, d * 2 / height], 1)
        y_step = torch.stack([b * 2 / width, e * 2 / height], 1)
        start = torch.stack([(2 * c + 1) / width - 1, (2 * f + 1) / height - 1], 1)
        x = torch.arange(width, device=images.device).view(1, 1, -1, 1)
        y = torch.arange(height, device=images.device).view(1, -1, 1, 1)
        x_part = (x * x_step.view(-1, 1, 1, 2)).float()
        y_part = (y * y_step.view(-1, 1, 1, 2) + start.view(-1, 1, 1, 2)).float()
        return x_part + y_part


class RotateOperation(WarpOperation):
    """Bilinear ``Rotate`` of mmpretrain.

    Angles are exact. The pixels differ from those of OpenCV by at most two grey
    levels where neighbours differ by less than 64: OpenCV rounds the places to
    1 / 32 of a pixel.

    Args:
        angle (float | tuple[float, float]): Degrees, clockwise; a range is drawn
            from uniformly.
        prob (float): Probability of a rotation.
        negative_prob (float): Probability that the sign of the angle changes.
        center (tuple[float, float] | None): Column and row; None for the centre.
        scale (float): Scale factor.
        pad_val (Number | Sequence[Number]): Border value of OpenCV, which gives a
            single number to the first channel only.
    """

    draws = 3

    def __init__(
        self,
        angle: Any,
        prob: float,
        negative_prob: float,
        center: Optional[Tuple[float, float]] = None,
        scale: float = 1.0,
        pad_val: Any = 0,
    ):
        self.angle = angle
        self.prob = prob
        self.negative_prob = negative_prob
        self.center = center
        self.scale = scale
        self.pad_val = pad_val

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``Rotate``."""
        if transform.interpolation != 'bilinear':
            return None
        angle = transform.angle
        if angle is None:
            angle = _magnitudes(transform)
            if angle is None:
                return None
        return cls(
            angle,
            transform.prob,
            transform.random_negative_prob,
            transform.center,
            transform.scale,
            transform.pad_val,
        )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape, which stays."""
        if pixel_values(self.pad_val, shape[2]) is None:
            raise UnsupportedShape(
                f'Rotate: pad_val={self.pad_val} does not fit images with {shape[2]} '
                'channels. Give one number per channel.'
            )
        return shape

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw the angle of each image."""
        height, width = shape[:2]
        low, high = self.angle if isinstance(self.angle, tuple) else (self.angle,) * 2
        angle = np.deg2rad(low + (high - low) * uniforms[:, 2])
        angle = np.where(uniforms[:, 1] < self.negative_prob, -angle, angle)
        cos, sin = np.cos(angle) / self.scale, np.sin(angle) / self.scale
        x, y = self.center or ((width - 1) / 2, (height - 1) / 2)
        plan = np.column_stack(
            [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
        )
        plan[uniforms[:, 0] >= self.prob] = IDENTITY
        return plan

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Rotate all images."""
        values = pixel_values(self.pad_val, images.shape[1])
        assert values is not None  # output_shape has checked it
        grid = self.grid(images, plan)
        if not any(values):
            return round_pixels(sample_pixels(images, grid, 'zeros'))
        # The samples are zero outside, so they are taken relative to the border.
        border = channel_tensor(values, images)
        relative = images.float() - border
        return round_pixels(sample_pixels(relative, grid, 'zeros') + border)


class AffineOperation(WarpOperation):
    """Bilinear ``RandomAffine`` of torchvision on images of Pillow.

    Parameters are exact. The pixels differ from those of Pillow by at most one grey
    level, because of the rounding of float32. At the edge of the image, Pillow
    decides by the place of a pixel whether it is inside, without a smooth border.

    Args:
        degrees (tuple[float, float]): Range of the angle.
        translate (tuple[float, float] | None): Largest shift, as shares of width and
            height.
        scale (tuple[float, float] | None): Range of the scale factor.
        shear (tuple[float, ...] | None): Range of the shear in degrees along x, and
            another along y.
        fill (int | Sequence[int]): Grey level outside, one or one per channel.
        center (tuple[float, float] | None): Column and row; None for the centre.
    """

    draws = 6

    def __init__(
        self,
        degrees: Sequence[float],
        translate: Optional[Sequence[float]] = None,
        scale: Optional[Sequence[float]] = None,
        shear: Optional[Sequence[float]] = None,
        fill: Any = 0,
        center: Optional[Sequence[float]] = None,
    ):
        self.degrees = degrees
        self.translate = translate
        self.scale = scale
        self.shear = shear
        self.fill = fill
        self.center = center

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``RandomAffine`` in its wrapper of mmpretrain."""
        affine = transform.t
        fill = affine.fill
        levels = fill if isinstance(fill, Sequence) else [fill]
        whole = all(0 <= level < 256 and level == int(level) for level in levels)
        if affine.interpolation != InterpolationMode.BILINEAR or not whole:
            return None
        return cls(
            affine.degrees,
            affine.translate,
            affine.scale,
            affine.shear,
            fill,
            affine.center,
        )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape, which stays."""
        if isinstance(self.fill, Sequence) and len(self.fill) != shape[2]:
            raise UnsupportedShape(
                f'RandomAffine: fill={self.fill} does not fit images with {shape[2]} '
                'channels. Give one number, or one per channel.'
            )
        return shape

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw angle, shift, scale and shear of each image."""
        height, width = shape[:2]

        def draw(column, limits):
            low, high = limits
            return low + (high - low) * uniforms[:, column]

        angle = np.deg2rad(draw(0, self.degrees))
        shift_x, shift_y = (
            np.rint(draw(column, (-share * size, share * size)))
            for column, share, size in zip(
                (1, 2), self.translate or (0, 0), (width, height)
            )
        )
        scale = draw(3, self.scale or (1.0, 1.0))
        shear = (*(self.shear or ()), 0.0, 0.0, 0.0, 0.0)
        shear_x, shear_y = (
            np.deg2rad(draw(4 + i, shear[2 * i : 2 * i + 2])) for i in (0, 1)
        )
        # Forward matrix: rotation, shear along y, shear along x, then the scale.
        a = np.cos(angle - shear_y) / np.cos(shear_y)
        b = -a * np.tan(shear_x) - np.sin(angle)
        c = np.sin(angle - shear_y) / np.cos(shear_y)
        d = -c * np.tan(shear_x) + np.cos(angle)
        inverse = np.stack([d, -b, -c, a]) / scale
        # Pillow has the first pixel at 0.5; the plan has it at 0.
        x, y = self.center or (width / 2, height / 2)
        x, y = x - 0.5, y - 0.5
        return np.column_stack(
            [
                inverse[0],
                inverse[1],
                x - inverse[0] * (x + shift_x) - inverse[1] * (y + shift_y),
                inverse[2],
                inverse[3],
                y - inverse[2] * (x + shift_x) - inverse[3] * (y + shift_y),
            ]
        )

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Warp all images."""
        fill = self.fill
        levels = list(fill) if isinstance(fill, Sequence) else [fill] * images.shape[1]
        border = channel_tensor([int(level) for level in levels], images)
        if isinstance(border, int):
            border = images.new_full((), border)
        grid = self.grid(images, plan)
        inside = ((grid >= -1) & (grid < 1)).all(3)[:, None]
        warped = cut_pixels(sample_pixels(images, grid, 'border'))
        return torch.where(inside, warped, border)


def _magnitudes(transform: Any) -> Optional[Tuple[float, float]]:
    """Return the range of the angle of ``magnitude_range``."""
    low, high = transform.magnitude_range
    levels = (transform.magnitude_level,) * 2
    if transform.magnitude_std == 'inf':
        levels = 0.0, transform.magnitude_level
    elif transform.magnitude_std > 0:
        # A normal level has no batch form.
        return None
    first, last = (
        level / transform.total_level * (high - low) + low for level in levels
    )
    return first, last
