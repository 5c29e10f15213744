"""Terms of the loss of DUL (CVPR'20), as functions of tensors."""

from typing import Optional, Sequence

from torch import Tensor

from mmfer.utils.checks import choices

KL_REDUCTIONS = ('sum', 'mean')


def standard_deviation(
    log_var: Tensor, std_clamp: Optional[Sequence[float]] = None
) -> Tensor:
    """Return the standard deviation of a Gaussian feature.

    Args:
        log_var (Tensor): Logarithm of the variance, (B, D).
        std_clamp (tuple[float, float], optional): Smallest and largest standard
            deviation. A value outside of them gets no gradient. Defaults to None.

    Returns:
        Tensor: > 0, (B, D).
    """
    std = (0.5 * log_var).exp()
    return std if std_clamp is None else std.clamp(*std_clamp)


def sample_feature(mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
    """Draw a feature by the reparameterisation ``s = mu + eps * sigma``.

    Args:
        mean (Tensor): Means, (B, D).
        std (Tensor): Standard deviations, (B, D).
        noise (Tensor): Standard normal numbers eps, (B, D).

    Returns:
        Tensor: Shape (B, D), with gradients to ``mean`` and ``std``.
    """
    return mean + noise * std


def kl_to_standard_normal(
    mean: Tensor, std: Tensor, reduction: str = 'sum', log_eps: float = 0.0
) -> Tensor:
    """Return the KL divergence of N(mean, std^2) from N(0, 1).

    For each dimension it is ``(mu^2 + sigma^2 - log(sigma^2) - 1) / 2``.

    Args:
        mean (Tensor): Means, (B, D).
        std (Tensor): Standard deviations, > 0, (B, D).
        reduction (str): ``'sum'`` or ``'mean'`` over the D dimensions. Defaults to
            ``'sum'``.
        log_eps (float): Added to the variance inside the logarithm. Defaults to 0.

    Returns:
        Tensor: Mean over the batch, a scalar of at least 0 for ``log_eps=0``.

    Raises:
        ValueError: There is no such reduction.
    """
    choices('kl_to_standard_normal', 'reduction', reduction, KL_REDUCTIONS)
    variance = std.square()
    each = 0.5 * (mean.square() + variance - (variance + log_eps).log() - 1)
    return (each.sum(dim=1) if reduction == 'sum' else each.mean(dim=1)).mean()
