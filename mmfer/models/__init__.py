from .backbones import ResNetSmallStem
from .classifier import FERClassifier, FERDataPreprocessor
from .heads import GaussianHead
from .latent_compensation import LatentCompensation
from .pooling import FeaturePooling
from .tta import AverageUncertaintyTTA
from .uncertainty_neck import GaussianFeature, UncertaintyNeck

__all__ = [
    'AverageUncertaintyTTA', 'FERClassifier', 'FERDataPreprocessor',
    'FeaturePooling', 'GaussianFeature', 'GaussianHead', 'LatentCompensation',
    'ResNetSmallStem', 'UncertaintyNeck'
]
