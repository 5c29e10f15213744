"""Equations of latent uncertainty compensation: ALUM Eqs. 2 to 7.

==================  ======================================================
ALUM                function
==================  ======================================================
Eqs. 2 and 3        :func:`channel_moments`: mean and std of each channel
Eqs. 5 and 6        :func:`batch_std`: spread of a statistic over a batch
Eq. 7, brackets     :func:`redraw_statistics`: perturbed mean and std
Eq. 7               :func:`channel_map`: scale and shift of each channel;
                    :func:`compensate`: the compensated feature map
==================  ======================================================

Eq. 4 has no function of its own. Eq. 8 applies Eq. 7 to all layers, see
:meth:`~mmfer.models.feature_perturbation.FeaturePerturbation.attach`. Where the
paper leaves a choice open, defaults follow the published code of DSU (ICLR'22).
"""

from typing import Any, NamedTuple, Optional, Tuple

import torch
from mmengine.dist import get_world_size
from torch import Tensor
from torch.autograd.function import once_differentiable

from .gathering import gather_batch
from .utils import as_map, at_least_float32


class Moments(NamedTuple):
    """Mean and standard deviation over one or several axes.

    Attributes:
        mean (Tensor): Mean.
        std (Tensor): Standard deviation, of the same shape.
    """

    mean: Tensor
    std: Tensor


def channel_moments(
    x: Tensor, eps: float, unbiased: bool, scratch: Optional[Tensor] = None
) -> Moments:
    """Return mean and std of each channel of each sample, ALUM Eqs. 2 and 3.

    Args:
        x (Tensor): Feature map (B, C, H, W) with H * W >= 2.
        eps (float): Added to the variance, because that of a dead channel is 0.
        unbiased (bool): Divide by HW - 1 (DSU) or by HW (ALUM).
        scratch (Tensor, optional): Tensor like ``x`` that is overwritten, which
            saves memory.

    Returns:
        Moments: Both of shape (B, C).
    """
    mean = x.mean(dim=(2, 3), keepdim=True)
    # torch.var takes 20 times as long as a sum on CPUs.
    total = torch.sub(x, mean, out=scratch).square_().sum(dim=(2, 3))
    var = total / (x[0, 0].numel() - unbiased)
    return Moments(mean.flatten(1), (var + eps).sqrt())


def batch_std(statistic: Tensor, eps: float, unbiased: bool) -> Tensor:
    """Return the std of a statistic over the batch, Sigma of ALUM Eqs. 5 and 6.

    Args:
        statistic (Tensor): Shape (B, C) with B >= 2.
        eps (float): Added to the variance.
        unbiased (bool): Divide by B - 1 (DSU) or by B (ALUM).

    Returns:
        Tensor: Shape (1, C).
    """
    return (statistic.var(dim=0, correction=int(unbiased), keepdim=True) + eps).sqrt()


def redraw_statistics(
    moments: Moments,
    noise: Tuple[Tensor, Tensor],
    eps: float,
    unbiased: bool,
    everywhere: Optional[Moments] = None,
) -> Moments:
    """Perturb mean and std, as in the two brackets of ALUM Eq. 7.

    Args:
        moments (Moments): Statistics to perturb, each (B, C).
        noise (tuple[Tensor, Tensor]): Standard normal draws (B, C) for the
            mean and for the std.
        eps (float): Added to variances.
        unbiased (bool): See :func:`batch_std`.
        everywhere (Moments, optional): Statistics of the global batch, whose
            spread counts. Defaults to ``moments``.

    Returns:
        Moments: mean + e1 * Sigma_mean and std + e2 * Sigma_std.
    """
    return Moments(
        *(
            value + draw * batch_std(spread, eps, unbiased)
            for value, spread, draw in zip(
                moments, everywhere or moments, noise, strict=True
            )
        )
    )


