"""Selective prediction: risk-coverage measures, and thresholds with a promise."""

import math
from functools import lru_cache
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

# Most rows of a table of counts, which is stored in checkpoints.
MOST_ROWS = 400
# Probability with which the first test succeeds, if half the target is the error rate.
FIRST_POWER = 0.9
# Confidence of the error rates from which the number of needed images is estimated.
CAUTIOUS = 0.8
# Larger numbers of images are no advice.
MOST_TRIALS = 10**6


def expected_wrong(correct: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    """Return the number of errors among the k surest samples, for k = 1 ... N.

    Samples of equal uncertainty have no order. Their errors are spread evenly, which
    is the mean over all orders.

    Args:
        correct (np.ndarray): Whether a prediction is right, bool (N,).
        uncertainty (np.ndarray): Uncertainties (N,); larger is less sure.

    Returns:
        np.ndarray: float64 (N,).
    """
    values, group, sizes = np.unique(
        uncertainty, return_inverse=True, return_counts=True
    )
    wrong = np.bincount(
        group, ~np.asarray(correct, dtype=bool), minlength=len(values)
    ).astype(np.float64)
    return np.repeat(wrong / np.maximum(sizes, 1), sizes).cumsum()


def aurc(correct: np.ndarray, uncertainty: np.ndarray) -> float:
    """Compute the area under the risk-coverage curve, AURC.

    It is the mean of the error rates among the k surest samples, for k = 1 ... N
    (Geifman and El-Yaniv, NeurIPS 2017; Geifman, Uziel and El-Yaniv, ICLR 2019).

    Args:
        correct (np.ndarray): Whether a prediction is right, bool (N,).
        uncertainty (np.ndarray): Uncertainties (N,); larger is less sure.

    Returns:
        float: Area in [0, 1]; smaller is better.
    """
    wrong = expected_wrong(correct, uncertainty)
    return float(np.mean(wrong / np.arange(1, len(wrong) + 1)))


def augrc(correct: np.ndarray, uncertainty: np.ndarray) -> float:
    """Compute the area under the generalised risk-coverage curve, AUGRC.

    The generalised risk at a coverage is the share of all samples that are accepted
    and wrong (Traub et al., NeurIPS 2024). Other than AURC, its mean does not count
    the surest samples again and again. It equals
    (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2.

    Args:
        correct (np.ndarray): Whether a prediction is right, bool (N,).
        uncertainty (np.ndarray): Uncertainties (N,); larger is less sure.

    Returns:
        float: Area in [0, 1/2]; smaller is better.
    """
    wrong = expected_wrong(correct, uncertainty)
    # Trapezoids, because the curve begins at no sample and no error.
    return float((wrong.sum() - wrong[-1] / 2) / len(wrong) ** 2)


def binomial_cdf(wrong: int, trials: int, rate: float) -> float:
    """Return the probability of at most ``wrong`` errors in ``trials``.

    Args:
        wrong (int): Number of errors, >= 0.
        trials (int): Number of independent trials.
        rate (float): Probability of an error in each, in (0, 1).
    """
    if wrong >= trials:
        return 1.0
    mean, deviation = trials * rate, math.sqrt(trials * rate * (1 - rate))
    # The terms below are smaller than rounding errors.
    lowest = max(0, math.floor(min(wrong, mean) - 12 * deviation - 50))
    first = (
        math.lgamma(trials + 1)
        - math.lgamma(wrong + 1)
        - math.lgamma(trials - wrong + 1)
        + wrong * math.log(rate)
        + (trials - wrong) * math.log1p(-rate)
    )
    i = np.arange(wrong, lowest, -1, dtype=np.float64)
    # Each term is the one above it, times this ratio.
    ratios = np.log(i) + math.log1p(-rate) - np.log(trials - i + 1) - math.log(rate)
    terms = first + np.concatenate([[0.0], ratios.cumsum()])
    return float(min(np.exp(terms).sum(), 1.0))


def error_bound(wrong: int, kept: int, confidence: float = 0.95) -> float:
    """Return the upper Clopper-Pearson bound of an error rate.

    With probability ``confidence`` or more, the error rate is not above the bound
    (Clopper and Pearson, Biometrika 1934).

    Args:
        wrong (int): Number of errors among independent samples.
        kept (int): Number of samples.
        confidence (float): In (0, 1). Defaults to 0.95.
    """
    if wrong >= kept:
        return 1.0
    low, high = wrong / kept, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if binomial_cdf(wrong, kept, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


class RiskTable(NamedTuple):
    """Errors among the surest of N held-out images, at several thresholds.

    Attributes:
        images (int): N.
        rows (list[tuple[float, int, int]]): Threshold, number of images whose
            uncertainty is not above it, and an upper bound of the number of wrong
            predictions among these. All three rise from row to row.
    """

    images: int
    rows: List[Tuple[float, int, int]]


def risk_table(
    correct: np.ndarray, uncertainty: np.ndarray, most_rows: int = MOST_ROWS
) -> RiskTable:
    """Count the errors among the surest images.

    Args:
        correct (np.ndarray): Whether a prediction is right, bool (N,).
        uncertainty (np.ndarray): Uncertainties (N,); larger is less sure.
        most_rows (int): Number of rows of the table, which are evenly spaced.
    """
    order = np.argsort(uncertainty, kind='stable')
    values = np.asarray(uncertainty, dtype=np.float64)[order]
    wrong = np.cumsum(~np.asarray(correct, dtype=bool)[order])
    # Samples of equal uncertainty can only be kept or rejected together.
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    wanted = np.linspace(0, len(values) - 1, min(most_rows, len(values)))
    rows = np.unique(last[np.searchsorted(last, wanted.round())])
    return RiskTable(
        len(values), [(float(values[r]), int(r) + 1, int(wrong[r])) for r in rows]
    )


def stored_risk_table(stored: dict) -> RiskTable:
    """Return the table of a published checkpoint.

    Checkpoints of mmfer 0.2 have no counts, but for each of many error rates the
    largest threshold that keeps it. Of k images that such a threshold keeps,
    floor(rate k) are wrong: with one error less, or one more image, the threshold
    would be a larger one or none. With equal uncertainties it may be fewer.

    Args:
        stored (dict): ``rejection`` of the checkpoint.
    """
    images = int(stored['images'])
    if stored.get('counts'):
        return RiskTable(
            images, [(float(t), int(k), int(w)) for t, k, w in stored['counts']]
        )
    rows: List[Tuple[float, int, int]] = []
    for rate, threshold, share in sorted(map(tuple, stored['thresholds'])):
        kept = round(share * images)
        if kept and (not rows or kept > rows[-1][1]):
            wrong = math.floor(rate * kept + 1e-9)
            if kept == images:
                wrong = min(wrong, round(stored['error'] * images))
            rows.append((float(threshold), kept, wrong))
    return RiskTable(images, rows)


class PromisedThreshold(NamedTuple):
    """Threshold that keeps an error rate with a stated confidence.

    Attributes:
        threshold (float): Uncertainties that are not above it are accepted.
        share (float): Share of the held-out images that are accepted.
        kept (int): Number of these images.
        wrong (int): Number of wrong predictions among them, or an upper bound.
    """

    threshold: float
    share: float
    kept: int
    wrong: int


@lru_cache(maxsize=256)
def smallest_test(target_error: float, confidence: float = 0.95) -> int:
    """Return the number of images of the first test of :func:`promise_threshold`.

    With fewer images, one error by chance would end the tests. This many suffice, in
    nine cases of ten, for a model whose error rate is half the target.

    Args:
        target_error (float): In (0, 1).
        confidence (float): In (0, 1).
    """
    size = math.ceil(math.log(1 - confidence) / math.log1p(-target_error)) + 1
    while True:
        likely = 0
        while binomial_cdf(likely, size, target_error / 2) < FIRST_POWER:
            likely += 1
        if binomial_cdf(likely, size - 1, target_error) <= 1 - confidence:
            return size
        size = max(size + 1, math.ceil(1.03 * size))


def first_test(images: int, target_error: float, confidence: float) -> int:
    """Return the number of images of the first test, which no error decides about.

    Args:
        images (int): Number of held-out images.
        target_error (float): In (0, 1).
        confidence (float): In (0, 1).
    """
    # Who rejects seven of eight images has no use for the rest, and a larger first
    # test is less a matter of luck.
    return max(smallest_test(target_error, confidence), images // 8)


def promise_threshold(
    table: RiskTable, target_error: float, confidence: float = 0.95
) -> Optional[PromisedThreshold]:
    """Find the largest threshold whose error rate is promised.

    With probability ``confidence`` over the draw of the held-out images, the error
    rate among new images like them that are accepted is not above ``target_error``.

    The hypotheses 'the error rate among the images that are surer than the k-th
    surest one is above the target' are tested in a fixed order, from the
    :func:`first_test` upwards, each with an exact binomial test of the k - 1 surer
    images, and the tests end with the first that fails. So no correction for many
    tests is needed: it is fixed-sequence testing (Bauer, Statistics in Medicine
    1991), in the form of *learn then test* (Angelopoulos et al., 2021). Given how many
    images are surer than the first threshold with too large an error rate, their
    errors are binomial, so this first test fails with probability ``confidence``.

    Between two rows of the table, all errors that the later row adds are taken to
    come first. So a coarse table gives smaller thresholds, and never a false promise.

    Args:
        table (RiskTable): Counts of held-out images.
        target_error (float): Largest share of errors among accepted images, in (0, 1).
        confidence (float): In (0, 1). Defaults to 0.95.

    Returns:
        PromisedThreshold, optional: None if no threshold can be promised.
    """
    start = first_test(table.images, target_error, confidence)
    best, before = None, (0, 0)
    for threshold, kept, wrong in table.rows:
        if kept >= start:
            # More images without another error pass where fewer have passed.
            if best is None or wrong > before[1]:
                # The fewest images with all errors of this row.
                fewest = min(max(before[0] + wrong - before[1], start), kept)
                if binomial_cdf(wrong, fewest - 1, target_error) > 1 - confidence:
                    break
            best = PromisedThreshold(threshold, kept / table.images, kept, wrong)
        before = kept, wrong
    return best


def images_needed(
    table: RiskTable, target_error: float, confidence: float = 0.95
) -> Optional[int]:
    """Estimate how many held-out images a promise needs.

    Args:
        table (RiskTable): Counts of held-out images, for which there is no promise.
        target_error (float): See :func:`promise_threshold`.
        confidence (float): See :func:`promise_threshold`.

    Returns:
        int, optional: Number of images; None if the error rate of the surest ones is
        not below the target, so that more images would not help.
    """
    start = smallest_test(target_error, confidence)
    for careful in (True, False):
        found: List[int] = []
        # An estimate needs no more than some of the rows.
        for _, kept, wrong in table.rows[:: max(len(table.rows) // 40, 1)]:
            # Few images without an error prove little, so take a cautious rate first.
            rate = (
                error_bound(wrong, kept, CAUTIOUS)
                if careful
                else (wrong + 1) / (kept + 1)
            )
            if rate < target_error:
                size = _trials_needed(rate, target_error, confidence, start)
                found.append(math.ceil(size * table.images / kept))
        if found:
            return min(found)
    return None


def _trials_needed(rate: float, target: float, confidence: float, start: int) -> int:
    """Return how many images prove the target, if a share ``rate`` of them is wrong."""
    size = start
    while size < MOST_TRIALS and (
        binomial_cdf(math.ceil(rate * size), size - 1, target) > 1 - confidence
    ):
        size = math.ceil(1.05 * size)
    return size


def as_stored(table: RiskTable) -> List[Sequence[float]]:
    """Return the rows of a table as they are stored in a checkpoint."""
    return [list(row) for row in table.rows]
