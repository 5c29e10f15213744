from .decoder import JointGANDecoder
from .discriminator import JointGANDiscriminator
from .head import MultiTaskHead
from .joint_gan import JointGAN
from .optimization import JointGANOptimWrapperConstructor, JointGANTrainLoop
from .pictures import JointGANPicturesHook

__all__ = [
    'JointGAN',
    'JointGANDecoder',
    'JointGANDiscriminator',
    'JointGANOptimWrapperConstructor',
    'JointGANPicturesHook',
    'JointGANTrainLoop',
    'MultiTaskHead',
]
