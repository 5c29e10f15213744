"""Measures of predictions, as functions of arrays."""

from typing import Optional, Tuple

import numpy as np


def auroc(scores: np.ndarray, positive: np.ndarray) -> Optional[float]:
    """Return the area under the ROC curve.

    It is the probability that a random positive sample has a larger score
    than a random negative one. A tie counts one half.

    Args:
        scores (np.ndarray): Scores (N, ); larger means more likely positive.
        positive (np.ndarray): Whether a sample is positive, bool (N, ).

    Returns:
        float | None: Area in [0, 1]; None if there are no positive or no
        negative samples.
    """
    positive = np.asarray(positive, dtype=bool)
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if not num_positive or not num_negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Equal scores share their mean rank, counted from 1.
    ranks = (counts.cumsum() - (counts - 1) / 2)[inverse]
    rank_sum = ranks[positive].sum()
    return float(
        (rank_sum - num_positive * (num_positive + 1) / 2)
        / (num_positive * num_negative)
    )


def rejection_accuracy(
    correct: np.ndarray, uncertainty: np.ndarray, rate: float
) -> float:
    """Return the accuracy after rejecting the most uncertain samples.

    Args:
        correct (np.ndarray): Whether a prediction is correct, bool (N, ).
        uncertainty (np.ndarray): Uncertainties (N, ); larger is less sure. If
            values are equal, the later ones are rejected first.
        rate (float): Share to reject, in [0, 1). round(rate * N) samples are
            rejected.

    Returns:
        float: Accuracy of the samples that are kept, in per cent.
    """
    order = np.argsort(uncertainty, kind='stable')
    kept = order[: len(order) - round(rate * len(order))]
    return float(np.mean(correct[kept]) * 100)


def rejection_threshold(
    correct: np.ndarray, uncertainty: np.ndarray, target_error: float
) -> Tuple[float, float]:
    """Find the threshold that keeps the most samples at a given error rate.

    Use images on which the model was not trained, and on which no results are
    reported.

    Args:
        correct (np.ndarray): Whether a prediction is correct, bool (N, ).
        uncertainty (np.ndarray): Uncertainties (N, ); larger is less sure.
        target_error (float): Highest share of wrong predictions among the
            kept samples, in [0, 1). A sample is kept if its uncertainty is
            not above the threshold.

    Returns:
        tuple[float, float]: Threshold, and the share of samples that are kept.
        They are -inf and 0 if no sample can be kept.
    """
    order = np.argsort(uncertainty, kind='stable')
    values = np.asarray(uncertainty, dtype=np.float64)[order]
    wrong = np.cumsum(~np.asarray(correct, dtype=bool)[order])
    error = wrong / np.arange(1, len(values) + 1)
    # Samples of equal uncertainty can only be kept or rejected together.
    last = np.append(values[1:] != values[:-1], True)
    kept = np.flatnonzero(last & (error <= target_error))
    if not kept.size:
        return float('-inf'), 0.0
    return float(values[kept[-1]]), float((kept[-1] + 1) / len(values))


def mean_class_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of the accuracies of the classes.

    Classes without a sample do not count.

    Args:
        predictions (np.ndarray): Predicted classes, int (N, ).
        labels (np.ndarray): True classes, int (N, ).

    Returns:
        float: Accuracy in per cent.
    """
    correct = predictions == labels
    return float(
        np.mean([correct[labels == c].mean() for c in np.unique(labels)]) * 100
    )


def concordance(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the concordance correlation coefficient of each dimension.

    It is 2 cov(p, y) / (var p + var y + (mean p - mean y)^2) (Lin, 1989). All
    moments divide by N.

    Args:
        prediction (np.ndarray): Predictions (N, D).
        target (np.ndarray): True values (N, D).

    Returns:
        np.ndarray: Coefficients in [-1, 1], (D, ). NaN if all predictions and
        all true values are the same number.
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
) -> Tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Compute the expected calibration error (Guo et al., ICML 2017).

    Args:
        confidence (np.ndarray): Probabilities of the predicted classes, in
            [0, 1], (N, ).
        correct (np.ndarray): Whether a prediction is correct, bool (N, ).
        bins (int): Number of bins. They have equal width and are open on the
            left. Defaults to 15.

    Returns:
        tuple: The error, which is the mean of |accuracy - confidence| over the
        images, and three arrays (bins, ). They have the mean confidence and
        the accuracy of each bin (both NaN in an empty bin), and its share of
        the images.
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
