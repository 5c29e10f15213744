"""Equations of DivideMix (ICLR'20), one function each.

R rows are the two augmented views of all images of a batch, in any order. Each row
counts as labelled or as unlabelled. Masks say which, so that no shape depends on the
data.
"""

import torch.nn.functional as F
from torch import Tensor

from mmfer.models.utils import masked_mean

UNLABELLED = ('mean', 'sum')


def sharpen(scores: Tensor, temperature: float) -> Tensor:
    """Return distributions with a lower temperature.

    Args:
        scores (Tensor): Probabilities, (..., C).
        temperature (float): T, above 0; 1 changes nothing.

    Returns:
        Tensor: p^(1/T) divided by its sum, (..., C).
    """
    # Powers of the ratios to the largest one are not all too small for float32.
    powers = (scores / scores.amax(dim=-1, keepdim=True)).pow(1 / temperature)
    return powers / powers.sum(dim=-1, keepdim=True)


def refine_labels(
    labels: Tensor, clean: Tensor, own: Tensor, temperature: float
) -> Tensor:
    """Return the targets of labelled images by co-refinement.

    Args:
        labels (Tensor): Given labels, int64 (B, ).
        clean (Tensor): Clean probability w by the other network, in [0, 1], (B, ).
        own (Tensor): Mean prediction of the network itself for the views, (B, C).
        temperature (float): T of :func:`sharpen`.

    Returns:
        Tensor: sharpen(w y + (1 - w) p), (B, C).
    """
    given = F.one_hot(labels, own.shape[1])
    weight = clean.to(own)[:, None]
    return sharpen(weight * given + (1 - weight) * own, temperature)


def guess_labels(own: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Return the targets of unlabelled images by co-guessing.

    Args:
        own (Tensor): Mean prediction of the network itself for the views, (B, C).
        other (Tensor): That of the other network, (B, C).
        temperature (float): T of :func:`sharpen`.
    """
    return sharpen((own + other) / 2, temperature)


def labelled_loss(logits: Tensor, targets: Tensor, labelled: Tensor) -> Tensor:
    """Return the mean cross-entropy of the labelled rows, L_X.

    Args:
        logits (Tensor): Of the mixed images, (R, C).
        targets (Tensor): Mixed targets, (R, C).
        labelled (Tensor): 1 for labelled rows and 0 for the others, (R, ).

    Returns:
        Tensor: Scalar, 0 if no row is labelled.
    """
    losses = -(targets * F.log_softmax(logits, dim=1)).sum(dim=1)
    return masked_mean(losses, labelled)


def unlabelled_loss(
    logits: Tensor, targets: Tensor, labelled: Tensor, classes: str = 'mean'
) -> Tensor:
    """Return the mean squared error of the unlabelled rows, L_U.

    Args:
        logits (Tensor): Of the mixed images, (R, C).
        targets (Tensor): Mixed targets, (R, C).
        labelled (Tensor): 1 for labelled rows and 0 for the others, (R, ).
        classes (str): ``'mean'`` over the classes (published code), or ``'sum'``
            (the paper), which is C times as large. Defaults to ``'mean'``.

    Returns:
        Tensor: Scalar, 0 if all rows are labelled.
    """
    squares = (logits.softmax(dim=1) - targets).square()
    losses = squares.mean(dim=1) if classes == 'mean' else squares.sum(dim=1)
    return masked_mean(losses, 1 - labelled)


def prior_penalty(logits: Tensor, rows: Tensor) -> Tensor:
    """Return the divergence of the mean prediction from equal classes, L_reg.

    Args:
        logits (Tensor): Of the mixed images, (R, C).
        rows (Tensor): 1 for the rows that count and 0 for the others, (R, ).

    Returns:
        Tensor: Sum over classes of (1/C) log((1/C) / mean p), a scalar. 0 if no row
        counts.
    """
    count, scores = rows.sum(), logits.softmax(dim=1)
    uniform = 1 / logits.shape[1]
    mean = (rows[:, None] * scores).sum(dim=0) / count.clamp_min(1)
    mean = mean.where(count > 0, uniform).clamp_min(1e-30)
    return (uniform * (uniform / mean).log()).sum()


def confidence_penalty(logits: Tensor) -> Tensor:
    """Return the mean negative entropy of the predictions.

    Args:
        logits (Tensor): Shape (B, C).

    Returns:
        Tensor: Scalar of at least -log C; smaller is less confident.
    """
    log_prob = F.log_softmax(logits, dim=1)
    return (log_prob.exp() * log_prob).sum(dim=1).mean()


def ramp(progress: float, warmup: float, length: float) -> float:
    """Return the factor of the weight of L_U, which rises linearly from 0 to 1.

    Args:
        progress (float): Epochs so far, with a fraction.
        warmup (float): Epochs before the ramp.
        length (float): Epochs of the ramp, above 0.
    """
    return min(max((progress - warmup) / length, 0.0), 1.0)