def channel_map(
    own: Moments, noise: Tuple[Tensor, Tensor], stats: str, eps: float, unbiased: bool
) -> Tuple[Tensor, Tensor]:
    """Return scale and shift of ALUM Eq. 7 for each channel of each sample.

    In several processes, "the batch" is the global batch, see
    :mod:`mmfer.models.gathering`.

    Args:
        own (Moments): Result of :func:`channel_moments`, each (B, C).
        noise (tuple[Tensor, Tensor]): See :func:`compensate`.
        stats (str): See :func:`compensate`.
        eps (float): See :func:`compensate`.
        unbiased (bool): See :func:`compensate`.

    Returns:
        tuple[Tensor, Tensor]: Scale and shift, each (B, C). The compensated
        feature is ``x * scale + shift``.
    """
    everywhere = own
    if get_world_size() > 1:
        # Both statistics travel together.
        everywhere = Moments(*gather_batch(torch.stack(own, dim=1)).unbind(1))
    new = redraw_statistics(own, noise, eps, unbiased, everywhere)
    if stats == 'batch':
        centre = Moments(*(s.mean(dim=0, keepdim=True) for s in everywhere))
        new = Moments(*(c + n - s for c, n, s in zip(centre, new, own, strict=True)))
        own = centre
    # new.std * (x - own.mean) / own.std + new.mean
    scale = new.std / own.std
    return scale, new.mean - own.mean * scale


class Compensate(torch.autograd.Function):
    """Compute :func:`compensate` in few passes over memory; keep only ``x``.

    Feature maps are large, but :func:`channel_map` works on only (B, C)
    numbers. So autograd differentiates this function alone. The steps around
    it read or write whole maps, and their derivatives are written out here.
    The output is affine in ``x``, and so is the gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        noise: Tuple[Tensor, Tensor],
        stats: str,
        eps: float,
        unbiased: bool,
    ) -> Tensor:
        """See :func:`compensate`."""
        ctx.options = (noise, stats, eps, unbiased)
        wide = at_least_float32(x)
        out = torch.empty_like(wide)
        own = channel_moments(wide, eps, unbiased, scratch=out)
        scale, shift = channel_map(own, *ctx.options)
        ctx.save_for_backward(x, *own)
        return torch.addcmul(as_map(shift), wide, as_map(scale), out=out).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        """Return the gradient for ``x``, which is affine in ``x`` and ``grad``."""
        x, *own = ctx.saved_tensors
        unbiased = ctx.options[-1]
        dtype, x, grad = x.dtype, at_least_float32(x), at_least_float32(grad)
        out = x * grad
        grad_scale, grad_shift = out.sum(dim=(2, 3)), grad.sum(dim=(2, 3))
        with torch.enable_grad():
            own = Moments(*(s.detach().requires_grad_() for s in own))
            scale, shift = channel_map(own, *ctx.options)
            to_mean, to_std = torch.autograd.grad(
                (scale, shift), own, (grad_scale, grad_shift)
            )
        # d mean / dx = 1 / HW, d std / dx = (x - mean) / (HW or HW - 1) / std
        count = x[0, 0].numel()
        slope = to_std / ((count - unbiased) * own.std)
        constant = to_mean / count - slope * own.mean
        out = torch.addcmul(as_map(constant), x, as_map(slope), out=out)
        return out.addcmul_(grad, as_map(scale)).to(dtype), *4 * (None,)


def compensate(
    x: Tensor,
    noise: Tuple[Tensor, Tensor],
    stats: str = 'instance',
    eps: float = 1e-6,
    unbiased: bool = True,
) -> Tensor:
    """Compensate a feature map: randomly change its statistics, ALUM Eq. 7.

    Args:
        x (Tensor): Feature map (B, C, H, W), H * W >= 2, with two images or more
            in the global batch.
        noise (tuple[Tensor, Tensor]): Standard normal draws for the mean and
            the std, each (B, C).
        stats (str): Statistics by which a feature is centred and scaled.
            ``'instance'``: its own (DSU as published). ``'batch'``: their
            means over the batch (ALUM's Eqs. 5 to 7, read literally).
            Defaults to ``'instance'``.
        eps (float): Added to every variance. Defaults to 1e-6 (DSU).
        unbiased (bool): Variances divide by n - 1 (DSU) or by n (ALUM).
            Defaults to True.

    Returns:
        Tensor: Same shape and type as ``x``.
    """
    return Compensate.apply(x, noise, stats, eps, unbiased)
