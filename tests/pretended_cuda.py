"""A CUDA device that is only pretended: shapes and devices, no values.

Tensors of torch's ``FakeTensorMode`` know their device and have no data. An
operation on tensors of two devices raises, and so does a read of a value on
the host. What it does not see: copies between overlapping parts of a tensor,
which :class:`OverlapGuard` finds, and operations that a device lacks.
"""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import torch
import torch.nn as nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

CUDA = torch.device('cuda', 0)


@contextmanager
def pretended_cuda() -> Iterator[FakeTensorMode]:
    """Let tensors made inside be without values, on whatever device."""
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with FakeTensorMode() as mode, OverlapGuard():
            yield mode
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def move(module: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """Move a module, built on the CPU, to the pretended device."""
    module._apply(lambda tensor: mode.from_tensor(tensor).to(CUDA))
    for part in module.modules():
        # mmengine keeps the device to which it moves batches.
        if hasattr(part, '_device'):
            part._device = CUDA
        # Tables of the samples move with the first batch.
        tables = getattr(part, '_tables', None)
        if tables is not None:
            part._tables = {k: mode.from_tensor(v) for k, v in tables.items()}
    return module


def can_pretend() -> bool:
    """Whether this torch convolves on CUDA without a driver; 2.6 does not.

    A process of its own tries it: torch 2.6 does not raise, it aborts.
    """
    done = subprocess.run(
        [sys.executable, '-c', 'import pretended_cuda as p; p.convolve()'],
        cwd=Path(__file__).parent,
        capture_output=True,
    )
    return done.returncode == 0


def convolve() -> None:
    """One step of a small convolution on the pretended device."""
    convolution = nn.Conv2d(3, 4, 3)
    with pretended_cuda() as mode:
        move(convolution, mode)
        images = torch.zeros(2, 3, 8, 8).to(CUDA)
        assert convolution(images).device == CUDA


class OverlapGuard(TorchDispatchMode):
    """Refuse to write into a tensor what lies in the same memory.

    CUDA does, unless both are the very same elements in the same order; a CPU
    lets most of it pass.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        written, read = [], []
        for i, argument in enumerate(func._schema.arguments):
            value = args[i] if i < len(args) else kwargs.get(argument.name)
            tensors = [x for x in tree_flatten(value)[0] if isinstance(x, torch.Tensor)]
            info = argument.alias_info
            (written if info is not None and info.is_write else read).extend(tensors)
        for target in written:
            for source in read:
                if overlap(target, source):
                    raise RuntimeError(
                        f'{func}: writes into {tuple(target.shape)} what it '
                        f'reads of {tuple(source.shape)} in the same memory; '
                        'clone() it.'
                    )
        return func(*args, **kwargs)


def overlap(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors share some elements, but are not the same view."""
    if first.untyped_storage()._cdata != second.untyped_storage()._cdata:
        return False
    layouts = [(x.storage_offset(), x.shape, x.stride()) for x in (first, second)]
    if layouts[0] == layouts[1] or not first.numel() or not second.numel():
        return False
    (start, end), (other_start, other_end) = (
        (offset, offset + sum((size - 1) * step for size, step in zip(shape, strides)))
        for offset, shape, strides in layouts
    )
    return start <= other_end and other_start <= end
