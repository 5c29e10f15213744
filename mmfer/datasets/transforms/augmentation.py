"""Augmentations of published FER methods that mmcv does not have."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfer.registry import TRANSFORMS
from mmfer.utils.checks import in_range


@TRANSFORMS.register_module()
class GaussianNoise(BaseTransform):
    """Add white Gaussian noise to every pixel, as in the code of RUL and SCN.

    Args:
        variance (float): Variance in squared grey levels of [0, 255].
            Defaults to 30, the published value.
    """

    def __init__(self, variance: float = 30.0):
        self.variance = in_range(self, 'variance', variance, low=0)

    def transform(self, results: dict) -> dict:
        """Add noise to ``img`` (uint8, any shape)."""
        image = results['img']
        noise = np.random.normal(0, self.variance**0.5, image.shape)
        results['img'] = np.clip(image + noise, 0, 255).astype(image.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(variance={self.variance})'
