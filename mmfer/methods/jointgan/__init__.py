"""Joint GAN: a joint-distribution GAN for noisy labels of several tasks.

Zhang et al., Facial Emotion Recognition with Noisy Multi-task Annotations,
WACV 2021.

=======================  =============================  ====================
In the paper             Function                       File
=======================  =============================  ====================
Eq. 5, encoder G_Y       ``MultiTaskHead``              ``head.py``
Sec. 4, draw of y^0      ``sample_latent``              ``latent.py``
Eq. 5, decoder G_X       ``JointGANDecoder``            ``decoder.py``
Eq. 5, tuples            ``JointGAN.make_tuples``       ``joint_gan.py``
S_x, S_y, S_joint of D   ``JointGANDiscriminator``      ``discriminator.py``
Eqs. 9 and 10 for D      ``discriminator_loss``         ``losses.py``
Eqs. 9 and 10 for G      ``generator_loss``             ``losses.py``
Eq. 10, L_CE             ``classification_loss``        ``losses.py``
Eq. 10, L_sim            ``concordance_loss``           ``losses.py``
Eq. 10, f                ``MultiTaskHead.task_losses``  ``head.py``
Algorithm 1, one step    ``JointGAN.train_step``        ``joint_gan.py``
Algorithm 1, epochs      ``JointGANTrainLoop``          ``train_loop.py``
Fig. 4, appendix Fig. 6  ``JointGANPicturesHook``       ``pictures.py``
=======================  =============================  ====================

The *game* is the adversarial training of encoder, decoder and discriminator,
which are its *players*. :class:`JointGAN` is the whole model.

- ``options.py`` has the presets: what paper and published code do differently.
- ``players.py`` builds the three networks.
- ``game.py`` has helpers for one step of the game.
- ``generation.py`` generates images from labels.
- ``label_sets.py`` reads the labels of a batch.
"""

from .decoder import JointGANDecoder
from .discriminator import JointGANDiscriminator
from .head import MultiTaskHead, SingleTaskHead
from .joint_gan import JointGAN
from .optimizers import JointGANOptimWrapperConstructor
from .pictures import JointGANPicturesHook
from .train_loop import JointGANTrainLoop

__all__ = [
    'JointGAN',
    'JointGANDecoder',
    'JointGANDiscriminator',
    'JointGANOptimWrapperConstructor',
    'JointGANPicturesHook',
    'JointGANTrainLoop',
    'MultiTaskHead',
    'SingleTaskHead',
]
