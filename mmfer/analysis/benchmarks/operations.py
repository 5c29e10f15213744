"""Count the operations of torch, and the calls of CUDA, in a piece of code."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Sequence

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operations that only make or relabel a tensor, besides views.
NO_KERNEL = {
    f'aten::{name}'
    for name in ('empty', 'empty_like', 'empty_strided', 'new_empty', 'detach')
    + ('new_empty_strided', 'lift_fresh', 'resize_', 'set_', '_unsafe_view')
}
# Operations whose result the CPU needs, so that it waits for the device.
READS = {
    f'aten::{name}'
    for name in ('_local_scalar_dense', 'nonzero', 'equal', 'masked_select')
    + ('_unique2', 'unique_dim', 'unique_consecutive')
}
# What a profile of CUDA counts, by the beginnings of the names of its events.
CUDA_EVENTS = {
    'kernels launched': ('cudaLaunch', 'cuLaunch'),
    'graphs launched': ('cudaGraphLaunch',),
    'copies to the GPU': ('Memcpy HtoD',),
    'copies from the GPU': ('Memcpy DtoH',),
    'waits of the CPU': (
        'cudaStreamSynchronize',
        'cudaDeviceSynchronize',
        'cudaEventSynchronize',
    ),
}


class OperationCounter(TorchDispatchMode):
    """Count operations on tensors of one device, forward and backward.

    Args:
        device (torch.device): Device; its index does not matter.

    Attributes:
        operations (int): Operations that compute something. In eager mode, each of
            them launches at least one kernel on a GPU.
        reads (int): Operations for which the CPU waits until the device is done, such
            as ``.item()``.
    """

    def __init__(self, device: torch.device):
        super().__init__()
        self.device_type = device.type
        self.operations = self.reads = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count an operation, and run it."""
        result = func(*args, **(kwargs or {}))
        tensors = tree_leaves((args, kwargs, result))
        if any(
            isinstance(x, torch.Tensor) and x.device.type == self.device_type
            for x in tensors
        ):
            name = func._schema.name
            if name in READS:
                self.reads += 1
            elif not func.is_view and name not in NO_KERNEL:
                self.operations += 1
        return result


@contextmanager
def counting(device: torch.device) -> Iterator[Dict[str, int]]:
    """Count what happens inside the block.

    Args:
        device (torch.device): Device that computes.

    Yields:
        dict[str, int]: Filled on exit: ``operations``, ``values read``, and on CUDA
        the kinds of :data:`CUDA_EVENTS`.
    """
    found: Dict[str, int] = {}
    counter = OperationCounter(device)
    if device.type != 'cuda':
        with counter:
            yield found
    else:
        activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        with counter, profile(activities=activities) as profiler:
            yield found
        events = profiler.profiler.kineto_results.events()
        found.update(count_events([event.name() for event in events]))
    found.update({'operations': counter.operations, 'values read': counter.reads})


def count_events(names: Sequence[str]) -> Dict[str, int]:
    """Count the events of a profile of CUDA, see :data:`CUDA_EVENTS`.

    Args:
        names (Sequence[str]): Name of each event.
    """
    return {
        kind: sum(name.startswith(beginnings) for name in names)
        for kind, beginnings in CUDA_EVENTS.items()
    }
