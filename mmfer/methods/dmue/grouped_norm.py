"""BatchNorm that normalises groups of a batch, each by its own statistics."""

from typing import NamedTuple, Optional

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.models.gathering import gather_batch
from mmfer.models.utils import at_least_float32, full_precision


class Groups(NamedTuple):
    """Division of a batch.

    Attributes:
        ids (Tensor): Group of each sample, int64 (B, ), in [0, number).
        number (int): Number of groups; some may be empty.
    """

    ids: Tensor
    number: int


class GroupedBatchNorm(nn.Module):
    """BatchNorm whose batch consists of groups.

    The result is that of one BatchNorm which gets the groups one after another, so
    its running statistics advance once for each group. There are no boolean indices:
    sizes do not depend on data, and nothing is read on the host. A group with one
    value for each channel becomes the bias, and does not change running statistics.

    In several processes the statistics are those of the global batch, because the
    share of a group in one process may be empty.

    Parameters and buffers have the names of ``nn.BatchNorm2d``.

    Args:
        num_features (int): Number of channels D.
        eps (float): Added to variances. Defaults to 1e-5.
        momentum (float): Share of the new statistics. Defaults to 0.1.
        affine (bool): Scale and shift the result. Defaults to True.
        shift (bool): False: there is no bias. Defaults to True.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        shift: bool = True,
    ):
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine * shift else None
        self.register_buffer('running_mean', torch.zeros(num_features))
        self.register_buffer('running_var', torch.ones(num_features))
        self.register_buffer('num_batches_tracked', torch.tensor(0))
        # Groups of the next batches; None stands for one group.
        self.groups: Optional[Groups] = None

    @classmethod
    def like(cls, norm: _BatchNorm) -> 'GroupedBatchNorm':
        """Return a layer with the options, weights and statistics of another one."""
        momentum = 0.1 if norm.momentum is None else norm.momentum
        made = cls(norm.num_features, norm.eps, momentum, norm.affine)
        made.load_state_dict(norm.state_dict(), strict=False)
        return made

    def forward(self, x: Tensor, groups: Optional[Groups] = None) -> Tensor:
        """Normalise a batch.

        Args:
            x (Tensor): Shape (B, D) or (B, D, H, W).
            groups (Groups, optional): Defaults to the attribute ``groups``.
        """
        with full_precision(x):
            # One axis for all positions of a map.
            values = at_least_float32(x).reshape(*x.shape[:2], -1)
            if self.training:
                normalised = self._by_groups(values, groups or self.groups)
            else:
                scale = (self.running_var + self.eps).rsqrt()
                centred = values - self.running_mean[:, None]
                normalised = centred * scale[:, None]
            if self.weight is not None:
                normalised = normalised * self.weight[:, None]
            if self.bias is not None:
                normalised = normalised + self.bias[:, None]
            return normalised.reshape(x.shape).to(x.dtype)

    def _by_groups(self, x: Tensor, groups: Optional[Groups]) -> Tensor:
        """Normalise by batch statistics, (B, D, S)."""
        if groups is None:
            groups = Groups(torch.zeros(len(x), dtype=torch.int64, device=x.device), 1)
        names = torch.arange(groups.number, device=x.device)[:, None]
        members = (groups.ids == names).to(x.dtype)
        counts = add_up(members.sum(1))[:, None] * x.shape[2]
        means = add_up(members @ x.sum(2)) / counts.clamp_min(1)
        centred = x - means[groups.ids][..., None]
        squares = add_up(members @ centred.square().sum(2))
        scale = (squares / counts.clamp_min(1) + self.eps).rsqrt()
        self._advance(means, squares / (counts - 1).clamp_min(1), counts > 1)
        return centred * scale[groups.ids][..., None]

    @torch.no_grad()
    def _advance(self, means: Tensor, variances: Tensor, counted: Tensor) -> None:
        """Change the running statistics as if the groups came one after another.

        Args:
            means (Tensor): Shape (G, D).
            variances (Tensor): With the divisor n - 1, (G, D).
            counted (Tensor): Groups that change the statistics, bool (G, 1).
        """
        new = self.momentum * counted.to(means.dtype)
        # Share that is left after a group and all later ones.
        left = (1 - new).flip(0).cumprod(0).flip(0)
        later = torch.cat([left[1:], torch.ones_like(left[:1])])
        for running, values in (
            (self.running_mean, means),
            (self.running_var, variances),
        ):
            running.mul_(left[0]).add_((new * later * values).sum(0))
        self.num_batches_tracked.add_(counted.sum())


def add_up(x: Tensor) -> Tensor:
    """Return the sum over all processes, with gradient.

    Args:
        x (Tensor): Of the same shape in all processes.
    """
    return gather_batch(x[None]).sum(0)
