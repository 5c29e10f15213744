"""What GAAVE says of each sample."""

from typing import NamedTuple

import numpy as np


class LabelDecisions(NamedTuple):
    """What GAAVE says of each sample, arrays (N, ) in one order.

    Attributes:
        sample_id (np.ndarray): int64, ascending.
        given_label (np.ndarray): int64.
        subset (np.ndarray): 0 for the head-set, 1 for the tail-set.
        attack_steps (np.ndarray): k of Eq. 3, float64; a whole number unless
            it is a mean of several passes.
        given_probability (np.ndarray): Of the given label by the base model
            of its subset, float64 in [0, 1].
        candidate (np.ndarray): Whether k is at most its subset's threshold.
        suggested_label (np.ndarray): int64; the given one of samples that
            are kept, -1 where there is none.
        decision (np.ndarray): ``'keep'``, ``'relabel'`` or ``'drop'``.
        noise_score (np.ndarray): How far k lies below the threshold of its
            subset, float64 in (0, 1); above one half for candidates. Of
            equal k that with the lower ``given_probability`` is higher.
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
