"""Equations of SCN (Wang, Peng, Yang, Lu and Qiao, CVPR'20), one function each."""

import torch
import torch.nn.functional as F
from torch import Tensor


def important_images(importance: Tensor, share: float) -> Tensor:
    """Mark the images of a batch with the largest importance weights.

    These are ``int(share * B)`` images, so a batch of one image has none. Among equal
    weights, the earlier image counts as larger.

    Args:
        importance (Tensor): Importance weights in (0, 1), (B, ).
        share (float): beta, the share of important images, in (0, 1).

    Returns:
        Tensor: True for an important image, bool (B, ).
    """
    order = importance.detach().argsort(descending=True, stable=True)
    # The image at position i of the order has rank i.
    rank = torch.empty_like(order).scatter_(
        0, order, torch.arange(len(order), device=order.device)
    )
    return rank < int(share * len(importance))


def rank_regularization(importance: Tensor, high: Tensor, margin: float) -> Tensor:
    """Return the rank regularisation of a batch.

    The mean weight of the important images must exceed that of the others by a
    margin. All images of both groups get a gradient.

    Args:
        importance (Tensor): Importance weights in (0, 1), (B, ).
        high (Tensor): Result of :func:`important_images`, bool (B, ).
        margin (float): delta_1, in [0, 1].

    Returns:
        Tensor: Scalar in [0, 1 + margin]. It is 0 if a group is empty.
    """
    mask = torch.stack([high, ~high]).to(importance.dtype)
    count = mask.sum(dim=1)
    mean = (mask * importance).sum(dim=1) / count.clamp(min=1)
    return F.relu(margin - (mean[0] - mean[1])) * (count.amin() > 0)


def corrected_labels(
    logits: Tensor, labels: Tensor, threshold: float, may_change: Tensor
) -> Tensor:
    """Return the labels after the relabelling.

    A label becomes the predicted class if the largest probability exceeds that of the
    label by more than a threshold.

    Args:
        logits (Tensor): Weighted logits, (B, C).
        labels (Tensor): Labels that were trained on, int64 (B, ).
        threshold (float): delta_2, in [0, 1].
        may_change (Tensor): False for images that keep their label, bool (B, ).

    Returns:
        Tensor: New labels, int64 (B, ).
    """
    scores = logits.detach().softmax(dim=1)
    best, predicted = scores.max(dim=1)
    own = scores.gather(1, labels[:, None]).squeeze(1)
    return torch.where(may_change & (best - own > threshold), predicted, labels)
