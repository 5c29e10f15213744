"""Label noise as functions, from labels and a random generator to new labels.

Every function here is pure, except that it advances the random generator.
"""

import hashlib
import random
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .checks import (
    ClassMapping,
    check_labels,
    check_mapping,
    check_rate,
    check_rates,
    check_transition,
)

CIFAR10_CONFUSIONS = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}
"""Class mapping of asymmetric noise on CIFAR-10, as in JoCoR's code: truck to
automobile, bird to airplane, cat to dog, dog to cat, deer to horse."""


def _share(rate: float, count: int) -> int:
    """Return ``rate * count``, rounded; a half is rounded to the even number."""
    return int(round(rate * count))


def _rows_by_class(labels: np.ndarray, num_classes: int) -> List[np.ndarray]:
    """Return the rows of each class, ascending: a list of C int64 arrays."""
    # One sort is faster than C scans when there are many classes.
    order = np.argsort(labels, kind='stable')
    ends = np.cumsum(np.bincount(labels, minlength=num_classes))
    return np.split(order, ends[:-1])


def symmetric_noise(
    labels: ArrayLike, num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Give exactly ``round(rate * N)`` samples a class out of the *other* ones.

    The samples are drawn uniformly without replacement. The new label is
    drawn uniformly from the C - 1 other classes, so the share of wrong
    labels is the rate. This is what ReSup, ALUM and GAAVE call symmetric
    noise.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes C, at least 2.
        rate (float): Share of samples in [0, 1).
        rng (np.random.Generator): Source of all draws; advanced.

    Returns:
        np.ndarray: New labels, int64 (N,). The input is not modified.

    Raises:
        ValueError: The labels or the rate are refused, see
            :mod:`mmfer.datasets.noise.checks`.
    """
    noisy = check_labels(labels, num_classes)
    count = _share(check_rate(rate), noisy.size)
    picked = rng.choice(noisy.size, size=count, replace=False)
    shift = rng.integers(1, num_classes, size=count)
    noisy[picked] = (noisy[picked] + shift) % num_classes
    return noisy


def uniform_noise(
    labels: ArrayLike, num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Give exactly ``round(rate * N)`` samples a class out of *all* classes.

    A picked sample keeps its own label with probability 1 / C. The expected
    share of wrong labels is therefore ``rate * (C - 1) / C``.

    Arguments, result and errors are those of :func:`symmetric_noise`.
    """
    noisy = check_labels(labels, num_classes)
    count = _share(check_rate(rate), noisy.size)
    picked = rng.choice(noisy.size, size=count, replace=False)
    noisy[picked] = rng.integers(0, num_classes, size=count)
    return noisy


def asymmetric_noise(
    labels: ArrayLike,
    num_classes: int,
    rate: float,
    mapping: ClassMapping,
    rng: np.random.Generator,
) -> np.ndarray:
    """Change exactly ``round(rate * N_c)`` labels of each mapped class.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes C, at least 2.
        rate (float): Share of each mapped class in [0, 1).
        mapping (dict): For each source class, the target class, which its
            wrong labels name. Other classes keep their labels.
            ``CIFAR10_CONFUSIONS`` is the mapping for CIFAR-10.
        rng (np.random.Generator): Source of all draws; advanced.

    Returns:
        np.ndarray: New labels, int64 (N,). The input is not modified.

    Raises:
        ValueError: The labels, the rate or the mapping are refused, see
            :mod:`mmfer.datasets.noise.checks`.
    """
    noisy = check_labels(labels, num_classes)
    rate = check_rate(rate)
    targets = check_mapping(mapping, num_classes)
    rows = _rows_by_class(noisy, num_classes)
    # Sort the classes, so that the order of a dict in a config changes nothing.
    for source in sorted(targets):
        count = _share(rate, rows[source].size)
        picked = rng.choice(rows[source], size=count, replace=False)
        noisy[picked] = targets[source]
    return noisy


def pair_noise(
    labels: ArrayLike, num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Turn exactly ``round(rate * N_c)`` labels of each class c to (c + 1) % C.

    Arguments, result and errors are those of :func:`symmetric_noise`.
    """
    checked = check_labels(labels, num_classes)
    following = {c: (c + 1) % num_classes for c in range(num_classes)}
    return asymmetric_noise(checked, num_classes, rate, following, rng)


def class_dependent_noise(
    labels: ArrayLike,
    num_classes: int,
    rates: Sequence[float],
    rng: np.random.Generator,
    transition: Optional[Sequence[Sequence[float]]] = None,
) -> np.ndarray:
    """Change exactly ``round(rates[c] * N_c)`` labels of each class c.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1.
        num_classes (int): Number of classes C, at least 2.
        rates (Sequence[float]): (C,), the share of each class in [0, 1).
        rng (np.random.Generator): Source of all draws; advanced.
        transition (array-like, optional): (C, C), each row sums to 1. Row c
            says to which classes the changed labels of class c go. **Its
            diagonal is ignored**, and the rest of the row is scaled to sum 1,
            because only ``rates`` says how many labels change. The
            row-normalised confusion matrix of a model or an annotator can
            therefore be given unchanged. Defaults to None: uniformly to the
            other classes.

    Returns:
        np.ndarray: New labels, int64 (N,). The input is not modified.

    Raises:
        ValueError: The labels, the rates or the transition matrix are
            refused, see :mod:`mmfer.datasets.noise.checks`.
    """
    noisy = check_labels(labels, num_classes)
    rates = check_rates(rates, num_classes)
    targets = None if transition is None else check_transition(transition, rates)
    for label, rows in enumerate(_rows_by_class(noisy, num_classes)):
        count = _share(rates[label], rows.size)
        picked = rng.choice(rows, size=count, replace=False)
        if targets is None:
            shift = rng.integers(1, num_classes, size=count)
            noisy[picked] = (label + shift) % num_classes
        elif count:
            noisy[picked] = rng.choice(num_classes, size=count, p=targets[label])
    return noisy


def bernoulli_symmetric_noise(
    labels: ArrayLike, num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Give each sample, with probability ``rate``, one of the other classes.

    The number of wrong labels varies from seed to seed. JoCoR's code draws
    its symmetric noise in the same way, but with other random numbers.

    Arguments, result and errors are those of :func:`symmetric_noise`.
    """
    noisy = check_labels(labels, num_classes)
    changed = rng.random(noisy.size) < check_rate(rate)
    # One draw per sample, so that no label depends on those of other samples.
    shift = rng.integers(1, num_classes, size=noisy.size)
    return np.where(changed, (noisy + shift) % num_classes, noisy)


def bernoulli_uniform_noise(
    labels: ArrayLike, num_classes: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Give each sample, with probability ``rate``, a class out of all classes.

    The expected share of wrong labels is ``rate * (C - 1) / C``.

    Arguments, result and errors are those of :func:`symmetric_noise`.
    """
    noisy = check_labels(labels, num_classes)
    changed = rng.random(noisy.size) < check_rate(rate)
    drawn = rng.integers(0, num_classes, size=noisy.size)
    return np.where(changed, drawn, noisy)


def official_bernoulli_uniform_noise(
    labels: ArrayLike, num_classes: int, rate: float, rng: random.Random
) -> np.ndarray:
    """Draw the joint GAN's CIFAR-10 noise in the order of the noisyFER code.

    For each sample in order, one uniform number in [0, 1) is drawn. If it is
    below ``rate``, the new label is drawn from 0..C - 1, the own class
    included. The noisyFER code makes the label sets of 20, 30 and 40 % one
    after the other from one generator, which it seeds once with 100. To
    reproduce them, pass the same ``rng`` to three calls.

    Args:
        labels (array-like): (N,) integers in 0..num_classes - 1, in the
            order of the original training batches.
        num_classes (int): Number of classes C, at least 2.
        rate (float): Probability in [0, 1).
        rng (random.Random): Python's generator, not NumPy's; advanced.

    Returns:
        np.ndarray: New labels, int64 (N,). The input is not modified.

    Raises:
        ValueError: The labels or the rate are refused, see
            :mod:`mmfer.datasets.noise.checks`.
    """
    noisy = check_labels(labels, num_classes)
    rate = check_rate(rate)
    for i in range(noisy.size):
        if rng.random() < rate:
            noisy[i] = rng.randint(0, num_classes - 1)
    return noisy


def majority_vote(sets: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the label that most annotators give to each sample.

    Args:
        sets (np.ndarray): Labels of T annotators, int64 (N, T).
        num_classes (int): Number of classes.

    Returns:
        np.ndarray: int64 (N,). If several labels are equally frequent, the
        first annotator who gave one of them decides.
    """
    votes = np.stack([(sets == c).sum(axis=1) for c in range(num_classes)], axis=1)
    own = np.take_along_axis(votes, sets, axis=1)
    first = own.argmax(axis=1)
    return np.take_along_axis(sets, first[:, None], axis=1)[:, 0]


def labels_sha256(labels: ArrayLike) -> str:
    """Return the SHA-256 of labels as hex digits.

    The hash does not depend on the machine or on the integer type of the input.

    Args:
        labels (array-like): Integers; hashed as int64 little-endian bytes.
    """
    array = np.ascontiguousarray(labels, dtype='<i8')
    return hashlib.sha256(array.tobytes()).hexdigest()


def describe_change(clean: np.ndarray, noisy: np.ndarray) -> Dict[str, Any]:
    """Describe which share of labels changed, for a manifest.

    Args:
        clean (np.ndarray): Labels before the noise, (N,).
        noisy (np.ndarray): Labels after it, (N,).

    Returns:
        dict: ``num_samples``, ``num_changed``, ``changed_share`` in [0, 1]
        (0 for no samples), ``noisy_sha256``, the hash of the labels after
        the noise, and ``given_sha256``, the hash of the labels before it
        (see :func:`labels_sha256`).
    """
    changed = int(np.count_nonzero(clean != noisy))
    return dict(
        num_samples=int(clean.size),
        num_changed=changed,
        changed_share=changed / max(clean.size, 1),
        noisy_sha256=labels_sha256(noisy),
        given_sha256=labels_sha256(clean),
    )
