"""Augmentations of published FER methods that mmcv does not have."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfer.registry import TRANSFORMS
from mmfer.utils.checks import choices, in_range, positive_int

CORNERS = ('top_left', 'top_right', 'bottom_left', 'bottom_right')
"""Corners of an image."""


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


@TRANSFORMS.register_module()
class CornerCrop(BaseTransform):
    """Crop a square at a corner of the image.

    With ``CenterCrop`` and ``RandomFlip`` inside of ``TestTimeAug``, this makes the
    images of torchvision's ``FiveCrop`` and ``TenCrop``.

    Args:
        crop_size (int): Height and width of the crop.
        corner (str): One of :data:`CORNERS`.
    """

    def __init__(self, crop_size: int, corner: str):
        self.crop_size = positive_int(self, 'crop_size', crop_size)
        self.corner = choices(self, 'corner', corner, CORNERS)

    def transform(self, results: dict) -> dict:
        """Crop ``img``, (H, W) or (H, W, C), and set ``img_shape``.

        Raises:
            ValueError: The image is smaller than the crop.
        """
        image, size = results['img'], self.crop_size
        height, width = image.shape[:2]
        if min(height, width) < size:
            raise ValueError(
                f'CornerCrop: an image of {height} x {width} pixels is smaller than '
                f'crop_size={size}. Put a Resize before it, or use a smaller crop.'
            )
        top = 0 if self.corner.startswith('top') else height - size
        left = 0 if self.corner.endswith('left') else width - size
        results['img'] = image[top : top + size, left : left + size]
        results['img_shape'] = (size, size)
        return results

    def __repr__(self) -> str:
        name = type(self).__name__
        return f'{name}(crop_size={self.crop_size}, corner={self.corner!r})'
