"""Steps of a pipeline: load an image, crop it, add noise to it, pack the sample."""

from .augmentation import CornerCrop, GaussianNoise
from .cropping import CropFace
from .formatting import PackFERInputs
from .loading import LoadFERImage

__all__ = ['CornerCrop', 'CropFace', 'GaussianNoise', 'LoadFERImage', 'PackFERInputs']
