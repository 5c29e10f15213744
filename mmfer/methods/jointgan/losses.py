"""Losses of the joint-distribution GAN (WACV'21)."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(
    encoder_scores: Tensor, decoder_scores: Tensor, weights: Optional[Tensor] = None
) -> Tensor:
    """Compute the hinge losses that D minimises, Eqs. 9 and 10, (K, ).

    For each score the loss is -g of the encoder's tuples plus -h of the
    decoder's tuples, averaged over the batch. The whole loss is the mean over
    the K scores.

    Args:
        encoder_scores (Tensor): Scores of real images with their predictions,
            (B, K).
        decoder_scores (Tensor): Scores of generated images with their labels,
            (B, K).
        weights (Tensor, optional): Factors of the scores, (K, ).
    """
    if weights is not None:
        encoder_scores = weights * encoder_scores
        decoder_scores = weights * decoder_scores
    return (F.relu(1 - encoder_scores) + F.relu(1 + decoder_scores)).mean(0)


def generator_loss(
    encoder_scores: Tensor, decoder_scores: Tensor, weights: Optional[Tensor] = None
) -> Tensor:
    """Compute the losses that G_X and G_Y minimise, Eqs. 9 and 10, (K, ).

    Args:
        encoder_scores (Tensor): See :func:`discriminator_loss`.
        decoder_scores (Tensor): See :func:`discriminator_loss`.
        weights (Tensor, optional): See :func:`discriminator_loss`.
    """
    difference = (encoder_scores - decoder_scores).mean(0)
    return difference if weights is None else weights * difference


def concordance(
    prediction: Tensor,
    target: Tensor,
    official: bool = False,
    known: Optional[Tensor] = None,
) -> Tensor:
    """Compute the concordance correlation of each dimension, (D, ).

    It is 2 cov(p, y) / (var p + var y + (mean p - mean y)^2). All moments divide
    by N. The published code divides only the variances by N - 1, so its result
    stays below 1 even for equal vectors.

    Args:
        prediction (Tensor): Predictions, (N, D), N >= 2.
        target (Tensor): True values, (N, D).
        official (bool): Compute it as in the published code. Defaults to False.
        known (Tensor, optional): Mask of the samples that count, bool (N, ).
            Defaults to all samples. With a mask, the CPU need not wait until
            the GPU has reported how many samples count.

    Returns:
        Tensor: In [-1, 1]; 0 if neither varies and both means are equal.
    """
    if known is None:
        known = prediction.new_ones(len(prediction), dtype=torch.bool)
    count = known.sum()
    known = known[:, None]

    def mean(values: Tensor) -> Tensor:
        return values.where(known, 0).sum(0) / count.clamp_min(1)

    mean_p, mean_y = mean(prediction), mean(target)
    covariance = mean((prediction - mean_p) * (target - mean_y))
    variances = mean((prediction - mean_p).square()) + mean((target - mean_y).square())
    if official:
        variances = variances * count / (count - 1).clamp_min(1)
    spread = variances + (mean_p - mean_y).square()
    # If nothing varies, the result is 0 and has no gradient.
    return 2 * covariance / spread.clamp_min(torch.finfo(spread.dtype).tiny)


def concordance_loss(
    prediction: Tensor, target: Tensor, official: bool = False
) -> Tensor:
    """Compute L_sim of Eq. 10: 1 minus the mean CCC over the dimensions.

    Args:
        prediction (Tensor): Predictions, (B, D).
        target (Tensor): True values, (B, D), NaN where one is missing. Samples
            with a missing value do not count. With fewer than two complete
            samples the loss is 0.
        official (bool): See :func:`concordance`. Defaults to False.

    Returns:
        Tensor: A scalar.
    """
    known = target.isfinite().all(dim=1)
    loss = (
        1
        - concordance(
            prediction, target.where(known[:, None], 0), official, known
        ).mean()
    )
    return torch.where(known.sum() < 2, 0 * prediction.sum(), loss)


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute L_CE of Eq. 10, the cross-entropy.

    Args:
        logits (Tensor): Logits, (B, C).
        labels (Tensor): Labels, int64 (B, ).

    Returns:
        Tensor: A scalar.
    """
    return F.cross_entropy(logits, labels)
