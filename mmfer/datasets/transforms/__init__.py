from .augmentation import GaussianNoise
from .formatting import PackFERInputs
from .loading import LoadFERImage

__all__ = ['GaussianNoise', 'LoadFERImage', 'PackFERInputs']
