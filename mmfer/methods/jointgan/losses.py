"""The losses of the joint-distribution GAN (WACV'21)."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(
    encoder_scores: Tensor, decoder_scores: Tensor, weights: Optional[Tensor] = None
) -> Tensor:
    """Eq. 9 and 10, what D minimises: hinge losses, of each score, (K, ).

    -g of the encoder's tuples and -h of the decoder's, means over the batch.
    The loss is the mean over the K scores.

    Args:
        encoder_scores (Tensor): Of real images and what is predicted for
            them, (B, K).
        decoder_scores (Tensor): Of generated images and their labels,
            (B, K).
        weights (Tensor, optional): By which scores are multiplied, (K, ).
    """
    if weights is not None:
        encoder_scores = weights * encoder_scores
        decoder_scores = weights * decoder_scores
    return (F.relu(1 - encoder_scores) + F.relu(1 + decoder_scores)).mean(0)


def generator_loss(
    encoder_scores: Tensor, decoder_scores: Tensor, weights: Optional[Tensor] = None
) -> Tensor:
    """Eq. 9 and 10, what G_X and G_Y minimise, of each score, (K, ).

    Args:
        encoder_scores, decoder_scores, weights: See
            :func:`discriminator_loss`.
    """
    difference = (encoder_scores - decoder_scores).mean(0)
    return difference if weights is None else weights * difference


def concordance(
    prediction: Tensor,
    target: Tensor,
    official: bool = False,
    known: Optional[Tensor] = None,
) -> Tensor:
    """Concordance correlation coefficient of each dimension, (D, ).

    2 cov(p, y) / (var p + var y + (mean p - mean y)^2), with moments of N
    samples; the published code has N - 1 in the variances only, so that
    equal vectors do not reach 1.

    Args:
        prediction, target (Tensor): (N, D), N at least 2.
        official (bool): As in the published code. Defaults to False.
        known (Tensor, optional): Samples that count, bool (N, ). Defaults to
            all. A mask, because rows are not picked without waiting for a
            GPU to say how many they are.

    Returns:
        Tensor: In [-1, 1]. 0 where neither varies and means are equal.
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
    # Nothing varies: no agreement is to be seen, and no gradient.
    return 2 * covariance / spread.clamp_min(torch.finfo(spread.dtype).tiny)


def concordance_loss(
    prediction: Tensor, target: Tensor, official: bool = False
) -> Tensor:
    """1 - the mean CCC over the dimensions, L_sim of Eq. 10; a scalar.

    Args:
        prediction (Tensor): (B, D).
        target (Tensor): (B, D), NaN where a value is missing: samples that
            miss one do not count. Without two complete samples the loss is
            0.
        official (bool): See :func:`concordance`.
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
    """L_CE of Eq. 10, a scalar.

    Args:
        logits (Tensor): (B, C).
        labels (Tensor): int64 (B, ).
    """
    return F.cross_entropy(logits, labels)
