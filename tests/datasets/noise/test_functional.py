import numpy as np
import pytest

from mmfer.datasets.noise import CIFAR10_CONFUSIONS
from mmfer.datasets.noise.functional import (
    asymmetric_noise,
    class_dependent_noise,
    pair_noise,
    symmetric_noise,
    uniform_noise,
)

NUM_CLASSES = 7

# Unequal class sizes, so that a share per class differs from an overall share.
COUNTS = (1290, 281, 717, 4772, 1982, 705, 2524)


def rng(seed=0):
    return np.random.default_rng(seed)


def chi_square(observed, expected):
    return ((observed - expected) ** 2 / expected).sum()


@pytest.mark.parametrize('rate', [0, 0.1, 0.3, 0.5, 0.999])
def test_symmetric_changes_the_exact_share(labels, rate):
    noisy = symmetric_noise(labels, NUM_CLASSES, rate, rng())
    assert (noisy != labels).sum() == round(rate * labels.size)
    assert noisy.min() >= 0 and noisy.max() < NUM_CLASSES


def test_symmetric_spreads_over_samples_and_other_classes(labels):
    noisy = symmetric_noise(labels, NUM_CLASSES, 0.4, rng())
    changed = noisy != labels
    # Each class is changed at the same rate: 7 classes, 99.9 % quantile 22.5.
    hit = np.bincount(labels[changed], minlength=NUM_CLASSES)
    assert chi_square(hit, 0.4 * np.array(COUNTS)) < 22.5
    # The six other classes are equally likely: 5 degrees of freedom, 20.5.
    for label in range(NUM_CLASSES):
        to = np.bincount(noisy[changed & (labels == label)], minlength=NUM_CLASSES)
        assert to[label] == 0
        to = np.delete(to, label)
        assert chi_square(to, to.mean()) < 20.5
    # No part of the list is preferred.
    assert abs(changed[:6000].mean() - 0.4) < 0.03


def test_two_classes_swap():
    labels = np.array([0, 1] * 50)
    noisy = symmetric_noise(labels, 2, 0.5, rng())
    assert (noisy == 1 - labels).sum() == 50


def test_uniform_includes_the_own_class(labels):
    rate = 0.6
    noisy = uniform_noise(labels, NUM_CLASSES, rate, rng())
    picked = round(rate * labels.size)
    wrong = (noisy != labels).sum()
    # One in seven of the picked samples keeps its label: 5 sigma.
    expected = picked * (1 - 1 / NUM_CLASSES)
    assert wrong < picked
    assert abs(wrong - expected) < 5 * (expected / NUM_CLASSES) ** 0.5


@pytest.mark.parametrize('rate', [0.1, 0.45])
def test_pair_changes_the_exact_share_of_each_class(labels, rate):
    noisy = pair_noise(labels, NUM_CLASSES, rate, rng())
    for label, count in enumerate(COUNTS):
        of_class = noisy[labels == label]
        following = (label + 1) % NUM_CLASSES
        assert (of_class == following).sum() == round(rate * count)
        assert (of_class == label).sum() == count - round(rate * count)


def test_asymmetric_changes_the_mapped_classes_only():
    labels = np.tile(np.arange(10), 50)
    noisy = asymmetric_noise(labels, 10, 0.4, CIFAR10_CONFUSIONS, rng())
    for label in range(10):
        of_class = np.bincount(noisy[labels == label], minlength=10)
        expected = np.zeros(10)
        if label in CIFAR10_CONFUSIONS:
            expected[CIFAR10_CONFUSIONS[label]] = 20
            expected[label] = 30
        else:
            expected[label] = 50
        assert (of_class == expected).all()


def test_asymmetric_swap_uses_given_labels():
    # If 5 -> 3 were applied to the result of 3 -> 5, counts would differ.
    labels = np.repeat([3, 5], 100)
    noisy = asymmetric_noise(labels, 10, 0.5, {3: 5, 5: 3}, rng())
    assert (noisy[:100] == 5).sum() == 50
    assert (noisy[100:] == 3).sum() == 50


def test_class_dependent_has_a_rate_per_class(labels):
    rates = [0.1, 0.5, 0.3, 0.0, 0.4, 0.2, 0.0]
    noisy = class_dependent_noise(labels, NUM_CLASSES, rates, rng())
    for label, (rate, count) in enumerate(zip(rates, COUNTS, strict=True)):
        changed = noisy[labels == label]
        changed = changed[changed != label]
        assert changed.size == round(rate * count)
        if rate:
            to = np.delete(np.bincount(changed, minlength=7), label)
            assert chi_square(to, to.mean()) < 20.5


def test_class_dependent_follows_a_transition_without_its_diagonal():
    labels = np.repeat([0, 1, 2], 10000)
    transition = [[0.5, 0.4, 0.1], [0, 1, 0], [0, 0.9, 0.1]]
    noisy = class_dependent_noise(
        labels, 3, [0.5, 0, 0.2], rng(), transition=transition
    )
    first, second, third = (
        np.bincount(noisy[labels == c], minlength=3) for c in range(3)
    )
    # The rate gives the number of changes, the row only their targets: .4 to .1.
    assert first[0] == 5000
    assert abs(first[1] - 4000) < 5 * (5000 * 0.8 * 0.2) ** 0.5
    assert second.tolist() == [0, 10000, 0]
    assert third.tolist() == [0, 2000, 8000]
