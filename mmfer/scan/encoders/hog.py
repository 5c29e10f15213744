"""Histograms of oriented gradients and pixels: features without a network."""

from typing import Dict, List

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .images import resize

# Side of the image in pixels, side of a cell, cells of a block, orientations.
SIDE, CELL, BLOCK, BINS = 64, 8, 2, 9
# Side of the small image whose pixels are features.
SMALL = 24


class HOGEncoder:
    """Encoder of faces without a network: 1,764 gradients and 576 pixels.

    Args:
        note (str): What a user should know about this choice. Defaults to ''.
    """

    name = 'hog'
    version = f'hog 1 {SIDE} {CELL} {BLOCK} {BINS} {SMALL}'
    outputs = dict(
        hog=(((SIDE // CELL - BLOCK + 1) ** 2 * BLOCK**2 * BINS,), 'float16'),
        pixels=((SMALL**2,), 'float16'),
    )

    def __init__(self, note: str = ''):
        self.note = note

    def __call__(self, images: List[np.ndarray]) -> Dict[str, np.ndarray]:
        """Return both features of B images; see :class:`~mmfer.scan.Extractor`."""
        grey = torch.from_numpy(np.stack([_grey(image) for image in images])).float()
        small = F.adaptive_avg_pool2d(grey[:, None], SMALL).flatten(1)
        small = small - small.mean(dim=1, keepdim=True)
        pixels = small / (small.std(dim=1, keepdim=True) + 1)
        return dict(hog=histograms(grey).numpy(), pixels=pixels.numpy())


def _grey(image: np.ndarray) -> np.ndarray:
    """Return an image as grey uint8 (SIDE, SIDE)."""
    return cv2.cvtColor(resize(image, SIDE), cv2.COLOR_BGR2GRAY)


def histograms(grey: Tensor) -> Tensor:
    """Return histograms of oriented gradients (Dalal and Triggs, 2005).

    A gradient votes with its magnitude for the two orientations in [0, pi) next to
    its own. A block of cells is divided by its length, cut at 0.2, and divided again.

    Args:
        grey (Tensor): Images (B, H, W).

    Returns:
        Tensor: (B, D).
    """
    padded = F.pad(grey[:, None], (1, 1, 1, 1), mode='replicate')[:, 0]
    dx = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    dy = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    magnitude = torch.hypot(dx, dy)
    # In units of a bin, whose centres are 0.5, 1.5, ...
    angle = torch.atan2(dy, dx).remainder(torch.pi) * (BINS / torch.pi)
    votes = []
    for number in range(BINS):
        distance = (angle - (number + 0.5)).abs()
        distance = torch.minimum(distance, BINS - distance)
        votes.append(magnitude * (1 - distance).clamp(min=0))
    cells = F.avg_pool2d(torch.stack(votes, dim=1), CELL)
    blocks = F.unfold(cells, BLOCK).transpose(1, 2)
    blocks = F.normalize(blocks, dim=2, eps=1e-3).clamp(max=0.2)
    return F.normalize(blocks, dim=2, eps=1e-3).flatten(1)
