"""Equations of SCE (Wang et al., ICCV 2019), one function for each."""

import math

from torch import Tensor


def cross_entropy(log_prob: Tensor, labels: Tensor, clip: float = 0.0) -> Tensor:
    """Return -log p_y of each sample.

    Args:
        log_prob (Tensor): Log-probabilities, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        clip (float): Smaller probabilities count as this one, and have no gradient.
            In [0, 1). Defaults to 0: none is clipped.

    Returns:
        Tensor: Shape (B, ), at least 0.
    """
    own = log_prob.gather(1, labels[:, None])[:, 0]
    if clip:
        own = own.clamp(min=math.log(clip))
    return -own


def reverse_cross_entropy(
    log_prob: Tensor, labels: Tensor, log_zero: float, clip: float = 0.0
) -> Tensor:
    """Return -sum_k p_k log t_k of each sample, t the given label as one-hot vector.

    The logarithm of 0 is ``log_zero``. So this is -A (1 - p_y).

    Args:
        log_prob (Tensor): Log-probabilities, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        log_zero (float): A, below 0.
        clip (float): See :func:`cross_entropy`.

    Returns:
        Tensor: Shape (B, ), in [0, -A] without clipping.
    """
    others = log_prob.exp().clamp(min=clip).scatter(1, labels[:, None], 0.0)
    return -log_zero * others.sum(dim=1)
