"""Whether predictions know more about labels than chance does."""

from dataclasses import dataclass
from typing import Optional

import numpy as np


@dataclass(frozen=True)
class Strength:
    """Accuracy of out-of-sample predictions, beside that of guesses.

    Attributes:
        accuracy (float): Share of images whose predicted class is the given label.
        majority (float): Accuracy of always answering the most frequent label.
        prior (float): Accuracy of drawing answers from the shares of the labels.
        error (float): Standard error of ``accuracy - majority``; groups count as
            one draw each.
        count (int): Number of images.
    """

    accuracy: float
    majority: float
    prior: float
    error: float
    count: int

    @property
    def is_weak(self) -> bool:
        """Whether the accuracy is within two standard errors of the majority's."""
        return self.accuracy - self.majority <= 2 * self.error

    def __str__(self) -> str:
        return (
            f'{self.accuracy:.1%} of {self.count} held-out labels, where always '
            f'answering the most frequent class gives {self.majority:.1%}'
        )


def measure_strength(
    predicted: np.ndarray, labels: np.ndarray, groups: Optional[np.ndarray] = None
) -> Strength:
    """Measure the accuracy of out-of-sample predictions against chance.

    Args:
        predicted (np.ndarray): Predicted classes, int64 (N,).
        labels (np.ndarray): Given labels, int64 (N,), N > 0.
        groups (np.ndarray, optional): Groups of images that are not independent,
            int64 (N,). Defaults to None: each image is a group.
    """
    counts = np.bincount(labels)
    right = predicted == labels
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
        count=len(labels),
    )
