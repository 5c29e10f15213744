"""Gather the global batch of a run in several processes.

The batches of all processes together are the global batch. mmengine's samplers
give process r of W the samples r, r + W, r + 2 W, ... of an epoch. So image i of
process r has the position i * W + r in the batch of one process that is W times as
large. Everything here uses this order.

A loss that couples images, by partners, by selection or by normalisation, is
computed from the global batch, as the papers do. Samplers must give all processes
equally many samples; mmengine's default, ``round_up=True``, does.

**Gradients.** DDP averages the gradients of the W processes. Let each process
compute a loss whose mean over the processes is the loss L of the global batch; the
whole of L in each process is such a loss. The gradient of L for an image is then
the sum of its gradients in all processes, divided by W. :func:`gather_batch` sums
them, and DDP divides. So weights get the gradient that one process computes from
the global batch.
"""

from typing import Any, Optional, Tuple

import torch
from mmengine.dist import all_gather, all_reduce, get_dist_info, get_world_size
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmfer.utils.random import keyed_normal, step_key


class GatherBatch(torch.autograd.Function):
    """Gather in the forward pass; in the backward pass sum over the processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """See :func:`gather_batch`."""
        return interleave(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the sum of the gradients that all processes have for own images."""
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad)
        return own_images(grad)


def interleave(x: Tensor) -> Tensor:
    """Return the images of all processes in the order of the global batch.

    Args:
        x (Tensor): Values of the images of this process, (B, ...).
    """
    return torch.stack(all_gather(x.detach().contiguous()), dim=1).flatten(0, 1)


def gather_batch(x: Tensor) -> Tensor:
    """Return the values of all images of the global batch, with gradients.

    In one process this is ``x`` itself. See above for the order and the gradients.

    Args:
        x (Tensor): Values of the images of this process, (B, ...), of the same
            shape in all W processes.

    Returns:
        Tensor: Shape (B * W, ...), equal in all processes.
    """
    return x if get_world_size() == 1 else GatherBatch.apply(x)


def own_images(x: Tensor) -> Tensor:
    """Return the images of this process from the global batch.

    Args:
        x (Tensor): Shape (B * W, ...).

    Returns:
        Tensor: Shape (B, ...).
    """
    rank, world_size = get_dist_info()
    return x if world_size == 1 else x[rank::world_size].contiguous()


def own_normal(
    key: Optional[int], count: int, width: int, like: Tensor
) -> Tuple[Tensor, Tensor]:
    """Draw two standard normal vectors for each image of this process.

    With a key they depend on the key and on the position of the image in the global
    batch. Without one they come from torch's global random state.

    Args:
        key (int, optional): Result of :func:`~mmfer.utils.random.step_key`.
        count (int): Number of images of this process, B.
        width (int): Length of each vector.
        like (Tensor): Has the device and type of the result.

    Returns:
        tuple[Tensor, Tensor]: Each (B, width).
    """
    if key is None:
        first, second = (
            torch.randn(count, width, device=like.device, dtype=like.dtype)
            for _ in range(2)
        )
        return first, second
    rank, world_size = get_dist_info()
    rows = torch.arange(rank, count * world_size, world_size, device=like.device)
    first, second = keyed_normal(key, rows, width)
    return first.to(like.dtype), second.to(like.dtype)


def step_normal(
    name: str, count: int, width: int, like: Tensor
) -> Tuple[Tensor, Tensor]:
    """Draw :func:`own_normal` with the next key of this name.

    Args:
        name (str): Name of the draw, see :func:`~mmfer.utils.random.step_key`.
        count (int): See :func:`own_normal`.
        width (int): See :func:`own_normal`.
        like (Tensor): See :func:`own_normal`.
    """
    return own_normal(step_key(name), count, width, like)
