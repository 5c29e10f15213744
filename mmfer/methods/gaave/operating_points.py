"""From probabilities of wrong labels to candidates: GAAVE's operating points."""

from typing import NamedTuple, Optional

import numpy as np

from mmfer.evaluation.flagging import expected_f1_flags

from .posterior import share_seen


class OperatingPoint(NamedTuple):
    """What a cleaning aims at. All shares are expected ones, by the posterior.

    Attributes:
        kept_right (float): Share of the right labels of each class that is kept at
            least, so that no rare class is lost; see :func:`least_suspicious`.
        wrong_left (float, optional): Share of wrong labels among those that are kept.
            None: candidates have the largest expected F1.
        relabel_accuracy (float): Share of relabelled samples whose new label is right.
    """

    kept_right: float
    wrong_left: Optional[float]
    relabel_accuracy: float


POINTS = dict(
    balanced=OperatingPoint(0.5, None, 0.9), strict=OperatingPoint(0.5, 0.035, 0.967)
)
"""Named operating points."""

FEW = 50
"""Number of right labels that a class counts as at least, in its margin."""

# Without a noise rate, how much more probable another label must be. With a smaller
# number, a weak base model would drop many right labels of a set without noise.
CLEAR = 9


def choose_candidates(
    wrong: np.ndarray, labels: np.ndarray, point: OperatingPoint
) -> np.ndarray:
    """Choose the samples whose labels are in doubt.

    Args:
        wrong (np.ndarray): Probability that the given label is wrong, (N, ).
        labels (np.ndarray): Given labels, int64 (N, ).
        point (OperatingPoint): What the cleaning aims at. If so few wrong labels cannot
            be left, the fewest possible are.

    Returns:
        np.ndarray: bool (N, ).
    """
    kept = least_suspicious(wrong, labels, point.kept_right)
    if point.wrong_left is None:
        return expected_f1_flags(wrong) & ~kept
    order = np.argsort(wrong, kind='stable')
    rest = order[~kept[order]]
    expected = np.cumsum(np.append(wrong[kept].sum(), wrong[rest]))
    share = expected / np.maximum(kept.sum() + np.arange(len(expected)), 1)
    # The share grows with every further sample, unless the rare classes exceed it.
    allowed = np.flatnonzero(share <= point.wrong_left)
    kept[rest[: allowed[-1] if len(allowed) else share.argmin()]] = True
    return ~kept


def least_suspicious(wrong: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    r"""Choose in each class the samples that hold a share of its right labels.

    If the n right labels that are expected in a class really are there, the share s of
    them that a choice holds has the standard error :math:`\sqrt{s (1 - s) / n}`, where
    n counts as :data:`FEW` at least. Two of these are added, but at most half of what
    is missing to 1.

    Args:
        wrong (np.ndarray): Probability that the given label is wrong, (N, ).
        labels (np.ndarray): Given labels, int64 (N, ).
        share (float): Share of the expected right labels of each class, in [0, 1].

    Returns:
        np.ndarray: bool (N, ); at least one sample of each class, unless ``share`` is
        0.
    """
    chosen = np.zeros(len(wrong), bool)
    for label in np.unique(labels) if share else ():
        members = np.flatnonzero(labels == label)
        order = members[np.argsort(wrong[members], kind='stable')]
        right = np.cumsum(1 - wrong[order])
        error = np.sqrt(share * (1 - share) / max(right[-1], FEW))
        wanted = share + min(2 * error, (1 - share) / 2)
        chosen[order[: np.searchsorted(right, wanted * right[-1]) + 1]] = True
    return chosen


def safe_accuracy(
    accuracy: float, noise_rate: float, classes: int, held_out: int
) -> float:
    r"""Return the accuracy to ask of an estimate, so that the true one is as wanted.

    An accuracy that n held-out labels show has the standard error
    :math:`\sqrt{a (1 - a) / n}`. If a share of the labels is wrong, they show less: the
    error grows by :math:`1 / (1 - e\, C / (C - 1))`. Two standard errors are added.

    Args:
        accuracy (float): Accuracy a that is wanted, in [0, 1].
        noise_rate (float): e, in [0, 1 - 1 / C).
        classes (int): C.
        held_out (int): n.

    Returns:
        float: Accuracy, at most 1.
    """
    error = np.sqrt(accuracy * (1 - accuracy) / held_out)
    return float(min(accuracy + 2 * error / share_seen(noise_rate, classes), 1))


def choose_relabelled(probability: np.ndarray, accuracy: float) -> np.ndarray:
    """Choose the samples whose new labels are right in a share of the cases.

    Args:
        probability (np.ndarray): Probability that the new label is right, (N, ).
        accuracy (float): Expected share of right ones among the chosen samples.

    Returns:
        np.ndarray: The most probable samples, as many as possible, bool (N, ).
    """
    order = np.argsort(-probability, kind='stable')
    mean = np.cumsum(probability[order]) / np.arange(1, len(order) + 1)
    chosen = np.zeros(len(order), bool)
    chosen[order[: int((mean >= accuracy).sum())]] = True
    return chosen
