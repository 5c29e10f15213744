"""Parts of models that several methods share.

The protocols that a method follows are in :mod:`mmfer.models.protocols`.
"""

from .amend import AmendRepresentation
from .backbones import CNN7, ResNetSmallStem
from .classifier import FERClassifier
from .data_preprocessor import FERDataPreprocessor
from .dual_network import DualNetwork
from .efficientnet_lite import EfficientNetLite0
from .face_networks import IResNet, MobileFaceNet
from .heads import GaussianHead
from .hidden_layers import HiddenLayers
from .label_noise_model import LabelNoiseModel
from .latent_compensation import LatentCompensation
from .manet import MANet, MANetHead
from .mixtures import BetaMixture, ClusteredGaussianMixture, GaussianMixture
from .plain_vgg import PlainVGG16
from .pooling import FeaturePooling, LastMap
from .sample_state import SampleTables, TrainingFacts
from .separate_parallel import SeparateDataParallel
from .small_loss import SmallLossNetwork
from .tta import AverageUncertaintyTTA
from .uncertainty_neck import GaussianFeature, UncertaintyNeck

__all__ = [
    'AmendRepresentation',
    'AverageUncertaintyTTA',
    'BetaMixture',
    'CNN7',
    'ClusteredGaussianMixture',
    'DualNetwork',
    'EfficientNetLite0',
    'FERClassifier',
    'FERDataPreprocessor',
    'FeaturePooling',
    'GaussianFeature',
    'GaussianHead',
    'GaussianMixture',
    'HiddenLayers',
    'IResNet',
    'LabelNoiseModel',
    'LastMap',
    'LatentCompensation',
    'MANet',
    'MANetHead',
    'MobileFaceNet',
    'PlainVGG16',
    'ResNetSmallStem',
    'SampleTables',
    'SeparateDataParallel',
    'SmallLossNetwork',
    'TrainingFacts',
    'UncertaintyNeck',
]
