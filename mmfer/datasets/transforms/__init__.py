"""Steps of a pipeline: load an image, add noise to it, pack the sample."""

from .augmentation import GaussianNoise
from .formatting import PackFERInputs
from .loading import LoadFERImage

__all__ = ['GaussianNoise', 'LoadFERImage', 'PackFERInputs']
