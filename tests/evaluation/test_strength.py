import numpy as np
import pytest

from mmfer.evaluation import Strength, measure_strength


def test_against_direct_sums():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 200, p=[0.5, 0.3, 0.2])
    predicted = np.where(rng.random(200) < 0.6, labels, rng.integers(0, 3, 200))
    found = measure_strength(predicted, labels)
    gain = (predicted == labels).astype(float) - (labels == 0)
    assert found.count == 200
    assert found.accuracy - found.majority == pytest.approx(gain.mean())
    assert found.error == pytest.approx(gain.std() / np.sqrt(200))
    assert found.prior == pytest.approx(
        sum((labels == c).mean() ** 2 for c in range(3))
    )
    assert not found.is_weak and '200 held-out labels' in str(found)


def test_guesses_are_weak():
    """At most one of forty guesses looks better than chance by two errors."""
    rng = np.random.default_rng(0)
    weak = [
        measure_strength(rng.integers(0, 4, 100), rng.integers(0, 4, 100)).is_weak
        for _ in range(400)
    ]
    assert np.mean(weak) > 0.96


def test_copies_are_one_draw():
    labels = np.array([0, 1] * 10 + [0])
    predicted = labels.copy()
    copies = 25
    alone = measure_strength(predicted, labels)
    groups = np.repeat(np.arange(len(labels)), copies)
    many = measure_strength(predicted.repeat(copies), labels.repeat(copies), groups)
    assert many.error == pytest.approx(alone.error)
    # Without groups, copies would look like certainty.
    fooled = measure_strength(predicted.repeat(copies), labels.repeat(copies))
    assert fooled.error == pytest.approx(alone.error / 5)


def test_ties_are_weak():
    assert Strength(0.5, 0.5, 0.5, 0.0, 4).is_weak
