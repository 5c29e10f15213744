"""Calibration of probabilities: temperature scaling, and prediction sets."""

import math
from typing import List, Optional, Sequence, Tuple

import numpy as np

# Range of fitted temperatures. At its ends, the held-out labels do not determine it.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
# Probabilities below are taken for this one, because its logarithm must be finite.
TINY = float(np.finfo(np.float32).tiny)
# Most rows of a table of quantiles, which is stored in checkpoints.
MOST_ROWS = 400


def apply_temperature(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logarithms of probabilities by a temperature, and normalise again.

    For one network, this equals dividing its logits (Guo et al., ICML 2017). The
    predicted class stays the same.

    Args:
        scores (np.ndarray): Probabilities (N, C).
        temperature (float): Above 1: less sure; below 1: surer.

    Returns:
        np.ndarray: float64 (N, C).
    """
    logs = np.log(np.maximum(np.asarray(scores, dtype=np.float64), TINY)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def negative_log_likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of -log p of the labels.

    Args:
        scores (np.ndarray): Probabilities (N, C).
        labels (np.ndarray): Labels, int (N,).
    """
    given = np.asarray(scores, dtype=np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(given, TINY)).mean())


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature with the largest likelihood of the labels.

    The likelihood is concave in 1 / temperature, so bisection finds its maximum.

    Args:
        scores (np.ndarray): Probabilities of images on which the model was not
            trained, (N, C).
        labels (np.ndarray): Their given labels, int (N,).

    Returns:
        float: Temperature in [0.05, 20].
    """
    logs = np.log(np.maximum(np.asarray(scores, dtype=np.float64), TINY))
    given = logs[np.arange(len(labels)), labels].mean()

    def slope(inverse: float) -> float:
        weights = apply_temperature(scores, 1 / inverse)
        return float(given - (weights * logs).sum(axis=1).mean())

    low, high = 1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE
    for _ in range(60):
        middle = math.sqrt(low * high)
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    return 1 / math.sqrt(low * high)


def conformal_rank(images: int, coverage: float) -> int:
    """Return which calibration image decides about the size of prediction sets.

    Args:
        images (int): Number of calibration images, n.
        coverage (float): Wanted coverage, in (0, 1).

    Returns:
        int: Rank k, counted from 1 at the lowest probability of a given label. 0: n
        images are too few for this coverage.
    """
    # A share of (n + 1 - k) / (n + 1) is covered. The small number keeps k if
    # (n + 1) * coverage is whole but for rounding.
    return max(images + 1 - math.ceil((images + 1) * coverage - 1e-9), 0)


def quantile_table(
    scores: np.ndarray, labels: np.ndarray, most_rows: int = MOST_ROWS
) -> List[Tuple[int, float]]:
    """Return probabilities of given labels by rank, from which sets are made.

    Args:
        scores (np.ndarray): Probabilities of N calibration images, (N, C). Neither the
            model nor its temperature was fitted to them.
        labels (np.ndarray): Their given labels, int (N,).
        most_rows (int): Number of rows, which are evenly spaced.

    Returns:
        list[tuple[int, float]]: Ranks from 1, and probabilities. Both rise.
    """
    given = np.sort(np.asarray(scores)[np.arange(len(labels)), labels])
    ranks = np.linspace(1, len(given), min(most_rows, len(given))).round().astype(int)
    return [(int(rank), float(given[rank - 1])) for rank in np.unique(ranks)]


def set_threshold(
    table: Sequence[Sequence[float]], images: int, coverage: float
) -> Optional[float]:
    """Return the probability from which classes belong to a prediction set.

    A set has all classes whose probability is not below the threshold. It contains
    the given label of a new image with probability ``coverage`` or a little more, if
    calibration images and new images are exchangeable: split conformal prediction
    (Papadopoulos et al., 2002) with the score *1 - p of the label*, which gives the
    smallest sets on average (Sadinle, Lei and Wasserman, JASA 2019).

    Args:
        table (Sequence): See :func:`quantile_table`.
        images (int): Number of calibration images.
        coverage (float): In (0, 1).

    Returns:
        float, optional: None if there are too few images for this coverage.
    """
    rank = conformal_rank(images, coverage)
    # A lower rank of a coarse table makes larger sets, which cover more.
    below = [value for row, value in table if row <= rank]
    return float(below[-1]) if rank and below else None
