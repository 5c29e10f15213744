"""Optimizer wrapper with mixed precision on any device."""

from contextlib import contextmanager

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper

from mmfer.registry import OPTIM_WRAPPERS
from mmfer.utils.checks import choices
from mmfer.utils.console import FILE_ONLY
from mmfer.utils.devices import bf16_is_fast

from .deferred_scalars import update_scalar


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """``OptimWrapper`` that runs the forward pass in bfloat16.

    mmengine's ``AmpOptimWrapper`` refuses to run on a CPU, although bfloat16 is
    useful there too. bfloat16 has the range of float32, so no loss scaling is
    needed. With ``clip_grad``, the norm of the gradients stays on the device until
    it is logged, while mmengine's wrapper reads it in each step.

    Args:
        dtype (str): Precision of the forward pass. Defaults to
            ``'bfloat16'``.

            - ``'bfloat16'``: Mixed precision on every device.
            - ``'auto'``: Mixed precision if the device computes in bfloat16
              natively, else float32.
            - ``'float32'``: No mixed precision.
        **kwargs: See mmengine's ``OptimWrapper``.
    """

    def __init__(self, dtype: str = 'bfloat16', **kwargs):
        super().__init__(**kwargs)
        choices(self, 'dtype', dtype, ('bfloat16', 'auto', 'float32'))
        self.device_type = torch.device(get_device()).type
        self.enabled = dtype == 'bfloat16' or (
            dtype == 'auto' and bf16_is_fast(self.device_type)
        )
        if dtype == 'auto':
            MMLogger.get_current_instance().info(
                'Training in '
                f'{"bfloat16" if self.enabled else "float32"} on '
                f'{self.device_type} (optim_wrapper.dtype=auto).',
                extra=FILE_ONLY,
            )

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Run the forward pass under autocast."""
        with (
            super().optim_context(model),
            torch.autocast(self.device_type, torch.bfloat16, enabled=self.enabled),
        ):
            yield

    def _clip_grad(self) -> None:
        """Clip the gradients, and keep their norm for the log."""
        parameters = [
            parameter
            for group in self.optimizer.param_groups
            for parameter in group['params']
            if parameter.requires_grad and parameter.grad is not None
        ]
        if not parameters:
            return
        norm = self.clip_func(parameters, **self.clip_grad_kwargs)
        # Clipping by value returns no norm.
        if norm is not None:
            update_scalar(self.message_hub, f'train/{self.grad_name}', norm)
