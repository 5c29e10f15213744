r"""Probability that a label is wrong, from a base model and its held-out samples.

GAAVE finds wrong labels by thresholds on k. Here the threshold comes from probabilities
instead, so nobody has to choose it. The paper does not have this.

1. On held-out samples, which the base model has not learned, log-probabilities of the
   base model (and of further classifiers) are combined with one noise rate e, by the
   likelihood of the given labels, see :mod:`mmfer.models.label_posterior`. The number
   of labels of each class counts with the weight of all samples, since that is what
   the noise rate of a rare class depends on.
2. A base model has memorised some of the labels that it learned, so the same formula
   finds too few of them wrong. Held-out samples are a random part of all samples, so
   the posterior has the same distribution on both: learned samples keep their order,
   and get the values of the held-out ones (:func:`match_quantiles`).
"""

from typing import NamedTuple, Optional

import numpy as np
import torch

from mmfer.models.label_posterior import Posterior as StackPosterior
from mmfer.models.label_posterior import (
    Stack,
    apply_stack,
    cross_fit,
    fit_stack,
    moments,
    with_label_counts,
)

# With fewer held-out samples for each class, the posterior is too sure of itself.
HELD_OUT_PER_CLASS = 40
# Rho of :mod:`mmfer.models.label_posterior`. Without it, a few hundred held-out samples
# with 50 % noise make most fits certain of all classes, also where they are wrong.
RIDGE = 0.3
# Below this share of wrong labels, one noise rate does not explain the labels, or there
# are hardly any wrong ones.
MIN_WRONG = 0.05


class Posterior(NamedTuple):
    """What is known about N labels.

    Attributes:
        wrong (np.ndarray): Probability that the given label is wrong, (N, ).
        probabilities (np.ndarray): Probabilities of the true class, given image and
            label, (N, C).
        given (np.ndarray): Probabilities of the given label, from the image alone,
            (N, C).
        noise_rate (float): e.
        symmetric (bool): Whether one noise rate explains the labels. Otherwise only
            the order of ``wrong`` means something.
    """

    wrong: np.ndarray
    probabilities: np.ndarray
    given: np.ndarray
    noise_rate: float
    symmetric: bool


class PosteriorModel(NamedTuple):
    """Noise rate and combination of B classifiers, fitted to held-out samples.

    Attributes:
        mean, scale (np.ndarray): Of the log-probabilities of these samples, (B, C).
        stack (Stack): The fit.
        further (np.ndarray, optional): Numbers of labels that it was fitted to, too;
            None if these contradict one noise rate.
    """

    mean: np.ndarray
    scale: np.ndarray
    stack: Stack
    further: Optional[np.ndarray]

    def __call__(self, log_probabilities: np.ndarray, labels: np.ndarray) -> Posterior:
        """Return the posterior of samples that no classifier has learned.

        Args:
            log_probabilities (np.ndarray): Of the classifiers, (N, B, C).
            labels (np.ndarray): Given labels, int64 (N, ).
        """
        return _posterior(self.apply(log_probabilities, labels), labels)

    def apply(
        self, log_probabilities: np.ndarray, labels: np.ndarray
    ) -> StackPosterior:
        """Return what the stack says, see :meth:`__call__`."""
        z = torch.from_numpy((log_probabilities - self.mean) / self.scale)
        return apply_stack(self.stack, z, torch.from_numpy(labels))


def fit_posterior(
    log_probabilities: np.ndarray, labels: np.ndarray, further: np.ndarray
) -> PosteriorModel:
    """Fit the noise rate and the combination to held-out samples.

    Args:
        log_probabilities (np.ndarray): Of B classifiers, out of sample, (N, B, C).
        labels (np.ndarray): Given labels, int64 (N, ); at least
            :data:`HELD_OUT_PER_CLASS` for each of the C classes on average.
        further (np.ndarray): Number of other samples with each given label, (C,). Not
            used if they contradict one noise rate, see :func:`rate_error`.

    Raises:
        ValueError: There are too few samples.
    """
    needed = HELD_OUT_PER_CLASS * log_probabilities.shape[2]
    if len(labels) < needed:
        raise ValueError(
            f'{len(labels)} held-out samples are too few: {needed} are needed.'
        )
    mean, scale = moments(log_probabilities)
    z = torch.from_numpy((log_probabilities - mean) / scale)
    y = torch.from_numpy(labels)
    stack = fit_stack(z, y, ridge=RIDGE)
    counted = with_label_counts(stack, z, y, torch.from_numpy(further.astype(float)))
    rate = float(stack.noise_rate)
    error = rate_error(rate, log_probabilities.shape[2], len(labels))
    if counted.noise_rate < rate - error:
        return PosteriorModel(mean, scale, stack, None)
    return PosteriorModel(mean, scale, counted, further)


def rate_error(noise_rate: float, classes: int, held_out: int) -> float:
    r"""Return the standard error of a noise rate, if all errors of labels were seen.

    Of n labels, :math:`\sqrt{e (1 - e) / n}`; a share of them is right by chance, which
    divides it by :math:`1 - e\, C / (C - 1)`.

    If mistakes avoid rare classes, the numbers of labels lead to a rate that is lower
    by more than this: fewer labels of the rarest class than :math:`e / (C - 1)` of all
    cannot be explained by it.

    Args:
        noise_rate (float): e, in [0, 1 - 1 / C).
        classes (int): C.
        held_out (int): n.
    """
    error = np.sqrt(noise_rate * (1 - noise_rate) / held_out)
    return float(error / share_seen(noise_rate, classes))


