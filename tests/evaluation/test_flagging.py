"""Flags, kept shares and expected quality against naive loops."""

import numpy as np
import pytest

from mmfer.evaluation.flagging import (
    clear_flags,
    expected_f1_flags,
    expected_quality,
    keep_some,
)


def scores(count=200, seed=0):
    return np.random.default_rng(seed).beta(0.4, 1.0, size=count)


@pytest.mark.parametrize('seed', range(5))
def test_flags_have_the_largest_expected_f1(seed):
    s = scores(seed=seed)
    order = np.argsort(-s)
    f1 = [2 * s[order[:n]].sum() / (n + s.sum()) for n in range(1, len(s) + 1)]
    flags = expected_f1_flags(s)
    assert flags.sum() == np.argmax(f1) + 1
    assert s[flags].min() >= s[~flags].max()


def test_labels_that_are_surely_right_are_not_flagged():
    assert not expected_f1_flags(np.zeros(10)).any()


def test_clear_flags():
    given = np.array([[0.6, 0.3, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]])
    assert clear_flags(given, np.array([1, 0, 0])).tolist() == [True, False, True]


def test_a_share_of_each_class_is_kept():
    s = scores()
    labels = np.random.default_rng(1).integers(4, size=200)
    flags = np.ones(200, bool)
    kept = ~keep_some(flags, s, labels, 0.1)
    for label in range(4):
        own = np.flatnonzero(labels == label)
        wanted = own[np.argsort(s[own])][: int(np.ceil(0.1 * len(own)))]
        assert set(np.flatnonzero(kept & (labels == label))) == set(wanted)
    assert keep_some(flags, s, labels, 0).all()
    # A flag is never added.
    assert not keep_some(~flags, s, labels, 0.1).any()


def test_expected_quality_is_that_of_many_draws():
    s = np.round(scores(120), 2)
    flags = expected_f1_flags(s)
    found = expected_quality(s, flags)
    rng = np.random.default_rng(0)
    pairs = ordered = true = wrong = 0
    for _ in range(2000):
        bad = rng.random(120) < s
        a, b = s[bad], s[~bad]
        ordered += np.sum(a[:, None] > b) + np.sum(a[:, None] == b) / 2
        pairs += len(a) * len(b)
        true, wrong = true + (bad & flags).sum(), wrong + bad.sum()
    assert found.auroc == pytest.approx(ordered / pairs, abs=0.005)
    assert found.recall == pytest.approx(true / wrong, abs=0.01)
    assert found.precision == pytest.approx(true / flags.sum() / 2000, abs=0.01)


def test_expected_quality_without_anything_wrong():
    none = expected_quality(np.zeros(5), np.zeros(5, bool))
    assert (none.auroc, none.precision, none.recall) == (0.5, 0, 0)
