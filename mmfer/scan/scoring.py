"""From features and given labels to which labels are probably wrong."""

from dataclasses import dataclass
from typing import Mapping, Optional

import numpy as np

from mmfer.evaluation import Strength, measure_strength

from .decisions import expected_f1_flags, keep_some
from .ridge import held_out_predictions


@dataclass(frozen=True)
class ScoreOptions:
    """Options of :func:`score_labels`.

    Attributes:
        keep_share (float): Share of each given class that is never flagged, those
            with the smallest scores. Defaults to 0.1.
        penalty (float): Ridge penalty. Defaults to 1.
        seed (int): Seed of landmarks and folds. Defaults to 0.
    """

    keep_share: float = 0.1
    penalty: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class LabelScores:
    """What is known about the labels of N images.

    Attributes:
        noise_score (np.ndarray): Probability that the given label is wrong, (N,);
            NaN where it was not scored.
        probabilities (np.ndarray): Out-of-sample class probabilities, (N, C).
        suggested_label (np.ndarray): Most probable class, int64 (N,); -1 where the
            label was not scored.
        suspicious (np.ndarray): Labels flagged as wrong, bool (N,). All False under
            200 images: too few to decide.
        careful (np.ndarray): Labels where another class is at least twice as
            probable as the given one, bool (N,).
        noise_rate (float): Estimated share of wrong labels.
        strength (Strength): Accuracy of the predictions against chance.
        decided (bool): Whether there were enough images to flag labels.
    """

    noise_score: np.ndarray
    probabilities: np.ndarray
    suggested_label: np.ndarray
    suspicious: np.ndarray
    careful: np.ndarray
    noise_rate: float
    strength: Strength
    decided: bool


# Fewer images are sorted, but no label is flagged.
MIN_IMAGES = 200


def score_labels(
    blocks: Mapping[str, np.ndarray],
    labels: np.ndarray,
    num_classes: int,
    groups: Optional[np.ndarray] = None,
    valid: Optional[np.ndarray] = None,
    options: Optional[ScoreOptions] = None,
) -> LabelScores:
    """Score how probably each given label is wrong, without training a network.

    Args:
        blocks (Mapping[str, np.ndarray]): Features (N, D) by name, from
            :func:`~mmfer.scan.extract`.
        labels (np.ndarray): Given labels, int64 (N,).
        num_classes (int): Number of classes C.
        groups (np.ndarray, optional): Group of each image, int64 (N,), such as a
            person or near duplicates. A whole group is left out when its labels are
            scored. Defaults to None: each image is a group.
        valid (np.ndarray, optional): Images to score, bool (N,), such as those that
            could be read. Defaults to all.
        options (ScoreOptions, optional): Defaults to ``ScoreOptions()``.
    """
    options = options or ScoreOptions()
    rows = np.arange(len(labels)) if valid is None else np.flatnonzero(valid)
    given = np.asarray(labels)[rows]
    targets = np.eye(num_classes)[given]
    parts = None if groups is None else np.asarray(groups)[rows]
    outputs = [
        held_out_predictions(block, targets, rows, parts, options.penalty)
        for block in blocks.values()
    ]
    probabilities = np.mean(outputs, axis=0).clip(1e-3)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    own = probabilities[np.arange(len(rows)), given]
    score = 1 - own
    decided = len(rows) >= MIN_IMAGES
    flags = keep_some(expected_f1_flags(score), score, given, options.keep_share)
    return LabelScores(
        noise_score=_spread(score, rows, len(labels), np.nan),
        probabilities=_spread(probabilities, rows, len(labels), np.nan),
        suggested_label=_spread(probabilities.argmax(axis=1), rows, len(labels), -1),
        suspicious=_spread(flags & decided, rows, len(labels), False),
        careful=_spread(probabilities.max(axis=1) >= 2 * own, rows, len(labels), False),
        noise_rate=float(score.mean()),
        strength=measure_strength(probabilities.argmax(axis=1), given, parts),
        decided=decided,
    )


def _spread(
    values: np.ndarray, rows: np.ndarray, count: int, missing: object
) -> np.ndarray:
    """Return an array for all images with the values of some."""
    result = np.full((count, *values.shape[1:]), missing, values.dtype)
    result[rows] = values
    return result
