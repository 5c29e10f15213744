"""From features and given labels to which labels are probably wrong."""

from dataclasses import dataclass
from typing import List, Mapping, Optional

import numpy as np

from mmfer.evaluation import Strength, measure_strength
from mmfer.evaluation.flagging import (
    Quality,
    clear_flags,
    expected_f1_flags,
    expected_quality,
    keep_some,
)
from mmfer.models.label_posterior import cross_fit

from .head import held_out_logits
from .nystroem import LANDMARKS, NystroemFeatures
from .ridge import Samples, held_out_predictions

# Fewer images are sorted, but no label is flagged.
MIN_IMAGES = 200
# Under this number of images the scores are weak.
ENOUGH_IMAGES = 3000
# If fewer labels are expected to be wrong, the noise is not symmetric, or there is
# hardly any.
MIN_WRONG = 0.05
# Penalty of the kernel ridge, found by the likelihood of held-out given labels.
KERNEL_PENALTY = 0.1


@dataclass(frozen=True)
class ScoreOptions:
    """Options of :func:`score_labels`.

    Attributes:
        keep_share (float): Share of each given class that is never flagged, those
            with the smallest scores. Defaults to 0.1; with 0, a whole class may be
            flagged.
        careful (bool): Flag only labels beside which another label is at least twice
            as probable. Defaults to False.
        head (bool): Train a small network on the features, too. It takes minutes.
            Defaults to False.
        landmarks (int): Landmarks of the kernel ridge; 0 for none. Defaults to 2000.
        penalty (float): Ridge penalty. Defaults to 1.
        seed (int): Seed of landmarks, folds and head. Defaults to 0.
    """

    keep_share: float = 0.1
    careful: bool = False
    head: bool = False
    landmarks: int = LANDMARKS
    penalty: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class LabelScores:
    """What is known about the labels of N images.

    Attributes:
        noise_score (np.ndarray): Probability that the given label is wrong, (N,);
            NaN where it was not scored. If ``symmetric`` is False, only its order
            means something: it is one minus the probability of the given label.
        probabilities (np.ndarray): Out-of-sample class probabilities, (N, C).
        suggested_label (np.ndarray): Most probable class, int64 (N,); -1 where the
            label was not scored.
        suspicious (np.ndarray): Labels flagged as wrong, bool (N,). All False under
            200 images: too few to decide.
        careful (np.ndarray): Labels beside which another label is at least twice as
            probable, bool (N,).
        noise_rate (float, optional): Estimated share of wrong labels, the mean of the
            probabilities; None if ``symmetric`` or ``decided`` is False.
        symmetric (bool): Whether one noise rate for all classes explains the labels.
            Otherwise ``suspicious`` is ``careful``.
        quality (Quality): How well scores and flags are expected to do, from their
            own probabilities; None if ``symmetric`` is False.
        strength (Strength): Accuracy of the predictions against chance.
        decided (bool): Whether there were enough images to flag labels.
        weak (bool): Whether there were fewer than 3,000 images.
    """

    noise_score: np.ndarray
    probabilities: np.ndarray
    suggested_label: np.ndarray
    suspicious: np.ndarray
    careful: np.ndarray
    noise_rate: Optional[float]
    symmetric: bool
    quality: Optional[Quality]
    strength: Strength
    decided: bool
    weak: bool


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

    Raises:
        ValueError: Images or labels have one class or one group only.
    """
    options = options or ScoreOptions()
    rows = np.arange(len(labels)) if valid is None else np.flatnonzero(valid)
    given = np.asarray(labels)[rows]
    if len(np.unique(given)) < 2:
        raise ValueError(
            f'scan: the {len(rows)} images have one class, so there is nothing to '
            'compare their labels with. Give images of at least two classes.'
        )
    parts = None if groups is None else np.asarray(groups)[rows]
    outputs = held_out_outputs(blocks, given, rows, num_classes, parts, options)
    found = cross_fit(outputs, given, parts, seed=options.seed)
    symmetric = bool(found.wrong.mean() >= MIN_WRONG)
    careful = clear_flags(found.given, given)
    score = found.wrong
    if not symmetric:
        score = 1 - found.given[np.arange(len(rows)), given]
    only_clear = options.careful or not symmetric
    flags = careful if only_clear else expected_f1_flags(score)
    flags = keep_some(flags, score, given, options.keep_share)
    decided = len(rows) >= MIN_IMAGES
    best = found.probabilities.argmax(axis=1)
    count = len(labels)
    return LabelScores(
        noise_score=_spread(score, rows, count, np.nan),
        probabilities=_spread(found.probabilities, rows, count, np.nan),
        suggested_label=_spread(best, rows, count, -1),
        suspicious=_spread(flags & decided, rows, count, False),
        careful=_spread(careful & decided, rows, count, False),
        noise_rate=float(score.mean()) if symmetric and decided else None,
        symmetric=symmetric,
        quality=expected_quality(score, flags) if symmetric else None,
        strength=measure_strength(best, given, parts),
        decided=decided,
        weak=len(rows) < ENOUGH_IMAGES,
    )


def held_out_outputs(
    blocks: Mapping[str, np.ndarray],
    labels: np.ndarray,
    rows: np.ndarray,
    num_classes: int,
    groups: Optional[np.ndarray],
    options: ScoreOptions,
) -> List[np.ndarray]:
    """Return the held-out outputs (n, C) of all classifiers of the scan.

    There is a ridge for each block, one on kernel features of all blocks together, and
    the head if it is wanted.

    Args:
        blocks (Mapping[str, np.ndarray]): Features (N, D) by name.
        labels (np.ndarray): Given labels, int64 (n,).
        rows (np.ndarray): Their rows in the blocks, int64 (n,).
        num_classes (int): Number of classes C.
        groups (np.ndarray, optional): Group of each label, int64 (n,).
        options (ScoreOptions): See :class:`ScoreOptions`.
    """
    targets = np.eye(num_classes)[labels]
    samples = [Samples(block, rows) for block in blocks.values()]
    outputs = [
        held_out_predictions(block, targets, groups, options.penalty)
        for block in samples
    ]
    if options.landmarks:
        features = NystroemFeatures(samples, options.landmarks, seed=options.seed)
        kernel = Samples(features, rows, equalise=False)
        outputs.append(held_out_predictions(kernel, targets, groups, KERNEL_PENALTY))
    if options.head:
        rate = cross_fit(outputs, labels, groups, seed=options.seed)[3]
        outputs.append(
            held_out_logits(samples, labels, num_classes, rate, groups, options.seed)
        )
    return outputs


def _spread(
    values: np.ndarray, rows: np.ndarray, count: int, missing: object
) -> np.ndarray:
    """Return an array for all images with the values of some."""
    result = np.full((count, *values.shape[1:]), missing, values.dtype)
    result[rows] = values
    return result
