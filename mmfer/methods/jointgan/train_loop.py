"""Train loop of the joint GAN: warm-up epochs, then the game."""

from typing import Any, Dict, cast

from mmengine.optim import OptimWrapperDict

from mmfer.engine.loops import ResumableEpochLoop
from mmfer.models.utils import unwrap_model
from mmfer.registry import LOOPS

from .joint_gan import JointGAN

# Consecutive epochs with a low loss after which the log says so.
COLLAPSED_EPOCHS = 2


@LOOPS.register_module()
class JointGANTrainLoop(ResumableEpochLoop):
    """Train the encoder alone for some epochs, then all three networks.

    Args:
        *args: See mmengine's ``EpochBasedTrainLoop``.
        warmup_epochs (int): Epochs in which only the encoder is trained. The
            published code has 1 for CIFAR-10, 6 for RAF-base and 0 for
            AffectNet-base. Defaults to 1.
        collapse_loss (float): Threshold of the discriminator's mean loss in an
            epoch. Below it the discriminator has won the game. After two such
            epochs there is a warning. If only the loss of its joint score is
            below, there is a note. Defaults to 0.05.
        **kwargs: See mmengine's ``EpochBasedTrainLoop``.

    Raises:
        TypeError: The model is not a :class:`JointGAN`.
        ValueError: ``warmup_epochs`` leaves no epoch for the game.
    """

    def __init__(
        self,
        *args: Any,
        warmup_epochs: int = 1,
        collapse_loss: float = 0.05,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        model = unwrap_model(self.runner.model)
        if not isinstance(model, JointGAN):
            raise TypeError(
                'JointGANTrainLoop trains a JointGAN, but the model is a '
                f'{type(model).__name__}. Remove train_cfg.type for other '
                'models.'
            )
        if not 0 <= warmup_epochs < self.max_epochs:
            raise ValueError(
                f'JointGANTrainLoop: warmup_epochs={warmup_epochs} leaves no '
                f'epoch of {self.max_epochs} for the game. Lower it, or train '
                'longer (train_cfg.max_epochs).'
            )
        self.warmup_epochs = warmup_epochs
        self.collapse_loss = collapse_loss
        # Epochs in a row in which the loss was below the threshold.
        self._collapsed = 0
        self._joint_collapsed = 0
        # Steps with a game before the run was resumed inside an epoch.
        self._earlier_game_steps = 0

    def state(self) -> Dict[str, Any]:
        """Return the figures of the game that a warning needs."""
        return dict(
            game_steps=self._model.game_steps,
            collapsed=self._collapsed,
            joint_collapsed=self._joint_collapsed,
        )

    def load_state(self, state: Dict[str, Any]) -> None:
        """Take the result of :meth:`state`."""
        self._earlier_game_steps = int(state.get('game_steps', 0))
        self._collapsed = int(state.get('collapsed', 0))
        self._joint_collapsed = int(state.get('joint_collapsed', 0))

    @property
    def _model(self) -> JointGAN:
        return cast(JointGAN, unwrap_model(self.runner.model))

    def run(self) -> Any:
        """Check the optimizers and train.

        Raises:
            TypeError: There is only one optimizer.
        """
        if not isinstance(self.runner.optim_wrapper, OptimWrapperDict):
            raise TypeError(
                'JointGANTrainLoop needs one optimizer for encoder and decoder, '
                'and one for the discriminator: set '
                "optim_wrapper.constructor='JointGANOptimWrapperConstructor'."
            )
        return super().run()

    def run_epoch(self) -> None:
        """Set the phase of the model, train, and check the discriminator."""
        model = self._model
        in_game = self._epoch >= self.warmup_epochs
        if in_game != model.in_game or not self._iter:
            self.runner.logger.info(
                f'Epoch {self._epoch + 1}: '
                + (
                    'the game of encoder, decoder and discriminator begins.'
                    if in_game
                    else f'only the encoder learns until epoch {self.warmup_epochs}.'
                )
            )
        model.in_game = in_game
        model.game_steps = 0 if self.resumed is None else self._earlier_game_steps
        super().run_epoch()
        if in_game:
            self._check_game()

    def _check_game(self) -> None:
        """Raise if there was no game, and warn if the discriminator has won."""
        model = self._model
        if not model.game_steps:
            raise ValueError(
                'JointGANTrainLoop: there was no game, because no batch had '
                "two samples with all labels. Remove 'va' from label_sets if the "
                'samples have no valence and arousal, and use batches of at '
                'least 2.'
            )

        def mean(name: str) -> float:
            history = self.runner.message_hub.get_scalar(f'train/{name}')
            return float(history.mean(model.game_steps))

        # A score with factor 0 has a constant hinge loss of 2.
        idle = float((model.score_weights == 0).float().mean())
        loss = (mean('d_loss') - 2 * idle) / (1 - idle)
        joint = mean('d_joint')
        low, joint_low = loss < self.collapse_loss, joint < self.collapse_loss
        self._collapsed = self._collapsed + 1 if low else 0
        self._joint_collapsed = self._joint_collapsed + 1 if joint_low else 0
        if self._collapsed == COLLAPSED_EPOCHS:
            self.runner.logger.warning(
                f'the loss of the discriminator was {loss:.3g} in epoch '
                f'{self._epoch}, and also below {self.collapse_loss} in the epoch '
                'before: it distinguishes all tuples and no longer learns, so '
                'encoder and decoder get no useful gradient from it. Lower its '
                'learning rate (optim_wrapper.discriminator.optimizer.lr) or '
                'model.discriminator_steps, or raise '
                'model.adversarial_weight.'
            )
        elif self._joint_collapsed == COLLAPSED_EPOCHS:
            self.runner.logger.info(
                'Note: the loss of the joint score of the discriminator (d_joint) '
                f'was {joint:.3g} in epoch {self._epoch}. The other scores still '
                f'learn: the mean over all scores (d_loss) was {loss:.3g}. The '
                'paper shows this mean, which is about 0.45 at its best lambda.'
            )
