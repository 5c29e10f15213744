"""Optimizers of the joint GAN: one for encoder and decoder, one for D."""

from typing import Optional, cast

import torch.nn as nn
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict

from mmfer.models.utils import unwrap_model
from mmfer.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmfer.utils.config import merge_options

from .joint_gan import JointGAN

PLAYERS = ('generator', 'discriminator')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class JointGANOptimWrapperConstructor:
    """Build one optimizer for encoder and decoder, one for the discriminator.

    Both are built from ``optim_wrapper``. Settings in which one of them differs
    stand under its name, ``generator`` (encoder and decoder) or
    ``discriminator``::

        optim_wrapper = dict(
            constructor='JointGANOptimWrapperConstructor',
            type='OptimWrapper',
            optimizer=dict(type='Adam', lr=1e-4),
            discriminator=dict(optimizer=dict(lr=4e-4)))

    Args:
        optim_wrapper_cfg (dict): Config as above.
        paramwise_cfg (dict, optional): Settings for single parameters, used for
            both optimizers.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Optional[dict] = None):
        self.cfg = dict(optim_wrapper_cfg)
        self.own = {name: self.cfg.pop(name, None) for name in PLAYERS}
        self.paramwise_cfg = paramwise_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build both optimizers for a :class:`JointGAN`, wrapped for DDP or not.

        Raises:
            ValueError: ``accumulative_counts`` is above 1.
        """
        players = cast(JointGAN, unwrap_model(model)).players()
        settings = {name: merge_options(self.cfg, self.own[name]) for name in PLAYERS}
        if any(cfg.get('accumulative_counts', 1) > 1 for cfg in settings.values()):
            raise ValueError(
                'JointGANOptimWrapperConstructor: accumulative_counts cannot be '
                'used, because several updates are made on one batch. Use '
                'larger batches, or more processes.'
            )
        return OptimWrapperDict(
            **{
                name: DefaultOptimWrapperConstructor(
                    settings[name], self.paramwise_cfg
                )(players[name])
                for name in PLAYERS
            }
        )
