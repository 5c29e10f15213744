"""From probabilities of a wrong label to decisions."""

import numpy as np


def expected_f1_flags(score: np.ndarray) -> np.ndarray:
    r"""Flag the labels whose flagging has the largest expected F1.

    The n largest scores are flagged, where n maximises

    .. math:: 2 \sum_{i \le n} s_i / (n + \sum_i s_i).

    Args:
        score (np.ndarray): Probability of a wrong label, (N,).

    Returns:
        np.ndarray: bool (N,).
    """
    order = np.argsort(-score, kind='stable')
    found = np.cumsum(score[order])
    value = 2 * found / (np.arange(1, len(score) + 1) + found[-1])
    flags = np.zeros(len(score), bool)
    if found[-1] > 0:
        flags[order[: value.argmax() + 1]] = True
    return flags


def keep_some(
    flags: np.ndarray, score: np.ndarray, labels: np.ndarray, share: float
) -> np.ndarray:
    """Remove flags so that a share of each given class is kept.

    Args:
        flags (np.ndarray): bool (N,).
        score (np.ndarray): Probability of a wrong label, (N,).
        labels (np.ndarray): Given labels, int64 (N,).
        share (float): Share of a class, in [0, 1]; at least one label is kept
            unless it is 0.

    Returns:
        np.ndarray: bool (N,).
    """
    result = flags.copy()
    for label in np.unique(labels) if share else ():
        members = np.flatnonzero(labels == label)
        best = members[np.argsort(score[members], kind='stable')]
        result[best[: int(np.ceil(share * len(members)))]] = False
    return result
