"""Equations of loss correction (Patrini et al., CVPR 2017), one function for each.

The transition matrix T is row-stochastic, (C, C). T[i, j] is the probability that a
sample of the true class i has the given label j.
"""

import math
from typing import Optional

import torch
from torch import Tensor

# Smaller entries of T count as this one, so that their logarithm is finite.
TINY = 1e-12


def forward_loss(log_prob: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """Return -log (pT)_y of each sample, the forward correction.

    Args:
        log_prob (Tensor): Log-probabilities of the true classes, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        transition (Tensor): T, (C, C).

    Returns:
        Tensor: Shape (B, ), at least 0.
    """
    to_given = transition.clamp(min=TINY).log()[:, labels].T
    return -torch.logsumexp(log_prob + to_given, dim=1)


def backward_loss(
    log_prob: Tensor, labels: Tensor, inverse: Tensor, clip: float = 1e-7
) -> Tensor:
    """Return -sum_j T^-1[y, j] log p_j of each sample, the backward correction.

    Some entries of the inverse are negative, so the loss may be negative. Without the
    clip it would have no lower bound.

    Args:
        log_prob (Tensor): Log-probabilities of the true classes, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        inverse (Tensor): Inverse of T, (C, C).
        clip (float): Probabilities are clipped to [clip, 1 - clip], in (0, 0.5). Those
            outside have no gradient. Defaults to 1e-7.

    Returns:
        Tensor: Shape (B, ).
    """
    clipped = log_prob.clamp(math.log(clip), math.log1p(-clip))
    return -(inverse[labels] * clipped).sum(dim=1)


def reweighted_loss(log_prob: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """Return -w log p_y of each sample, w = p_y / (pT)_y without gradient.

    This is importance reweighting (Liu and Tao, TPAMI 2016), as T-Revision (Xia et al.,
    NeurIPS 2019) uses it. A label that the prediction explains by noise has little
    weight.

    Args:
        log_prob (Tensor): Log-probabilities of the true classes, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        transition (Tensor): T, (C, C).

    Returns:
        Tensor: Shape (B, ), at least 0.
    """
    own = log_prob.gather(1, labels[:, None])[:, 0]
    weight = (own + forward_loss(log_prob, labels, transition)).exp()
    return -weight.detach() * own


def anchor_transition(probs: Tensor, percentile: Optional[float] = None) -> Tensor:
    """Estimate T from anchors: samples that certainly belong to a class.

    The anchor of class i is the sample with the largest p_i, and its probabilities are
    row i.

    Args:
        probs (Tensor): Probabilities of the given labels, (N, C).
        percentile (float, optional): Samples whose p_i reaches this percentile of p_i
            are no anchors of class i, in (0, 100). They may be outliers. Defaults to
            None: the largest p_i counts.

    Returns:
        Tensor: T, (C, C), of the type of ``probs``.
    """
    eligible = probs
    if percentile is not None:
        # The smallest value that at least this share of the samples does not exceed.
        place = math.ceil(percentile / 100 * (len(probs) - 1))
        bound = probs.sort(dim=0).values[place]
        eligible = torch.where(probs < bound, probs, -1.0)
    rows = probs[eligible.argmax(dim=0)]
    return rows / rows.sum(dim=1, keepdim=True)


def clean_posterior(probs: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """Return p_y T[y, y] / (pT)_y, the probability that a given label is the true one.

    Args:
        probs (Tensor): Probabilities of the true classes, (N, C).
        labels (Tensor): Given labels, int64 (N, ).
        transition (Tensor): T, (C, C).

    Returns:
        Tensor: Shape (N, ), in [0, 1].
    """
    joint = probs * transition[:, labels].T
    own = joint.gather(1, labels[:, None])[:, 0]
    return own / joint.sum(dim=1).clamp(min=torch.finfo(probs.dtype).tiny)
