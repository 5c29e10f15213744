"""Steps of a pipeline: load an image, crop it, add noise to it, pack the sample."""

from .augmentation import CornerCrop, GaussianNoise
from .cropping import CropFace
from .formatting import PackFERInputs
from .loading import LoadFERImage
from .second_view import LearnedAugment, SecondView

__all__ = [
    'CornerCrop',
    'CropFace',
    'GaussianNoise',
    'LearnedAugment',
    'LoadFERImage',
    'PackFERInputs',
    'SecondView',
]
