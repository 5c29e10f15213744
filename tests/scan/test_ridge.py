"""Held-out predictions against fits without the group, in float64."""

import numpy as np
import pytest

from mmfer.scan import ridge
from mmfer.scan.ridge import Samples


def held_out_predictions(features, targets, rows, *args):
    return ridge.held_out_predictions(Samples(features, rows), targets, *args)


def made(count: int, dimension: int, classes: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    centres = rng.normal(size=(classes, dimension))
    features = centres[labels] + 2 * rng.normal(size=(count, dimension)) + 3
    return features, np.eye(classes)[labels]


def refit(features, targets, groups, penalty):
    """Fit anew for each group, with the standardisation of all samples."""
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    z = np.concatenate([z, np.ones((len(z), 1))], axis=1)
    ridge = np.eye(z.shape[1]) * penalty * len(z)
    ridge[-1, -1] = 0
    result = np.empty_like(targets)
    for group in np.unique(groups):
        out = groups == group
        rest = z[~out]
        weights = np.linalg.solve(rest.T @ rest + ridge, rest.T @ targets[~out])
        result[out] = z[out] @ weights
    return result


@pytest.mark.parametrize('penalty', [0.01, 1.0])
@pytest.mark.parametrize('kind', ['alone', 'pairs', 'mixed', 'large'])
def test_equals_refit(kind, penalty, monkeypatch):
    # Several chunks, and groups of more samples than features.
    monkeypatch.setattr(ridge, 'CHUNK', 37)
    features, targets = made(150, 12)
    rng = np.random.default_rng(1)
    groups = dict(
        alone=np.arange(150),
        pairs=rng.permutation(150) // 2,
        mixed=rng.integers(60, size=150),
        large=rng.choice(4, size=150, p=[0.6, 0.3, 0.05, 0.05]),
    )[kind]
    found = held_out_predictions(
        features, targets, np.arange(150), None if kind == 'alone' else groups, penalty
    )
    np.testing.assert_allclose(
        found, refit(features, targets, groups, penalty), atol=1e-10
    )


def test_half_precision_features_and_chosen_rows():
    features, targets = made(400, 30)
    rows = np.random.default_rng(2).permutation(400)[:300]
    found = held_out_predictions(features.astype(np.float16), targets[rows], rows)
    expected = refit(
        features.astype(np.float16).astype(float)[rows],
        targets[rows],
        np.arange(300),
        1.0,
    )
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_constant_features_change_nothing():
    features, targets = made(100, 5)
    more = np.concatenate([features, np.full((100, 2), 7.3)], axis=1)
    rows = np.arange(100)
    np.testing.assert_allclose(
        held_out_predictions(more, targets, rows),
        held_out_predictions(features, targets, rows),
        atol=1e-10,
    )


def test_copies_of_a_wrong_label_look_wrong_only_with_groups():
    """A wrong label that is copied ten times must not confirm itself."""
    features, targets = made(300, 400)
    labels = targets.argmax(axis=1)
    wrong = np.arange(30)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % 4
    rows = np.repeat(np.arange(300), 10)
    copied = np.eye(4)[given][rows]
    alone = held_out_predictions(features[rows], copied, np.arange(3000), None, 0.1)
    apart = held_out_predictions(features[rows], copied, np.arange(3000), rows, 0.1)
    first = rows < 30
    # As if there was one copy of each image.
    once = held_out_predictions(features, np.eye(4)[given], np.arange(300), None, 0.1)
    np.testing.assert_allclose(apart[::10], once, atol=1e-8)
    confirmed = [
        (found.argmax(axis=1) == given[rows])[first] for found in (alone, apart)
    ]
    assert confirmed[0].mean() > 0.9 and confirmed[1].mean() < 0.2


def test_one_group_is_refused():
    features, targets = made(10, 3)
    with pytest.raises(ValueError, match='all images are in one group'):
        held_out_predictions(features, targets, np.arange(10), np.zeros(10, int))
