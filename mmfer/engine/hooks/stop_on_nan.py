"""Stop when the loss is NaN or infinite."""

import math
from typing import Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.registry import HOOKS


@HOOKS.register_module()
class StopOnNaNHook(Hook):
    """Stop the run at the first NaN or infinite loss.

    So no checkpoint is written after such a loss.
    """

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Check the losses of this iteration."""
        outputs = outputs or {}
        losses = {name: outputs[name] for name in ('loss', 'd_loss') if name in outputs}
        broken = [
            name for name, value in losses.items() if not math.isfinite(value.item())
        ]
        if not broken:
            return
        loss = losses[broken[0]]
        samples = (data_batch or {}).get('data_samples') or []
        ids = [sample.get('sample_id') for sample in samples]
        parts = ', '.join(f'{k}={v.item():.4g}' for k, v in outputs.items())
        raise FloatingPointError(
            f'the {broken[0]} is {loss.item()} in epoch '
            f'{runner.epoch + 1}, batch '
            f'{batch_idx + 1} of {len(runner.train_dataloader)} '
            f'(iteration {runner.iter + 1}): {parts}. Samples of the batch: '
            f'{ids}. First look at these images. If they are right, lower '
            'optim_wrapper.optimizer.lr or clip gradients with '
            'optim_wrapper.clip_grad.max_norm=5. The last checkpoint was '
            'written before this batch.'
        )
