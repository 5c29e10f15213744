"""Checks of valence and arousal, and noise of a known standard deviation."""

import logging
import zlib

import numpy as np
from mmengine.logging import print_log

from mmfer.registry import TASK_UTILS
from mmfer.utils.checks import in_range

from .checks import check_seed

MISSING_VA = -2
"""Value with which AffectNet marks missing valence and arousal."""


def check_va(va: np.ndarray, name: str) -> np.ndarray:
    """Check valence and arousal and replace missing values by NaN.

    Args:
        va (np.ndarray): Annotated values, (N, 2); -2 or NaN where missing.
        name (str): Name of the data set, for messages.

    Returns:
        np.ndarray: float32 (N, 2), in [-1, 1] or NaN.

    Raises:
        ValueError: A value is outside [-1, 1] and not -2.
    """
    va = np.array(va, dtype=np.float32)
    va[va == MISSING_VA] = np.nan
    wrong = np.abs(va) > 1
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f'{name}: {int(wrong.any(axis=1).sum())} samples have '
            f'{("valence", "arousal")[column]} outside of [-1, 1], first '
            f'{va[row, column]:g} in row {row}. Scale the values, or clip '
            'them if a model predicted them; -2 marks a missing value.'
        )
    missing = int(np.isnan(va).any(axis=1).sum())
    if missing:
        print_log(
            f'{name}: {missing} of {len(va)} samples lack valence or '
            'arousal; these samples are used for classification only.',
            'current',
            level=logging.WARNING if missing == len(va) else logging.INFO,
        )
    return va


@TASK_UTILS.register_module()
class GaussianVANoise:
    """Add normal noise to valence and arousal, and clip them to [-1, 1].

    Args:
        std (float): Standard deviation before clipping, at least 0.
        seed (int): At least 0. Defaults to 0.

    Raises:
        ValueError: ``std`` is negative or not finite, or the seed is refused.
    """

    def __init__(self, std: float, seed: int = 0) -> None:
        self.std = in_range(self, 'std', std, 0)
        self.seed = check_seed(seed)

    def manifest(self) -> dict:
        """Describe the noise so that it can be reproduced."""
        return dict(generator=type(self).__name__, std=self.std, seed=self.seed)

    def __call__(self, va: np.ndarray) -> np.ndarray:
        """Return noisy valence and arousal; NaN stays NaN.

        Args:
            va (np.ndarray): float32 (N, 2).

        Returns:
            np.ndarray: float32 (N, 2), in [-1, 1] or NaN.
        """
        rng = np.random.default_rng(
            [self.seed, zlib.crc32(type(self).__name__.encode())]
        )
        noisy = va + self.std * rng.standard_normal(va.shape)
        return np.clip(noisy, -1, 1).astype(np.float32)
