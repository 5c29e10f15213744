"""The loss of ReSup (arXiv 2305.17895), one function for each equation."""

import torch.nn.functional as F
from torch import Tensor


def exchange_weights(weights: Tensor, exchange: str) -> Tensor:
    """Which network's weights apply to which network's loss.

    Args:
        weights (Tensor): Clean probabilities from each network, (2, B).
        exchange (str): ``'swap'``: each network is weighed by the other
            (ReSup, Sec. 3.3). ``'own'``: by itself (Table 2 without WeEx).
            ``'mean'``: by the mean of both (Sec. 4.5, after JoCoR).

    Returns:
        Tensor: For the loss of each network, (2, B).
    """
    if exchange == 'swap':
        return weights.flip(0)
    if exchange == 'mean':
        return weights.mean(dim=0, keepdim=True).expand_as(weights)
    return weights


def weighted_cross_entropy(log_prob: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """One term of Eq. 7, per sample, (B, ).

    Args:
        log_prob (Tensor): (B, C).
        labels (Tensor): int64 (B, ).
        weights (Tensor): In [0, 1], (B, ).
    """
    return weights * F.nll_loss(log_prob, labels, reduction='none')


def consistency(log_prob1: Tensor, log_prob2: Tensor) -> Tensor:
    """Eq. 8 per sample: mean squared difference over the classes, (B, )."""
    return (log_prob1.exp() - log_prob2.exp()).square().mean(dim=1)
