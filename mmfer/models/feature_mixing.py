"""Mixing several images' features by their uncertainty."""

from typing import List

import torch
from torch import Tensor


def scalar_weights(log_var: Tensor) -> Tensor:
    """Mixing weights of RUL: one uncertainty per image, as shares.

    Args:
        log_var (Tensor): Log-variances of K images, (K, B, D).

    Returns:
        Tensor: u_k / sum_k u_k with u the mean variance, (K, B, 1).
    """
    uncertainty = log_var.exp().mean(dim=-1, keepdim=True)
    return uncertainty / uncertainty.sum(dim=0)


def dimension_weights(log_var: Tensor) -> Tensor:
    """Mixing weights of ALUM Eq. 11: one share per dimension.

    sigma_k / sum_k sigma_k with sigma = exp(log_var) is a softmax over the
    images, which cannot overflow.

    Args:
        log_var (Tensor): Log-variances of K images, (K, B, D).

    Returns:
        Tensor: Weights that sum to 1 over the images, (K, B, D).
    """
    return log_var.softmax(dim=0)


def mix(means: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum over K images: (K, B, D) -> (B, D)."""
    return (weights * means).sum(dim=0)


def random_partners(batch_size: int, count: int, device: torch.device) -> List[Tensor]:
    """Independent permutations of the batch; fixed points may occur."""
    return [torch.randperm(batch_size, device=device) for _ in range(count)]
