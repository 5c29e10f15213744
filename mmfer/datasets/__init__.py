from . import label_noise  # noqa: F401 registers the generators
from .base import FERDataset, fer_datasets
from .custom import ImageFolders, ImageList
from .ferplus import FERPlus
from .rafdb import RAFDB
from .synthfaces import SyntheticFaces
from .transforms import GaussianNoise, LoadFERImage, PackFERInputs

__all__ = [
    'FERDataset', 'FERPlus', 'GaussianNoise', 'ImageFolders', 'ImageList',
    'LoadFERImage', 'PackFERInputs', 'RAFDB', 'SyntheticFaces',
    'fer_datasets'
]
