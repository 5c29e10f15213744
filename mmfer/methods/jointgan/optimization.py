"""Two optimizers, and the loop in which they play."""

from typing import Optional

import torch.nn as nn
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop

from mmfer.models.utils import unwrap_model
from mmfer.registry import LOOPS, OPTIM_WRAPPER_CONSTRUCTORS
from mmfer.utils.config import merge_options

from .joint_gan import JointGAN

PLAYERS = ('generator', 'discriminator')
# In a row, before a warning.
COLLAPSED_EPOCHS = 2


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class JointGANOptimWrapperConstructor:
    """One optimizer for encoder and decoder, one for the discriminator.

    Both are as ``optim_wrapper`` says; what is different in one of them
    stands below its name::

        optim_wrapper = dict(
            constructor='JointGANOptimWrapperConstructor',
            type='OptimWrapper',
            optimizer=dict(type='Adam', lr=1e-4),
            discriminator=dict(optimizer=dict(lr=4e-4)))

    Args:
        optim_wrapper_cfg (dict): As above.
        paramwise_cfg (dict, optional): For both.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Optional[dict] = None):
        self.cfg = dict(optim_wrapper_cfg)
        self.own = {name: self.cfg.pop(name, None) for name in PLAYERS}
        self.paramwise_cfg = paramwise_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build them for a :class:`JointGAN`, wrapped for DDP or not."""
        players = getattr(model, 'module', model).players()
        settings = {name: merge_options(self.cfg, self.own[name]) for name in PLAYERS}
        if any(cfg.get('accumulative_counts', 1) > 1 for cfg in settings.values()):
            raise ValueError(
                'JointGANOptimWrapperConstructor: accumulative_counts has no '
                'meaning where several updates are made on one batch. Take '
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


@LOOPS.register_module()
class JointGANTrainLoop(EpochBasedTrainLoop):
    """Epochs of the encoder alone, then epochs of the game.

    Args:
        runner, dataloader, max_epochs, val_begin, val_interval: See
            mmengine's ``EpochBasedTrainLoop``.
        warmup_epochs (int): Epochs without the game. The published code has
            1 for CIFAR-10, 6 for RAF-base and 0 for AffectNet-base.
            Defaults to 1.
        collapse_loss (float): Mean loss of the discriminator, or of its
            joint score, over an epoch below which it has won; a warning says
            so after two such epochs. Defaults to 0.05.

    Raises:
        TypeError: The model is no :class:`JointGAN`.
        ValueError: ``warmup_epochs`` leaves no epoch for the game.
    """

    def __init__(
        self, *args, warmup_epochs: int = 1, collapse_loss: float = 0.05, **kwargs
    ):
        super().__init__(*args, **kwargs)
        model = unwrap_model(self.runner.model)
        if not isinstance(model, JointGAN):
            raise TypeError(
                'JointGANTrainLoop plays the game of a JointGAN, not of '
                f'{type(model).__name__}: leave train_cfg.type out for other '
                'models.'
            )
        if not 0 <= warmup_epochs < self.max_epochs:
            raise ValueError(
                f'JointGANTrainLoop: warmup_epochs={warmup_epochs} leaves '
                f'nothing of {self.max_epochs} training epochs; lower it or '
                'train longer (train_cfg.max_epochs).'
            )
        self.warmup_epochs = warmup_epochs
        self.collapse_loss = collapse_loss
        self._collapsed = 0

    def run(self):
        """Check the optimizers, and train."""
        if not isinstance(self.runner.optim_wrapper, OptimWrapperDict):
            raise TypeError(
                'JointGANTrainLoop needs an optimizer for each player: set '
                "optim_wrapper.constructor='JointGANOptimWrapperConstructor'."
            )
        return super().run()

    def run_epoch(self) -> None:
        """Tell the model the phase, and look at the discriminator after."""
        model = unwrap_model(self.runner.model)
        in_game = self._epoch >= self.warmup_epochs
        if in_game != model.in_game or not self._iter:
            self.runner.logger.info(
                f'Epoch {self._epoch + 1}: '
                + (
                    'encoder, decoder and discriminator play.'
                    if in_game
                    else f'the encoder learns alone, to epoch {self.warmup_epochs}.'
                )
            )
        model.in_game = in_game
        model.game_steps = 0
        super().run_epoch()
        if in_game:
            self._check_game(model)

    def _check_game(self, model: JointGAN) -> None:
        if not model.game_steps:
            raise ValueError(
                'JointGANTrainLoop: there was no game, as not one batch had '
                "two samples with all labels. Leave 'va' out of label_sets "
                'if there is no valence and arousal, and take batches of at '
                'least 2.'
            )

        def mean(name: str) -> float:
            history = self.runner.message_hub.get_scalar(f'train/{name}')
            return float(history.mean(model.game_steps))

        # A score that is multiplied by 0 adds a constant 2.
        idle = float((model.score_weights == 0).float().mean())
        losses = {
            'discriminator': (mean('d_loss') - 2 * idle) / (1 - idle),
            # The others may go on when this one, for which all is done, is
            # decided.
            'joint score of the discriminator': mean('d_joint'),
        }
        lowest = min(losses, key=losses.get)
        loss = losses[lowest]
        self._collapsed = self._collapsed + 1 if loss < self.collapse_loss else 0
        if self._collapsed == COLLAPSED_EPOCHS:
            self.runner.logger.warning(
                f'the loss of the {lowest} was {loss:.3g} in epoch '
                f'{self._epoch}, and below {self.collapse_loss} in that '
                'before: it tells all tuples apart and no longer learns, and '
                'encoder and decoder follow one that stands still. Lower its '
                'learning rate (optim_wrapper.discriminator.optimizer.lr) or '
                'model.discriminator_steps, or raise '
                'model.adversarial_weight.'
            )
