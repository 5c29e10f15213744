from .augmentation import GaussianNoise
from .formatting import PackFERInputs
from .loading import (
    LoadFERImage,
    UnreadableImageError,
    check_image_file,
    decode_image,
    looks_complete,
)

__all__ = [
    'GaussianNoise', 'LoadFERImage', 'PackFERInputs', 'UnreadableImageError',
    'check_image_file', 'decode_image', 'looks_complete'
]