def share_seen(noise_rate: float, classes: int) -> float:
    r"""Return the part of an accuracy that labels with noise show.

    An accuracy above chance shrinks to :math:`1 - e\, C / (C - 1)` of itself, here at
    least 1e-12.
    """
    return max(1 - noise_rate * classes / (classes - 1), 1e-12)


def label_posterior(
    log_probabilities: np.ndarray, labels: np.ndarray, held_out: np.ndarray
) -> Posterior:
    """Return the posterior of all samples of a training set.

    Args:
        log_probabilities (np.ndarray): Of B classifiers, (N, B, C). Some may have
            learned the labels of samples that are not held out.
        labels (np.ndarray): Given labels, int64 (N, ).
        held_out (np.ndarray): Random samples that no classifier has learned, bool
            (N, ); see :func:`fit_posterior`.

    Raises:
        ValueError: Too few samples are held out.
    """
    further = further_labels(labels, held_out, log_probabilities.shape[2])
    own = log_probabilities[held_out], labels[held_out]
    model = fit_posterior(*own, further)
    found = model.apply(log_probabilities, labels)
    honest = held_out_posterior(*own, model.further)
    wrong = found.wrong.copy()
    if not honest.symmetric:
        wrong = 1 - found.given[np.arange(len(labels)), labels]
    known = has_held_out(labels, held_out)
    learned = known & ~held_out
    wrong[held_out] = honest.wrong
    wrong[learned] = match_quantiles(wrong[learned], honest.wrong)
    # The fit takes classes that it has not seen for wrong labels.
    wrong[~known] = honest.wrong.mean()
    given = found.given.copy()
    given[held_out] = honest.given
    probabilities = found.probabilities.copy()
    probabilities[held_out] = honest.probabilities
    return Posterior(
        wrong,
        _with_wrong(probabilities, labels, wrong),
        given,
        found.noise_rate,
        honest.symmetric,
    )


def further_labels(
    labels: np.ndarray, held_out: np.ndarray, classes: int
) -> np.ndarray:
    """Return how many samples with each given label are not held out, int64 (C,).

    Their shares are about those of held-out labels, but their number is the weight that
    these shares have in the fit. Classes of which no sample is held out are left out: a
    fit would say that they do not exist.

    Args:
        labels (np.ndarray): Given labels, int64 (N, ).
        held_out (np.ndarray): Held-out samples, bool (N, ).
        classes (int): C.
    """
    known = has_held_out(labels, held_out) & ~held_out
    return np.bincount(labels[known], minlength=classes)


def has_held_out(labels: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Return whether samples of the same label are held out, bool (N, ).

    Args:
        labels (np.ndarray): Given labels, int64 (N, ).
        held_out (np.ndarray): Held-out samples, bool (N, ).
    """
    return np.isin(labels, labels[held_out])


def held_out_posterior(
    log_probabilities: np.ndarray, labels: np.ndarray, further: Optional[np.ndarray]
) -> Posterior:
    """Return the posterior of held-out samples, none judged by a fit to its own label.

    Args:
        log_probabilities (np.ndarray): Of B classifiers, out of sample, (N, B, C).
        labels (np.ndarray): Given labels, int64 (N, ).
        further (np.ndarray, optional): Those of :class:`PosteriorModel`.
    """
    outputs = list(log_probabilities.swapaxes(0, 1))
    found = cross_fit(outputs, labels, ridge=RIDGE, counts=further)
    return _posterior(found, labels)


def _posterior(found: StackPosterior, labels: np.ndarray) -> Posterior:
    """Return what a stack says of labels, with Bayes' rule for the true class."""
    rows = np.arange(len(labels))
    wrong = found.wrong
    symmetric = bool(wrong.mean() >= MIN_WRONG)
    if not symmetric:
        wrong = 1 - found.given[rows, labels]
    probabilities = _with_wrong(found.probabilities, labels, wrong)
    return Posterior(wrong, probabilities, found.given, found.noise_rate, symmetric)


def _with_wrong(
    probabilities: np.ndarray, labels: np.ndarray, wrong: np.ndarray
) -> np.ndarray:
    """Return class probabilities that agree with the probability of a wrong label.

    All other classes make the same given label equally probable, so their shares stay.
    """
    rows = np.arange(len(labels))
    shares = probabilities.copy()
    shares[rows, labels] = 0
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    shares *= wrong[:, None]
    shares[rows, labels] = 1 - wrong
    return shares


def match_quantiles(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Give values the distribution of a reference, in their own order.

    Args:
        values (np.ndarray): (N, ). Equal values get the mean of their part of the
            distribution.
        reference (np.ndarray): (M, ), M > 0.
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.append(0.0, np.cumsum(counts)) / max(len(values), 1)
    # The quantile function is linear between the levels, so its integral is quadratic.
    ordered = np.sort(reference)
    levels = np.concatenate([[0], (np.arange(len(ordered)) + 0.5) / len(ordered), [1]])
    heights = np.concatenate([ordered[:1], ordered, ordered[-1:]])
    widths = np.diff(levels)
    areas = np.append(0.0, np.cumsum(widths * (heights[:-1] + heights[1:]) / 2))
    part = np.clip(np.searchsorted(levels, ends, side='right') - 1, 0, len(widths) - 1)
    beyond = ends - levels[part]
    slopes = np.diff(heights) / widths
    area = areas[part] + beyond * heights[part] + slopes[part] * beyond**2 / 2
    return (np.diff(area) / np.diff(ends))[place]
