"""Find settings that contradict each other before the first iteration."""

from typing import Any, List, Optional

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from mmfer.registry import HOOKS

from ..preflight import (
    check_batches,
    check_checkpoint,
    check_evaluation,
    check_training,
)


@HOOKS.register_module()
class PreflightHook(Hook):
    """Check that data, model and loop fit each other, before anything runs.

    :mod:`mmfer.engine.preflight` lists what is compared. The hook is one of
    the ``default_hooks``, so a config with its own ``custom_hooks`` keeps it.
    The tools in ``tools/`` add it to configs without it.

    Args:
        strict (bool): Refuse contradictory settings. False only logs them.
            Use False if they are intended, for example a crop around a face
            that leaves little of a photo. Defaults to True.

    Raises:
        PreflightError: Settings contradict each other. The error is a
            ValueError that states both values of each contradiction and what
            to do.
    """

    # Earlier than hooks that clean labels for hours.
    priority = 'HIGHEST'

    def __init__(self, strict: bool = True):
        self.strict = strict
        self.checked: List[Any] = []
        self.train_dataloader: Optional[DataLoader] = None

    def before_run(self, runner: Runner) -> None:
        """Check the loops that are about to run, each once."""
        if isinstance(runner._train_loop, BaseLoop):
            self.check_training(runner)
        for name in ('val', 'test'):
            loop = getattr(runner, f'_{name}_loop')
            if isinstance(loop, BaseLoop) and self._first_time(loop):
                check_evaluation(
                    runner, f'{name}_dataloader', loop.dataloader, self.strict
                )

    def check_training(self, runner: Runner) -> None:
        """Check the train loop once.

        Tools call this before ``runner.train()``. The reason: that method
        builds the schedules before it calls any hook. If an epoch has no batch,
        they fail with an unclear message.
        """
        if any(runner._train_loop is loop for loop in self.checked):
            return
        check_training(runner, self.strict)
        self.train_dataloader = runner.train_dataloader
        self.checked += [runner._train_loop, runner._val_loop]

    def before_train(self, runner: Runner) -> None:
        """Check again if a hook has built another loader."""
        if (
            self.train_dataloader is not None
            and runner.train_dataloader is not self.train_dataloader
        ):
            check_batches(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the classes with those of the checkpoint.

        They may differ if a run only starts from the weights.
        """
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

    def _first_time(self, loop: BaseLoop) -> bool:
        """Return whether a loop has not been checked, and remember it."""
        seen = any(loop is other for other in self.checked)
        self.checked.append(loop)
        return not seen
