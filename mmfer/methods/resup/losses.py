"""Terms of the loss of ReSup (arXiv 2305.17895), one function per equation."""

import torch.nn.functional as F
from torch import Tensor

from mmfer.models.divergences import squared_difference, symmetric_kl

EXCHANGES = ('swap', 'own', 'mean')
# Terms that make both networks predict alike.
CONSISTENCIES = dict(squared=squared_difference, symmetric_kl=symmetric_kl)


def exchange_weights(weights: Tensor, exchange: str) -> Tensor:
    """Return the weights for each network's loss, ReSup Sec. 3.3.

    Args:
        weights (Tensor): Clean probabilities from each network, (2, B).
        exchange (str): ``'swap'``: each network is weighted by the other one
            (Sec. 3.3). ``'own'``: each is weighted by itself (Table 2 without
            WeEx). ``'mean'``: both are weighted by the mean of the two (Sec.
            4.5, after JoCoR).

    Returns:
        Tensor: Weights for the loss of each network, (2, B).
    """
    if exchange == 'swap':
        return weights.flip(0)
    if exchange == 'mean':
        return weights.mean(dim=0, keepdim=True).expand_as(weights)
    return weights


def weighted_cross_entropy(log_prob: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted cross-entropy of each sample, one term of Eq. 7.

    Args:
        log_prob (Tensor): Log-probabilities of one network, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        weights (Tensor): Weight of each sample, in [0, 1], (B, ).

    Returns:
        Tensor: Shape (B, ).
    """
    return weights * F.nll_loss(log_prob, labels, reduction='none')
