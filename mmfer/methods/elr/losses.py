"""Equations of ELR (NeurIPS 2020), one function each."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CLIP = 1e-4
"""Distance of a probability from 0 and 1 in the regulariser."""


def clipped_softmax(logits: Tensor, clip: float = CLIP) -> Tensor:
    """Return probabilities in [clip, 1 - clip], which need not add up to one.

    Args:
        logits (Tensor): Logits, (B, C).
        clip (float): In [0, 0.5).
    """
    return logits.softmax(dim=1).clamp(clip, 1 - clip)


def average_targets(targets: Tensor, scores: Tensor, beta: float) -> Tensor:
    """Return the running averages t after one more prediction p, without gradient.

    With p divided by its sum, ``t = beta t + (1 - beta) p`` (temporal ensembling).
    Averages that start at 0 have the sum ``1 - beta ** k`` after k predictions.

    Args:
        targets (Tensor): Averages before, (B, C), each row with a sum in [0, 1].
        scores (Tensor): Predicted probabilities, (B, C).
        beta (float): Share of the old average, in [0, 1).
    """
    scores = scores.detach()
    return beta * targets + (1 - beta) * scores / scores.sum(dim=1, keepdim=True)


def early_learning_term(targets: Tensor, scores: Tensor) -> Tensor:
    """Return log(1 - <t, p>) of each sample, the regulariser, (B, ).

    It falls as the prediction p approaches the average t of earlier ones. For
    probabilities that are clipped at 1e-4 it lies in [-9.3, 0].

    Args:
        targets (Tensor): Averages, without gradient, (B, C).
        scores (Tensor): Probabilities below one, (B, C).
    """
    return (-(targets * scores).sum(dim=1)).log1p()


def elr_loss(logits: Tensor, labels: Tensor, targets: Tensor, weight: float) -> Tensor:
    """Return the loss of ELR, a mean over the batch; it may be negative.

    Args:
        logits (Tensor): Logits, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        targets (Tensor): Averages that already contain this prediction, (B, C).
        weight (float): lambda, at least 0.
    """
    term = early_learning_term(targets, clipped_softmax(logits))
    return F.cross_entropy(logits, labels) + weight * term.mean()


def ramp(step: int, length: int) -> float:
    """Return exp(-5 (1 - k / K)^2) for step k < K, and 1 from step K on.

    ELR+ multiplies its regulariser and the momentum of averaged weights with it.

    Args:
        step (int): k, the number of steps done.
        length (int): K; 0 for a factor of 1 throughout.
    """
    left = 1 - step / length if step < length else 0.0
    return math.exp(-5 * left**2)


def elr_plus_loss(
    logits: Tensor,
    labels: Tensor,
    targets: Tensor,
    weight: float,
    refine_labels: bool = False,
) -> Tensor:
    """Return the loss of ELR+ for mixed images, a mean over the batch.

    Args:
        logits (Tensor): Logits of mixed images, (B, C).
        labels (Tensor): Mixed one-hot labels, (B, C).
        targets (Tensor): Mixed targets, (B, C).
        weight (float): lambda, after its ramp.
        refine_labels (bool): Multiply the labels with the targets first, and divide
            them by their sum. The published code does so for 100 classes only.
            Defaults to False.
    """
    if refine_labels:
        labels = labels * targets
        # Where the targets know nothing of both labels, no class is left.
        total = labels.sum(dim=1, keepdim=True)
        labels = labels / total.clamp_min(torch.finfo(labels.dtype).tiny)
    term = early_learning_term(targets, clipped_softmax(logits))
    entropy = -(labels * logits.log_softmax(dim=1)).sum(dim=1)
    return entropy.mean() + weight * term.mean()


def label_evidence(targets: Tensor, scores: Tensor) -> Tensor:
    """Return one distribution for each sample, from its average or its prediction.

    An average is divided by its sum, so that samples of few epochs look no less sure
    than others. A sample that was never trained on has no average: the prediction is
    returned.

    Args:
        targets (Tensor): Averages, (N, C).
        scores (Tensor): Predicted probabilities, (N, C).

    Returns:
        Tensor: Shape (N, C), each row with the sum 1.
    """
    total = targets.sum(dim=1, keepdim=True)
    seen = total > 0
    return torch.where(seen, targets / torch.where(seen, total, 1.0), scores)
