"""Find thresholds of vulnerability: Criterion 1 of GAAVE (AAAI'23)."""

from typing import NamedTuple, Optional

import numpy as np


class Threshold(NamedTuple):
    """Threshold of k between candidates and other samples.

    Attributes:
        tau (int): Samples with k <= tau are candidates. -1: no sample is.
        separation (float): Share of the variance of k that lies between
            candidates and others, in [0, 1]; 0 if either group is empty.
    """

    tau: int
    separation: float


def separation(counts: np.ndarray, tau: int) -> float:
    """Compute the share of the variance that lies between k <= tau and k > tau.

    If the histogram is cut in the middle, it is 0.75 for a uniform and 0.64
    for a normal distribution.

    Args:
        counts (np.ndarray): Number of samples for each k, (K, ).
        tau (int): Threshold in [-1, K).
    """
    counts = np.asarray(counts, dtype=np.float64)
    values = np.arange(len(counts))
    total = counts.sum()
    low = counts[: tau + 1].sum()
    if not 0 < low < total:
        return 0.0
    mean = counts @ values / total
    variance = counts @ (values - mean) ** 2 / total
    mean_low = counts[: tau + 1] @ values[: tau + 1] / low
    mean_high = counts[tau + 1 :] @ values[tau + 1 :] / (total - low)
    share = low / total
    return float(share * (1 - share) * (mean_high - mean_low) ** 2 / variance)


def otsu_threshold(counts: np.ndarray, min_separation: float) -> Threshold:
    """Find Otsu's threshold, if the values of k form two groups.

    It maximises :func:`separation`, so it is also the optimum of 2-means. It
    would also divide a histogram with a single peak. So the result is -1, no
    candidates, if the separation is below ``min_separation``.

    Args:
        counts (np.ndarray): Number of samples for each k, (K, ).
        min_separation (float): Smallest separation of two groups, in [0, 1].
    """
    shares = [separation(counts, tau) for tau in range(len(counts) - 1)]
    tau = int(np.argmax(shares)) if shares else -1
    if not shares or not shares[tau] or shares[tau] < min_separation:
        return Threshold(-1, shares[tau] if shares else 0.0)
    return Threshold(tau, shares[tau])


def find_threshold(
    steps: np.ndarray,
    num_values: int,
    tau: Optional[int] = None,
    min_separation: float = 0.75,
) -> Threshold:
    """Find the threshold of a subset, Criterion 1.

    Args:
        steps (np.ndarray): k of its samples, int64 (N, ).
        num_values (int): Number of possible k, which lie in [0, num_values).
        tau (int, optional): Fixed threshold, returned unchanged. Defaults to
            None.
        min_separation (float): See :func:`otsu_threshold`. Defaults to 0.75,
            the separation of a uniform histogram.

    Raises:
        ValueError: ``tau`` is out of range.
    """
    counts = np.bincount(steps, minlength=num_values)
    if tau is None:
        return otsu_threshold(counts, min_separation)
    if not -1 <= tau < num_values - 1:
        raise ValueError(
            f'tau must lie in [-1, {num_values - 2}], because k lies in '
            f'[0, {num_values - 1}], got {tau}.'
        )
    return Threshold(tau, separation(counts, tau))
