"""Predictions of the encoder, and latent vectors drawn from them."""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor


class Encoding(NamedTuple):
    """Predictions of the encoder for a batch.

    Attributes:
        labels (tuple[Tensor]): One tensor per label set: logits (B, C), or
            valence and arousal (B, 2).
        mean (Tensor, optional): Mean of the latent vector, (B, L).
        log_variance (Tensor, optional): Logarithm of the variance of the
            latent vector, (B, L).
    """

    labels: Tuple[Tensor, ...]
    mean: Optional[Tensor] = None
    log_variance: Optional[Tensor] = None

    def choose(self, rows: Tensor) -> 'Encoding':
        """Return the predictions for some images of the batch."""
        return Encoding(
            tuple(labels[rows] for labels in self.labels),
            None if self.mean is None else self.mean[rows],
            None if self.log_variance is None else self.log_variance[rows],
        )


def sample_latent(
    mean: Tensor, log_variance: Tensor, noise: Optional[Tensor] = None
) -> Tensor:
    """Draw y^0 ~ N(mean, variance), with gradient for both (Sec. 4).

    Args:
        mean (Tensor): Mean, (B, L).
        log_variance (Tensor): Logarithm of the variance, (B, L).
        noise (Tensor, optional): Standard normal draws, (B, L). None: they are
            drawn from torch's global random state.
    """
    if noise is None:
        noise = torch.randn_like(mean)
    return mean + (log_variance / 2).exp() * noise
