"""Random flips."""

from typing import Any, Optional, Sequence

import numpy as np
import torch
from torch import Tensor

from .base import BatchOperation, Shape

# Whether columns and rows are reversed.
DIRECTIONS = dict(horizontal=(1.0, 0.0), vertical=(0.0, 1.0), diagonal=(1.0, 1.0))


class FlipOperation(BatchOperation):
    """``RandomFlip`` of mmcv. Its pixels are exact.

    The parameters are two flags: columns are reversed, rows are reversed.

    Args:
        directions (Sequence[str]): ``'horizontal'``, ``'vertical'`` or
            ``'diagonal'``.
        probabilities (Sequence[float]): One per direction; their sum is at most 1.
    """

    draws = 1
    columns = 2

    def __init__(self, directions: Sequence[str], probabilities: Sequence[float]):
        self.directions = tuple(directions)
        self.probabilities = tuple(probabilities)

    @classmethod
    def from_transform(cls, transform: Any) -> Optional[BatchOperation]:
        """Make the operation of a ``RandomFlip``."""
        directions = transform.direction
        if isinstance(directions, str):
            directions = [directions]
        probabilities = transform.prob
        if isinstance(probabilities, float):
            probabilities = [probabilities / len(directions)] * len(directions)
        return cls(directions, probabilities)

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Choose whether each image is flipped, and how."""
        flags = np.array([DIRECTIONS[name] for name in self.directions] + [(0.0, 0.0)])
        edges = np.cumsum(self.probabilities)
        return flags[np.searchsorted(edges, uniforms[:, 0], side='right')]

    def neutral(self, shape: Shape) -> np.ndarray:
        """Return the parameters without a flip."""
        return np.zeros(2)

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Flip each image as planned."""
        columns, rows = (plan != 0).view(-1, 2, 1, 1, 1).unbind(1)
        names = set(self.directions)
        if names & {'horizontal', 'diagonal'}:
            images = torch.where(columns, images.flip(3), images)
        if names & {'vertical', 'diagonal'}:
            images = torch.where(rows, images.flip(2), images)
        return images
