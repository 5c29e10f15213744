"""Terms of the loss of DMUE (CVPR'21), one function per equation.

Branch c knows all classes but c. It learns from the samples with other labels, and
predicts the samples with label c: those predictions are their soft labels. Which
samples belong to which branch depends on the labels, so all functions get all B
samples for each of the C branches, and use masks. No count is read on the host.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfer.models.utils import masked_mean

# Samples of a class, or of its branch, without which they take no part in a term:
# one sample has no statistics.
FEWEST = 2


def ramp_up(epoch: int, ramp_epochs: int) -> float:
    """Return the weight of the target branch's loss, in (0, 1].

    Args:
        epoch (int): Epoch, 0-based.
        ramp_epochs (int): Epoch from which on the weight is 1, at least 1.
    """
    if epoch > ramp_epochs:
        return 1.0
    return math.exp(-5 * (1 - epoch / ramp_epochs) ** 2)


def ramp_down(epoch: int, ramp_epochs: int) -> float:
    """Return the weight of the auxiliary branches' loss, in (1 / e, 1].

    Args:
        epoch (int): Epoch, 0-based.
        ramp_epochs (int): Last epoch in which the weight is 1, at least 1.
    """
    if epoch < ramp_epochs:
        return 1.0
    return math.exp(-((1 - ramp_epochs / epoch) ** 2))


def own_class(labels: Tensor, num_classes: int) -> Tensor:
    """Return whether each sample has the class that a branch lacks, bool (C, B).

    Args:
        labels (Tensor): Given labels, int64 (B, ).
        num_classes (int): Number of classes C.
    """
    return labels == torch.arange(num_classes, device=labels.device)[:, None]


def branch_labels(labels: Tensor, num_classes: int) -> Tensor:
    """Return the label of each sample among the classes of each branch, (C, B).

    Branch c has no output for class c, so labels above c are lowered by one.

    Args:
        labels (Tensor): Given labels, int64 (B, ).
        num_classes (int): Number of classes C.

    Returns:
        Tensor: int64, in [0, C - 2]. Of a sample with label c, that of branch c means
        nothing.
    """
    classes = torch.arange(num_classes, device=labels.device)[:, None]
    return (labels - (labels > classes).long()).clamp_max(num_classes - 2)


def auxiliary_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the auxiliary branches.

    Args:
        logits (Tensor): Logits of each branch, (C, B, C - 1).
        labels (Tensor): Given labels, int64 (B, ).

    Returns:
        Tensor: Mean over the branches of the mean over their samples. Branches
        with fewer than two samples do not count.
    """
    others = ~own_class(labels, len(logits))
    losses = F.cross_entropy(
        logits.transpose(1, 2), branch_labels(labels, len(logits)), reduction='none'
    )
    return masked_mean(masked_mean(losses, others, 1), others.sum(1) >= FEWEST)


def soft_labels(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the distribution that each sample's branch predicts, (B, C).

    A sample with label c is predicted by branch c, which has never seen it. The
    probability of c itself is 0.

    Args:
        logits (Tensor): Logits of each branch, (C, B, C - 1).
        labels (Tensor): Given labels, int64 (B, ).
        temperature (float): T, above 0. Logits are divided by it.
    """
    count = len(logits)
    rows = torch.arange(len(labels), device=labels.device)
    scores = (logits[labels, rows] / temperature).softmax(dim=1)
    outputs = torch.arange(count - 1, device=labels.device)
    places = outputs + (outputs >= labels[:, None]).long()
    return scores.new_zeros(len(labels), count).scatter(1, places, scores)


def soft_label_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Return the squared distance of the other classes' scores to soft labels.

    The probabilities without that of the given label are *not* renormalised.

    Args:
        logits (Tensor): Logits of the target branch, (B, C).
        labels (Tensor): Given labels, int64 (B, ).
        targets (Tensor): Soft labels, (B, C), without gradient.

    Returns:
        Tensor: Mean over classes and samples. Samples whose class has fewer than
        two samples in the batch do not count.
    """
    own = own_class(labels, logits.shape[1])
    scores = logits.softmax(dim=1).masked_fill(own.t(), 0)
    counted = (own.sum(1) >= FEWEST)[labels]
    return masked_mean((scores - targets).square().mean(dim=1), counted)


def similarity_loss(features: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return how much pairs of samples differ in similarity between branches.

    The similarities are the Gram matrices of the samples of a branch, with rows of
    length 1: of the branch's logits, and of the features of the target branch.

    Args:
        features (Tensor): Features of the target branch that it classifies, (B, D).
        logits (Tensor): Logits of each branch, (C, B, C - 1).
        labels (Tensor): Given labels, int64 (B, ).

    Returns:
        Tensor: Mean over the branches of the mean over all pairs of their samples.
        Branches with fewer than two samples do not count.
    """
    others = ~own_class(labels, len(logits))
    pairs = others[:, :, None] & others[:, None, :]
    grams = [(features @ features.t()).expand_as(pairs), logits @ logits.mT]
    first, second = (F.normalize(g.masked_fill(~pairs, 0), dim=2) for g in grams)
    means = masked_mean((first - second).square().flatten(1), pairs.flatten(1), 1)
    return masked_mean(means, others.sum(1) >= FEWEST)
