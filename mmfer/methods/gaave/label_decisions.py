"""Table of the decisions of GAAVE, one row per sample."""

from typing import NamedTuple

import numpy as np


class LabelDecisions(NamedTuple):
    """Decisions on the labels of a data set: arrays (N, ), one entry per sample.

    Attributes:
        sample_id (np.ndarray): Sample ids, int64, ascending.
        given_label (np.ndarray): Given labels, int64.
        subset (np.ndarray): 0 for the head-set, 1 for the tail-set.
        attack_steps (np.ndarray): k of Eq. 3, float64; a whole number unless
            it is a mean over several scoring passes.
        given_probability (np.ndarray): Probability of the given label by the
            base model of the sample's subset, float64 in [0, 1].
        candidate (np.ndarray): Whether the label is in doubt, bool.
        suggested_label (np.ndarray): Label after the decision, int64. It is the
            given label for ``'keep'``. For ``'drop'`` it is -1 if annotators give
            none; with ``criterion='posterior'`` it is their most probable class.
        decision (np.ndarray): ``'keep'``, ``'relabel'`` or ``'drop'``.
        noise_score (np.ndarray): How suspicious the label is, float64: the
            probability that it is wrong, or with ``criterion='steps'`` see
            :func:`noise_score`.
    """

    sample_id: np.ndarray
    given_label: np.ndarray
    subset: np.ndarray
    attack_steps: np.ndarray
    given_probability: np.ndarray
    candidate: np.ndarray
    suggested_label: np.ndarray
    decision: np.ndarray
    noise_score: np.ndarray


def noise_score(
    steps: np.ndarray,
    probability: np.ndarray,
    taus: np.ndarray,
    max_steps: int,
    passes: int,
) -> np.ndarray:
    """Return a noise score: how far k lies below the threshold of its subset.

    Among samples of equal k, the sample whose given label has the lower
    probability gets the higher score.

    Args:
        steps (np.ndarray): k, a mean over the scoring passes, float64 (N, ).
        probability (np.ndarray): Probability of the given label, float64 (N, ).
        taus (np.ndarray): Threshold of each sample's subset, float64 (N, ).
        max_steps (int): Largest k.
        passes (int): Number of scoring passes.

    Returns:
        np.ndarray: In (0, 1), above 0.5 for candidates, float64 (N, ).
    """
    # k is a multiple of 1 / passes. The probability moves it by less than half of
    # that, and so only changes the order among samples of equal k.
    place = steps + 0.99 * (probability - 0.5) / passes
    return 0.5 + (taus + 0.5 / passes - place) / (2 * max_steps + 3)
