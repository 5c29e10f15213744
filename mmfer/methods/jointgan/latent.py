"""What an encoder says of images, and the latent vectors drawn from it."""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor


class Encoding(NamedTuple):
    """What the encoder says of a batch.

    Attributes:
        labels (tuple[Tensor]): Of each label set logits (B, C), or values
            (B, 2) of valence and arousal.
        mean (Tensor, optional): Of the latent vector, (B, L).
        log_variance (Tensor, optional): Of the latent vector, (B, L).
    """

    labels: Tuple[Tensor, ...]
    mean: Optional[Tensor] = None
    log_variance: Optional[Tensor] = None


def sample_latent(mean: Tensor, log_variance: Tensor) -> Tensor:
    """y^0 ~ N(mean, variance), with gradient for both (Sec. 4).

    Args:
        mean, log_variance (Tensor): (B, L).
    """
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)
