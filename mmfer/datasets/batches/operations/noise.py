"""White noise of pixels."""

from typing import Any, Optional

import numpy as np
from torch import Tensor

from mmfer.utils.counter_random import normals

from .base import BatchOperation, Shape


class NoiseOperation(BatchOperation):
    """``GaussianNoise``. The sum is clipped and its decimals are cut off, as there.

    The parameters are the standard deviation and two key words. The noise of a pixel
    is a function of the key and the place of the pixel, on any device. It has
    65,536 values of up to 4.39 standard deviations.

    Args:
        variance (float): Variance in squared grey levels.
    """

    draws = 2
    columns = 3

    def __init__(self, variance: float):
        self.variance = variance

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``GaussianNoise``."""
        return cls(transform.variance)

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Draw the key of each image."""
        std = np.full(len(uniforms), self.variance**0.5)
        return np.column_stack([std, uniforms * 2.0**32])

    def neutral(self, shape: Shape) -> np.ndarray:
        """Return the parameters of noise without variance."""
        return np.zeros(3)

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Add noise to all images."""
        batch, channels, height, width = images.shape
        noise = normals(plan[:, 1:], height * width * channels)
        noise = (noise * plan[:, :1].float()).view(batch, height, width, channels)
        noisy = noise + images.permute(0, 2, 3, 1)
        return noisy.clamp_(0, 255).to(images.dtype).permute(0, 3, 1, 2)
