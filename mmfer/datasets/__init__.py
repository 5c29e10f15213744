"""Data sets of mmfer, and their parts.

- `base`, `labels`, `storage`: base classes of all data sets.
- `affectnet`, `cifar`, `expw`, `fer2013`, `ferplus`, `mnist`, `rafdb`: published data
  sets.
- `domains`: published data sets of several domains.
- `custom`: your own images, from a list or from one folder per class.
- `synthetic_faces`: drawn faces, which need no files.
- `noise`: label noise that is planted on purpose.
- `noisy_list`, `lists`: published noisy label lists, and reading of lists.
- `numbered_images`, `idx`: images that are known by numbers, and the files of MNIST.
- `images`: the decoder of all images.
- `batched`, `batches`: whole batches, as tensors.
- `transforms`, `samplers`: steps of a pipeline, and samplers.
- `views`, `wrappers`: other labels or pipelines for a data set, and data sets
  inside wrappers.
- `checks`: checks of options, labels and files.
"""

from . import noise  # noqa: F401 registers the generators
from .affectnet import AffectNet
from .base import FERDataset
from .cifar import NoisyCIFAR10, NoisyCIFAR100
from .custom import ImageFolders, ImageList
from .domains import PACS, OfficeHome
from .expw import ExpW
from .fer2013 import FER2013
from .ferplus import FERPlus
from .mnist import NoisyMNIST
from .rafdb import RAFDB
from .samplers import BalancedSampler, DomainSampler
from .synthetic_faces import SyntheticFaces
from .transforms import CornerCrop, CropFace, GaussianNoise, LoadFERImage, PackFERInputs
from .views import LabelView, unaugmented, view_of, with_pipeline
from .wrappers import fer_datasets, pipeline_of, prepare_images

__all__ = [
    'AffectNet',
    'BalancedSampler',
    'CornerCrop',
    'FER2013',
    'CropFace',
    'DomainSampler',
    'ExpW',
    'FERDataset',
    'FERPlus',
    'GaussianNoise',
    'ImageFolders',
    'ImageList',
    'LabelView',
    'LoadFERImage',
    'NoisyCIFAR10',
    'NoisyCIFAR100',
    'OfficeHome',
    'PACS',
    'NoisyMNIST',
    'PackFERInputs',
    'RAFDB',
    'SyntheticFaces',
    'fer_datasets',
    'pipeline_of',
    'prepare_images',
    'unaugmented',
    'view_of',
    'with_pipeline',
]
