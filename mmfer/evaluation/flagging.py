"""From probabilities of a wrong label to decisions."""

from typing import NamedTuple

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


def clear_flags(given: np.ndarray, labels: np.ndarray, factor: float = 2) -> np.ndarray:
    """Flag labels beside which another label is clearly more probable.

    Args:
        given (np.ndarray): Probabilities of the given labels, (N, C).
        labels (np.ndarray): Given labels, int64 (N,).
        factor (float): Ratio of the two from which a label is flagged.

    Returns:
        np.ndarray: bool (N,).
    """
    return given.max(axis=1) >= factor * given[np.arange(len(labels)), labels]


def keep_some(
    flags: np.ndarray, score: np.ndarray, labels: np.ndarray, share: float
) -> np.ndarray:
    """Remove flags so that a share of each given class is kept.

    Args:
        flags (np.ndarray): bool (N,).
        score (np.ndarray): Larger is more suspicious, (N,).
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


class Quality(NamedTuple):
    """What scores say about themselves; right if they are true probabilities.

    Attributes:
        auroc (float): Share of pairs of a wrong and a right label in order.
        precision (float): Share of wrong labels among the flagged ones.
        recall (float): Share of flagged labels among the wrong ones.
    """

    auroc: float
    precision: float
    recall: float


def expected_quality(score: np.ndarray, flags: np.ndarray) -> Quality:
    r"""Return how well scores and flags are expected to do.

    Label i is wrong with probability :math:`s_i`, independently of the others. With
    the scores in ascending order, the expected number of pairs in order is

    .. math:: \sum_i s_i \Big(\sum_{j < i} (1 - s_j) + (1 - s_i) / 2\Big).

    Args:
        score (np.ndarray): Probability of a wrong label out of sample, (N,).
        flags (np.ndarray): bool (N,).
    """
    s = np.sort(score)
    right = 1 - s
    ordered = (s * (np.cumsum(right) - right / 2)).sum()
    pairs = s.sum() * right.sum()
    found, total = score[flags].sum(), score.sum()
    return Quality(
        float(ordered / pairs) if pairs else 0.5,
        float(found / flags.sum()) if flags.any() else 0.0,
        float(found / total) if total else 0.0,
    )
