"""Mix the features of several images by their uncertainty (RUL, ALUM Eq. 11)."""

from typing import List

import torch
from torch import Tensor

from mmfer.utils.random import step_permutation


def scalar_weights(log_var: Tensor) -> Tensor:
    """Return the mixing weights of RUL: one weight per image.

    Args:
        log_var (Tensor): Log-variances of K images, (K, B, D).

    Returns:
        Tensor: u_k / sum_j u_j, where u_k is the mean over the dimensions of the
        variance of image k, (K, B, 1).
    """
    uncertainty = log_var.exp().mean(dim=-1, keepdim=True)
    return uncertainty / uncertainty.sum(dim=0)


def dimension_weights(log_var: Tensor) -> Tensor:
    """Return the mixing weights of ALUM Eq. 11: one weight per dimension.

    They are sigma_k / sum_j sigma_j with sigma = exp(log_var). This is a
    softmax over the images, which cannot overflow.

    Args:
        log_var (Tensor): Log-variances of K images, (K, B, D).

    Returns:
        Tensor: Weights that sum to 1 over the images, (K, B, D).
    """
    return log_var.softmax(dim=0)


def mix(means: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum over K images.

    Args:
        means (Tensor): Mean features of K images, (K, B, D).
        weights (Tensor): (K, B, D) or (K, B, 1).

    Returns:
        Tensor: Shape (B, D).
    """
    return (weights * means).sum(dim=0)


def random_partners(batch_size: int, count: int, device: torch.device) -> List[Tensor]:
    """Draw independent permutations of the batch.

    A permutation may leave an image at its place. This image is then its own
    partner. In a training step, the permutations depend on the seed and the
    step, and all processes draw the same ones.

    Args:
        batch_size (int): B.
        count (int): Number of permutations.
        device (torch.device): Device of the result.

    Returns:
        list[Tensor]: Indices, each int64 (B, ).
    """
    return [step_permutation(batch_size, 'partners', device) for _ in range(count)]
