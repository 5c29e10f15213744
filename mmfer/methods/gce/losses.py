"""Equations of GCE (Zhang and Sabuncu, NeurIPS 2018), one function for each."""

import torch
from torch import Tensor


def generalized_cross_entropy(
    log_prob: Tensor, labels: Tensor, q: float = 0.7
) -> Tensor:
    """Return (1 - p_y^q) / q of each sample, L_q.

    The limit q = 0 is cross-entropy. For q = 1 it is half of the mean absolute error.

    Args:
        log_prob (Tensor): Log-probabilities, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        q (float): In (0, 1].

    Returns:
        Tensor: Shape (B, ), in [0, 1 / q].
    """
    own = log_prob.gather(1, labels[:, None])[:, 0]
    # The gradient, -p^q, is exact also where p^q is smaller than the steps of 1 - p^q.
    return (1 - torch.exp(q * own)) / q


def loss_at(k: float, q: float) -> float:
    """Return (1 - k^q) / q, L_q of a sample whose label has the probability k.

    Args:
        k (float): In (0, 1).
        q (float): In (0, 1].
    """
    return (1 - k**q) / q


def truncated_loss(losses: Tensor, weights: Tensor, bound: float) -> Tensor:
    """Return mean_B w (L_q - L_q(k)), the truncated loss.

    Args:
        losses (Tensor): L_q of each sample, (B, ).
        weights (Tensor): w, 0 or 1, (B, ).
        bound (float): L_q(k), see :func:`loss_at`.

    Returns:
        Tensor: Scalar. The divisor is B, also if some weights are 0.
    """
    return (weights * (losses - bound)).mean()


def kept(prob: Tensor, k: float) -> Tensor:
    """Return the weights w of least :func:`truncated_loss`: 1 where L_q < L_q(k).

    L_q falls with the probability, so this is p_y > k for every q.

    Args:
        prob (Tensor): p_y, probability of the given label, in [0, 1], (N, ).
        k (float): In (0, 1).

    Returns:
        Tensor: Of the type of ``prob``, (N, ).
    """
    return (prob > k).to(prob.dtype)
