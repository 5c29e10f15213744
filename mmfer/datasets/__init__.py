from . import label_noise  # noqa: F401 registers the generators
from .base import FERDataset
from .ferplus import FERPlus
from .transforms import GaussianNoise, LoadFERImage, PackFERInputs

__all__ = [
    'FERDataset', 'FERPlus', 'GaussianNoise', 'LoadFERImage', 'PackFERInputs'
]
