from .augmentation import GaussianNoise
from .formatting import PackFERInputs
from .loading import LoadFERImage, UnreadableImageError

__all__ = ['GaussianNoise', 'LoadFERImage', 'PackFERInputs', 'UnreadableImageError']
