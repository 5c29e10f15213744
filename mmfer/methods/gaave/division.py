"""Divide samples into clean ones and candidates: Algorithm 1 of GAAVE, #3."""

from typing import List, NamedTuple, Sequence

import numpy as np

from .label_decisions import noise_score
from .splitting import Subset

# What Algorithm 1 attacks and divides of each refactored subset: the samples that
# belong to it, or also those of its extra class.
DIVISIONS = ('native', 'all')


class Part(NamedTuple):
    """Attacked samples of one subset, arrays (n, ).

    Attributes:
        sample_ids (np.ndarray): Sample ids, int64.
        native (np.ndarray): Whether a sample belongs to the subset, not to its
            extra class, bool.
        steps (np.ndarray): k, a mean over the scoring passes, float64.
        probability (np.ndarray): Probability of the label, float64.
        tau (float): Threshold of the subset.
    """

    sample_ids: np.ndarray
    native: np.ndarray
    steps: np.ndarray
    probability: np.ndarray
    tau: float


class Division(NamedTuple):
    """Union of all parts: arrays (N, ), one entry per sample of the training set.

    Attributes:
        steps, probability (np.ndarray): Those of the subset to which the sample
            belongs, float64.
        candidate (np.ndarray): Whether any subset calls the sample noisy, bool.
        noise_score (np.ndarray): Highest score of all subsets, float64. It is
            above 0.5 for candidates, and for no other sample.
    """

    steps: np.ndarray
    probability: np.ndarray
    candidate: np.ndarray
    noise_score: np.ndarray


def unite(
    sample_ids: np.ndarray, parts: Sequence[Part], max_steps: int, passes: int
) -> Division:
    """Unite the clean and the noisy parts of all subsets.

    With ``divide='all'``, a sample may be clean in one subset and noisy in the
    other, as in its own tail-set and in the extra class of the head-set. It is
    noisy then: it is a candidate, and in no clean set. So the clean and noisy sets
    are a partition of the training set.

    Args:
        sample_ids (np.ndarray): All samples, int64 (N, ), ascending.
        parts (Sequence[Part]): Attacked samples of each subset. Each sample is
            native in one of them.
        max_steps (int): Largest k.
        passes (int): Number of scoring passes.
    """
    count = len(sample_ids)
    steps, probability, score = (np.full(count, np.nan) for _ in range(3))
    candidate = np.zeros(count, dtype=bool)
    for part in parts:
        rows = np.searchsorted(sample_ids, part.sample_ids)
        own = rows[part.native]
        steps[own] = part.steps[part.native]
        probability[own] = part.probability[part.native]
        candidate[rows] |= part.steps <= part.tau
        here = noise_score(
            part.steps,
            part.probability,
            np.full(len(rows), part.tau),
            max_steps,
            passes,
        )
        # fmax takes the number if one of both is NaN.
        score[rows] = np.fmax(score[rows], here)
    return Division(steps, probability, candidate, score)


def attacked_rows(subset: Subset, divide: str) -> np.ndarray:
    """Return whether a sample of a subset is attacked, bool (n, ).

    Args:
        subset (Subset): A refactored subset, or the whole set.
        divide (str): One of :data:`DIVISIONS`.
    """
    return subset.native if divide == 'native' else np.ones_like(subset.native)


def without(subsets: Sequence[Subset], removed: np.ndarray) -> List[Subset]:
    """Return subsets without some samples; classes and extra class stay.

    Args:
        subsets (Sequence[Subset]): Refactored subsets.
        removed (np.ndarray): Ids of the removed samples, int64.
    """
    kept = []
    for subset in subsets:
        stays = ~np.isin(subset.sample_ids, removed)
        kept.append(
            subset._replace(
                sample_ids=subset.sample_ids[stays],
                labels=subset.labels[stays],
                native=subset.native[stays],
            )
        )
    return kept
