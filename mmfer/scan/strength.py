"""Whether predictions know more about the given labels than chance does."""

from dataclasses import dataclass
from typing import Optional

import numpy as np


@dataclass(frozen=True)
class Strength:
    """Accuracy of out-of-sample predictions on the given labels.

    Attributes:
        accuracy (float): Share of images whose most probable class is the given
            label.
        majority (float): Accuracy of always answering the most frequent label.
        prior (float): Accuracy of drawing answers from the shares of the labels.
        error (float): Standard error of ``accuracy - majority``; groups count as
            one draw each.
    """

    accuracy: float
    majority: float
    prior: float
    error: float

    @property
    def is_weak(self) -> bool:
        """Whether the accuracy is within two standard errors of the majority's."""
        return self.accuracy - self.majority <= 2 * self.error


def measure_strength(
    probabilities: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    groups: Optional[np.ndarray] = None,
) -> Strength:
    """Measure the accuracy of out-of-sample predictions against chance.

    Args:
        probabilities (np.ndarray): (N, C).
        labels (np.ndarray): Given labels, int64 (N,).
        num_classes (int): Number of classes C.
        groups (np.ndarray, optional): int64 (N,). Defaults to None: each image.
    """
    counts = np.bincount(labels, minlength=num_classes)
    right = probabilities.argmax(axis=1) == labels
    gain = right.astype(float) - (labels == counts.argmax())
    if groups is None:
        groups = np.arange(len(labels))
    _, place = np.unique(groups, return_inverse=True)
    # Images of a group are not independent: sum their deviations first.
    sums = np.bincount(place, gain - gain.mean())
    return Strength(
        accuracy=float(right.mean()),
        majority=float(counts.max() / len(labels)),
        prior=float(((counts / len(labels)) ** 2).sum()),
        error=float(np.sqrt((sums**2).sum()) / len(labels)),
    )
