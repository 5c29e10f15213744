"""Divergences between the predictions of two networks."""

from torch import Tensor


def symmetric_kl(log_prob1: Tensor, log_prob2: Tensor) -> Tensor:
    """Return KL(p1 | p2) + KL(p2 | p1) of each sample, JoCoR Eq. 4.

    Args:
        log_prob1 (Tensor): Log-probabilities of the first network, (B, C).
        log_prob2 (Tensor): Log-probabilities of the second network, (B, C).

    Returns:
        Tensor: Shape (B, ).
    """
    difference = log_prob1 - log_prob2
    return ((log_prob1.exp() - log_prob2.exp()) * difference).sum(dim=1)


def squared_difference(log_prob1: Tensor, log_prob2: Tensor) -> Tensor:
    """Return the mean over the classes of (p1 - p2)^2, ReSup Eq. 8.

    Args:
        log_prob1 (Tensor): Log-probabilities of the first network, (B, C).
        log_prob2 (Tensor): Log-probabilities of the second network, (B, C).

    Returns:
        Tensor: Shape (B, ).
    """
    return (log_prob1.exp() - log_prob2.exp()).square().mean(dim=1)
