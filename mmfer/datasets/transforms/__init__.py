"""Steps of a pipeline: load an image, add noise, crop a corner, pack the sample."""

from .augmentation import CornerCrop, GaussianNoise
from .formatting import PackFERInputs
from .loading import LoadFERImage

__all__ = ['CornerCrop', 'GaussianNoise', 'LoadFERImage', 'PackFERInputs']
