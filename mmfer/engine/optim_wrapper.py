"""Mixed precision on any device."""

from contextlib import contextmanager

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper

from mmfer.compat import bf16_is_fast
from mmfer.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """``OptimWrapper`` that runs the forward pass in bfloat16.

    mmengine's ``AmpOptimWrapper`` refuses the CPU, where bfloat16 helps as
    much. bfloat16 has float32's range, so no loss scaling is needed.

    Args:
        dtype (str): ``'bfloat16'``; ``'auto'`` for bfloat16 where the device
            computes in it natively and float32 elsewhere; ``'float32'`` for
            no mixed precision. Defaults to ``'bfloat16'``.
        **kwargs: See mmengine's ``OptimWrapper``.
    """

    def __init__(self, dtype: str = 'bfloat16', **kwargs):
        super().__init__(**kwargs)
        if dtype not in ('bfloat16', 'auto', 'float32'):
            raise ValueError(
                f"dtype must be 'bfloat16', 'auto' or 'float32', got {dtype!r}"
            )
        self.device_type = torch.device(get_device()).type
        self.enabled = dtype == 'bfloat16' or (
            dtype == 'auto' and bf16_is_fast(self.device_type)
        )
        if dtype == 'auto':
            print_log(
                'Training in '
                f'{"bfloat16" if self.enabled else "float32"} on '
                f'{self.device_type} (optim_wrapper.dtype=auto).',
                logger='current',
            )

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Autocast around the forward pass."""
        with (
            super().optim_context(model),
            torch.autocast(self.device_type, torch.bfloat16, enabled=self.enabled),
        ):
            yield
