from . import noise  # noqa: F401 registers the generators
from .affectnet import AffectNet
from .base import FERDataset
from .cifar import NoisyCIFAR10, NoisyCIFAR100
from .custom import ImageFolders, ImageList
from .ferplus import FERPlus
from .rafdb import RAFDB
from .samplers import BalancedSampler
from .synthetic_faces import SyntheticFaces
from .transforms import GaussianNoise, LoadFERImage, PackFERInputs
from .views import LabelView, unaugmented, with_pipeline
from .wrappers import fer_datasets, pipeline_of

__all__ = [
    'AffectNet',
    'BalancedSampler',
    'FERDataset',
    'FERPlus',
    'GaussianNoise',
    'ImageFolders',
    'ImageList',
    'LabelView',
    'LoadFERImage',
    'NoisyCIFAR10',
    'NoisyCIFAR100',
    'PackFERInputs',
    'RAFDB',
    'SyntheticFaces',
    'fer_datasets',
    'pipeline_of',
    'unaugmented',
    'with_pipeline',
]
