"""Equations of SOP (ICML 2022), one function each.

B images of a batch, C classes, y the given label, p = softmax(z). For each sample
there is a number u and a vector v of C numbers. Their squares model a wrong label:
U = u^2 at the given label, V = v^2 at all other labels, each clipped to [0, 1].

Gradients with respect to u and v are written out, because u and v are no parameters
of the network, and have steps of their own.
"""

from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-4
"""Least probability in a logarithm."""


class Corrected(NamedTuple):
    """Prediction with the modelled label noise of each sample.

    Attributes:
        raw (Tensor): r = max(p + U - V, floor), (B, C).
        scores (Tensor): q = r / sum of r, between the floor and 1, (B, C).
    """

    raw: Tensor
    scores: Tensor


def wrong_label_terms(u: Tensor, v: Tensor, labels: Tensor) -> Tuple[Tensor, Tensor]:
    """Return U and V, each (B, C) in [0, 1]; U is 0 except at the given label, V there.

    Args:
        u (Tensor): Shape (B, ).
        v (Tensor): Shape (B, C).
        labels (Tensor): Given labels, int64 (B, ).
    """
    given = F.one_hot(labels, v.shape[1]).to(v)
    return (
        u.square().clamp(max=1)[:, None] * given,
        v.square().clamp(max=1) * (1 - given),
    )


def correct(prob: Tensor, added: Tensor, removed: Tensor) -> Corrected:
    """Return the prediction of the given label, after the modelled noise.

    Args:
        prob (Tensor): Probabilities p, (B, C).
        added (Tensor): U, (B, C).
        removed (Tensor): V, without gradient, (B, C).
    """
    raw = (prob + added - removed).clamp_min(FLOOR)
    return Corrected(raw, (raw / raw.sum(dim=1, keepdim=True)).clamp(FLOOR, 1))


def label_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of -log q of the given label.

    Args:
        scores (Tensor): Corrected prediction q, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
    """
    return -scores.gather(1, labels[:, None]).log().mean()


def squared_residual(
    predicted: Tensor, added: Tensor, removed: Tensor, labels: Tensor
) -> Tensor:
    """Return e + U - V - Y, (B, C), with e and Y the one-hot class and label.

    Its sum of squares over the classes, averaged over the batch, is the term by which
    u and v learn. It has no gradient for the network.

    Args:
        predicted (Tensor): Predicted classes, int64 (B, ).
        added (Tensor): U, (B, C).
        removed (Tensor): V, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
    """
    classes = added.shape[1]
    difference = F.one_hot(predicted, classes) - F.one_hot(labels, classes)
    return difference + added - removed


def balance_loss(scores: Tensor) -> Tensor:
    """Return the cross-entropy of the mean prediction, against equal shares.

    This couples the images of a batch.

    Args:
        scores (Tensor): Corrected prediction q, (B, C).
    """
    return -scores.mean(dim=0).clamp(FLOOR, 1).log().mean()


def consistency_loss(logits: Tensor, other: Tensor) -> Tensor:
    """Return the mean of KL(p | p') for two views; p has no gradient.

    Args:
        logits (Tensor): Logits of the first view, (B, C).
        other (Tensor): Logits of the strongly augmented view, (B, C).
    """
    target = logits.detach().log_softmax(dim=1)
    return F.kl_div(
        other.log_softmax(dim=1), target, reduction='batchmean', log_target=True
    )


def sop_loss(
    logits: Tensor,
    labels: Tensor,
    u: Tensor,
    v: Tensor,
    ratio_balance: float = 0.0,
    ratio_consistency: float = 0.0,
    other: Optional[Tensor] = None,
) -> Tensor:
    """Return the loss of SOP; with both ratios above 0, that of SOP+.

    Args:
        logits (Tensor): Logits of the images, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        u (Tensor): Shape (B, ).
        v (Tensor): Shape (B, C).
        ratio_balance (float): Weight of :func:`balance_loss`. Defaults to 0.
        ratio_consistency (float): Weight of :func:`consistency_loss`. Defaults to 0.
        other (Tensor, optional): Logits of a second view, (B, C).
    """
    added, removed = wrong_label_terms(u, v, labels)
    scores = correct(logits.softmax(dim=1), added, removed.detach()).scores
    residual = squared_residual(logits.argmax(dim=1), added, removed, labels)
    loss = label_loss(scores, labels) + residual.square().sum() / len(labels)
    if ratio_balance:
        loss = loss + ratio_balance * balance_loss(scores)
    if ratio_consistency and other is not None:
        loss = loss + ratio_consistency * consistency_loss(logits, other)
    return loss


@torch.no_grad()
def sample_gradients(
    logits: Tensor, labels: Tensor, u: Tensor, v: Tensor, ratio_balance: float = 0.0
) -> Tuple[Tensor, Tensor]:
    """Return the gradients of :func:`sop_loss` with respect to u and v.

    u has a gradient from q and from the residual, v from the residual only. Both
    gradients are 0 where u or v are 0, or where their square exceeds 1.

    Args:
        logits (Tensor): Logits of the images, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        u (Tensor): Shape (B, ).
        v (Tensor): Shape (B, C).
        ratio_balance (float): See :func:`sop_loss`. Defaults to 0.

    Returns:
        tuple[Tensor, Tensor]: Shapes (B, ) and (B, C).
    """
    count, classes = v.shape
    column = labels[:, None]
    added, removed = wrong_label_terms(u, v, labels)
    raw, scores = correct(logits.softmax(dim=1), added, removed)
    residual = squared_residual(logits.argmax(dim=1), added, removed, labels)

    # Derivative of the loss with respect to q, and of q with respect to U.
    by_score = torch.zeros_like(scores).scatter(
        1, column, -1 / (count * scores.gather(1, column))
    )
    if ratio_balance:
        mean = scores.mean(dim=0)
        kept = (mean >= FLOOR) & (mean <= 1)
        by_score -= ratio_balance * kept / (mean.clamp(FLOOR, 1) * count * classes)
    total = raw.sum(dim=1, keepdim=True)
    by_added = (F.one_hot(labels, classes) * total - raw) / total.square()
    share = raw / total
    inside = (share >= FLOOR) & (share <= 1)
    by_u_square = (by_score * by_added * inside).sum(dim=1)
    # r of the given label is p + U, which is above the floor unless both are tiny.
    lifted = (logits.softmax(dim=1) + added).gather(1, column)[:, 0] >= FLOOR
    by_u_square = by_u_square * lifted
    by_u_square += 2 / count * residual.gather(1, column)[:, 0]
    by_v_square = (-2 / count * residual).scatter(1, column, 0)
    return (
        2 * u * (u.square() <= 1) * by_u_square,
        2 * v * (v.square() <= 1) * by_v_square,
    )
