"""Valence and arousal: checks, and noise of known size."""

import logging
import zlib

import numpy as np
from mmengine.logging import print_log

from mmfer.registry import TASK_UTILS

from .label_noise import check_seed

# What AffectNet writes where there is none.
MISSING_VA = -2


def check_va(va: np.ndarray, name: str) -> np.ndarray:
    """Valence and arousal of a data set, with NaN for what is missing.

    Args:
        va (np.ndarray): As annotated, (N, 2); -2 or NaN for missing.
        name (str): Of the data set, for messages.

    Returns:
        np.ndarray: float32 (N, 2), in [-1, 1] or NaN.

    Raises:
        ValueError: A value is outside of [-1, 1] and not -2.
    """
    va = np.array(va, dtype=np.float32)
    va[va == MISSING_VA] = np.nan
    wrong = np.abs(va) > 1
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f'{name}: {int(wrong.any(axis=1).sum())} samples have '
            f'{("valence", "arousal")[column]} outside of [-1, 1], first '
            f'{va[row, column]:g} in row {row}. Scale them, or clip them if '
            'they come from a model; -2 says that there is none.'
        )
    missing = int(np.isnan(va).any(axis=1).sum())
    if missing:
        print_log(
            f'{name}: {missing} of {len(va)} samples lack valence or '
            'arousal; they count for classes only.',
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
    """

    def __init__(self, std: float, seed: int = 0):
        if not 0 <= std < np.inf:
            raise ValueError(f'GaussianVANoise: std must not be negative, got {std}')
        self.std = std
        self.seed = check_seed(seed)

    def manifest(self) -> dict:
        """How to do it again."""
        return dict(generator=type(self).__name__, std=self.std, seed=self.seed)

    def __call__(self, va: np.ndarray) -> np.ndarray:
        """From and to float32 (N, 2); NaN stays."""
        rng = np.random.default_rng(
            [self.seed, zlib.crc32(type(self).__name__.encode())]
        )
        noisy = va + self.std * rng.standard_normal(va.shape)
        return np.clip(noisy, -1, 1).astype(np.float32)
