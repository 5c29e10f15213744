"""Thresholds of rejection."""

import pytest


@pytest.mark.parametrize('value', [0, 1, 5, -0.1, 1.5, float('nan'), True, '5%', None])
def test_target_errors_are_shares(fer, value):
    with pytest.raises(ValueError, match=r'share of errors in \(0, 1\)'):
        fer.rejection_threshold(value)


def test_a_threshold_where_nothing_is_uncertain(fer, monkeypatch):
    monkeypatch.setattr(
        fer.model,
        'rejection',
        dict(images=3, thresholds=[[0.1, 0.0, 1.0]]),
        raising=False,
    )
    assert 0 < fer.rejection_threshold(0.1, confidence=None) < 1e-300
