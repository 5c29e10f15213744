"""Bilinear samples of pixels, and their rounding."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Grey levels. Values such as 7.5 are frequent, and float32 gets to them from below
# or from above, depending on the device. This shift decides for all. It exceeds the
# rounding error of float32 for images of 224 px: 2e-5 pixels times 255 levels.
TIE_SHIFT = 2.0**-7


def sample_pixels(images: Tensor, grid: Tensor, padding: str) -> Tensor:
    """Return bilinear samples of images.

    Args:
        images (Tensor): Shape (B, C, H, W), uint8 or float32.
        grid (Tensor): Columns and rows in [-1, 1], which are the outer edges of the
            outer pixels, shape (B, H', W', 2), float32.
        padding (str): ``'zeros'`` or ``'border'``, outside of the images.

    Returns:
        Tensor: Shape (B, C, H', W'), float32.
    """
    return F.grid_sample(
        images.float(), grid, 'bilinear', padding_mode=padding, align_corners=False
    )


def round_pixels(values: Tensor) -> Tensor:
    """Round to the nearest grey level, halves up, as OpenCV does."""
    return (values + (0.5 + TIE_SHIFT)).to(torch.uint8)


def cut_pixels(values: Tensor) -> Tensor:
    """Cut decimals off, as Pillow does after bilinear sampling."""
    return (values + TIE_SHIFT).to(torch.uint8)
