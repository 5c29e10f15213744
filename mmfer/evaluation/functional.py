"""Array-in, number-out measures."""

from typing import Optional, Tuple

import numpy as np


def auroc(scores: np.ndarray, positive: np.ndarray) -> Optional[float]:
    """Area under the ROC curve: P(score of a positive > of a negative).

    Ties count one half.

    Args:
        scores (np.ndarray): (N, ), larger speaks for positive.
        positive (np.ndarray): bool (N, ).

    Returns:
        float | None: In [0, 1]; None when one of the two groups is empty.
    """
    positive = np.asarray(positive, dtype=bool)
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if not num_positive or not num_negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Mean rank of each group of equal scores, counted from 1.
    ranks = (counts.cumsum() - (counts - 1) / 2)[inverse]
    rank_sum = ranks[positive].sum()
    return float(
        (rank_sum - num_positive * (num_positive + 1) / 2)
        / (num_positive * num_negative)
    )


def rejection_accuracy(
    correct: np.ndarray, uncertainty: np.ndarray, rate: float
) -> float:
    """Accuracy on what is left after rejecting the most uncertain share.

    Args:
        correct (np.ndarray): bool (N, ).
        uncertainty (np.ndarray): (N, ), larger is less sure. Of equal
            values the later ones are rejected first.
        rate (float): Share to reject, in [0, 1); round(rate * N) go.

    Returns:
        float: Per cent.
    """
    order = np.argsort(uncertainty, kind='stable')
    kept = order[: len(order) - round(rate * len(order))]
    return float(np.mean(correct[kept]) * 100)


def rejection_threshold(
    correct: np.ndarray, uncertainty: np.ndarray, target_error: float
) -> Tuple[float, float]:
    """The threshold that keeps most at no more than a share of errors.

    To be found on images that neither trained the model nor are reported.

    Args:
        correct (np.ndarray): bool (N, ).
        uncertainty (np.ndarray): (N, ), larger is less sure.
        target_error (float): Share of wrong ones among those whose
            uncertainty is not above the threshold, in [0, 1).

    Returns:
        tuple[float, float]: Threshold, and share of the images kept; -inf
        and 0 if nothing can be kept.
    """
    order = np.argsort(uncertainty, kind='stable')
    values = np.asarray(uncertainty, dtype=np.float64)[order]
    wrong = np.cumsum(~np.asarray(correct, dtype=bool)[order])
    error = wrong / np.arange(1, len(values) + 1)
    # Equal values are kept together.
    last = np.append(values[1:] != values[:-1], True)
    kept = np.flatnonzero(last & (error <= target_error))
    if not kept.size:
        return float('-inf'), 0.0
    return float(values[kept[-1]]), float((kept[-1] + 1) / len(values))


def mean_class_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur of the accuracy in each.

    Args:
        predictions (np.ndarray): int (N, ).
        labels (np.ndarray): int (N, ).

    Returns:
        float: Per cent.
    """
    correct = predictions == labels
    return float(
        np.mean([correct[labels == c].mean() for c in np.unique(labels)]) * 100
    )


def concordance(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Concordance correlation coefficient of each dimension (Lin, 1989).

    2 cov(p, y) / (var p + var y + (mean p - mean y)^2), with moments of the
    N samples.

    Args:
        prediction, target (np.ndarray): (N, D).

    Returns:
        np.ndarray: In [-1, 1], (D, ); NaN where nothing varies at all.
    """
    prediction = np.asarray(prediction, dtype=np.float64)
    target = np.asarray(target, dtype=np.float64)
    mean_p, mean_y = prediction.mean(axis=0), target.mean(axis=0)
    covariance = ((prediction - mean_p) * (target - mean_y)).mean(axis=0)
    spread = prediction.var(axis=0) + target.var(axis=0) + (mean_p - mean_y) ** 2
    return np.divide(
        2 * covariance, spread, where=spread > 0, out=np.full_like(spread, np.nan)
    )


def expected_calibration_error(
    confidence: np.ndarray, correct: np.ndarray, bins: int = 15
):
    """How far confidence is from accuracy (Guo et al., ICML 2017).

    Args:
        confidence (np.ndarray): Of the predicted classes, in [0, 1], (N, ).
        correct (np.ndarray): bool (N, ).
        bins (int): Of equal width, open on the left. Defaults to 15.

    Returns:
        tuple: The mean of |accuracy - confidence| over the images, and by
        bin, (bins, ): mean confidence, accuracy (NaN where it is empty), and
        share of the images.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    bin_of = (np.ceil(confidence * bins).astype(int) - 1).clip(0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid='ignore'):
        mean = np.bincount(bin_of, confidence, bins) / counts
        accuracy = (
            np.bincount(bin_of, np.asarray(correct, dtype=np.float64), bins) / counts
        )
    share = counts / len(confidence)
    filled = counts > 0
    error = float((share * np.abs(accuracy - mean))[filled].sum())
    return error, mean, accuracy, share
