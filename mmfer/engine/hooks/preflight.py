"""Find contradictions before the first iteration."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmfer.registry import HOOKS

from ..preflight import (
    check_batches,
    check_checkpoint,
    check_evaluation,
    check_training,
)


@HOOKS.register_module()
class PreflightHook(Hook):
    """Check data, model and loop against each other before anything runs.

    See :mod:`mmfer.engine.preflight` for what is compared. It is one of the
    ``default_hooks``, which a config with ``custom_hooks`` of its own keeps;
    the tools in ``tools/`` add it to configs that have none.

    Args:
        strict (bool): Refuse settings that contradict each other. False:
            log what contradicts and go on, for what is meant, such as a crop
            around a face that leaves little of a photo. Defaults to True.

    Raises:
        PreflightError: A ValueError that says each contradiction in a
            sentence, with both values and the way out.
    """

    # Before hooks that clean labels for hours.
    priority = 'HIGHEST'

    def __init__(self, strict: bool = True):
        self.strict = strict
        self.checked = []
        self.train_dataloader = None

    def before_run(self, runner: Runner) -> None:
        """Check what is about to run; each loop once."""
        if isinstance(runner._train_loop, BaseLoop):
            self.check_training(runner)
        for name in ('val', 'test'):
            loop = getattr(runner, f'_{name}_loop')
            if isinstance(loop, BaseLoop) and self._first_time(loop):
                check_evaluation(
                    runner, f'{name}_dataloader', loop.dataloader, self.strict
                )

    def check_training(self, runner: Runner) -> None:
        """Check a training, once.

        Tools call it before ``runner.train()``, which builds schedules, that
        fail on an epoch without batches, before it calls hooks.
        """
        if any(runner._train_loop is loop for loop in self.checked):
            return
        check_training(runner, self.strict)
        self.train_dataloader = runner.train_dataloader
        self.checked += [runner._train_loop, runner._val_loop]

    def before_train(self, runner: Runner) -> None:
        """Check again if a hook has built another loader since."""
        if (
            self.train_dataloader is not None
            and runner.train_dataloader is not self.train_dataloader
        ):
            check_batches(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare classes; a training from other weights may have others."""
        training = isinstance(runner._train_loop, BaseLoop)
        if training and not runner._resume:
            return
        for name in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{name}_loop')
            if isinstance(loop, BaseLoop):
                check_checkpoint(
                    f'{name}_dataloader',
                    loop.dataloader.dataset,
                    checkpoint,
                    self.strict,
                )

    def _first_time(self, loop) -> bool:
        seen = any(loop is other for other in self.checked)
        self.checked.append(loop)
        return not seen
