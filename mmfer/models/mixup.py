"""Mixup of images and targets, for methods that mix within their own loss.

Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018. As in MixMatch, the
share of an image is at least one half, so that its row stays nearer to itself.
"""

import numpy as np
import torch
from torch import Tensor

from mmfer.utils.random import step_key


def mix_rows(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Return convex combinations of rows.

    Args:
        first (Tensor): Images, one-hot labels or targets, (B, ...).
        second (Tensor): Those of the partners, (B, ...).
        share (float): Share of the first, in [0, 1].
    """
    return share * first + (1 - share) * second


def mixing_share(alpha: float, name: str) -> float:
    """Draw max(l, 1 - l), l ~ Beta(alpha, alpha), the same in all processes.

    Args:
        alpha (float): At least 0; 0 mixes nothing.
        name (str): Name of the draw, see :func:`~mmfer.utils.random.step_key`.

    Returns:
        float: In [0.5, 1].
    """
    if not alpha:
        return 1.0
    key = step_key(name)
    if key is None:
        key = int(torch.randint(2**62, ()))
    share = float(np.random.default_rng(key).beta(alpha, alpha))
    return max(share, 1 - share)
