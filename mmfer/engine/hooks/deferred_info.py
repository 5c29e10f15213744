"""Log the losses of a run without a read in each step."""

from typing import Any, Optional

from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner

from mmfer.registry import HOOKS

from ..deferred_scalars import defer_history, scalar_reader, update_scalar


@HOOKS.register_module()
class DeferredInfoHook(RuntimeInfoHook):
    """``RuntimeInfoHook`` that leaves the losses on the device.

    mmengine's hook reads each loss in each step, and each read makes the CPU
    wait for the GPU. This hook copies the losses of a step into one small
    tensor. They are read together as soon as somebody asks the message hub for
    one: a logger, a checkpoint, or another hook. So logs, ``history.json`` and
    checkpoints contain the same numbers as with mmengine's hook.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Store the epoch, and prepare the histories for many steps."""
        super().before_train_epoch(runner)
        for name in list(runner.message_hub.log_scalars):
            if name.startswith('train/'):
                defer_history(runner.message_hub, name)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Keep the losses of this step."""
        hub = runner.message_hub
        kept = scalar_reader(hub).keep_outputs(outputs or {}, runner.iter)
        for name, value in kept.items():
            update_scalar(hub, f'train/{name}', value)
