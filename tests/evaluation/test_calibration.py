"""Temperature and prediction sets: references in float64, and simulated coverage."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from mmfer.apis.calibrated import Calibration, measure_held_out, read_calibration
from mmfer.evaluation.calibration import (
    apply_temperature,
    conformal_rank,
    fit_temperature,
    negative_log_likelihood,
    quantile_table,
    set_threshold,
)
from mmfer.evaluation.functional import expected_calibration_error


def draw(size, temperature=1.0, seed=0, classes=6):
    """Probabilities that are too sure by a temperature, and labels."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(size, classes)) * 2
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (right.cumsum(axis=1) > generator.random((size, 1))).argmax(axis=1)
    told = np.exp(logits / temperature)
    return told / told.sum(axis=1, keepdims=True), labels


def test_temperature_is_that_of_logits():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(50, 4)) * 5
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = np.exp(logits / 1.7)
    wanted /= wanted.sum(axis=1, keepdims=True)
    assert apply_temperature(scores, 1.7) == pytest.approx(wanted, abs=1e-12)
    found = Calibration(1.7, True).apply(
        dict(pred_score=torch.from_numpy(scores).float(), uncertainty=torch.zeros(50))
    )
    assert found['pred_score'].numpy() == pytest.approx(wanted, abs=1e-6)
    assert found['uncertainty'].numpy() == pytest.approx(1 - wanted.max(1), abs=1e-6)


def test_probabilities_of_zero_and_one_stay():
    scores = np.array([[1.0, 0.0, 0.0]])
    for temperature in (0.05, 1, 20):
        found = apply_temperature(scores, temperature)
        assert np.isfinite(found).all() and found.argmax() == 0
        assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize('temperature', [0.5, 1.0, 2.5])
def test_fitted_temperature_has_the_largest_likelihood(temperature):
    scores, labels = draw(4000, temperature)
    found = fit_temperature(scores, labels)
    reference = minimize_scalar(
        lambda t: negative_log_likelihood(apply_temperature(scores, t), labels),
        bounds=(0.05, 20),
        method='bounded',
        options=dict(xatol=1e-8),
    )
    assert found == pytest.approx(reference.x, rel=1e-4)
    # Too sure by T is mended by dividing by 1 / T.
    assert found == pytest.approx(1 / temperature, rel=0.06)
    before, after = (
        expected_calibration_error(s.max(axis=1), s.argmax(axis=1) == labels)[0]
        for s in (scores, apply_temperature(scores, found))
    )
    assert temperature == 1 or after < before / 3


def test_temperatures_are_bounded():
    scores, _ = draw(50)
    assert fit_temperature(scores, scores.argmax(axis=1)) == pytest.approx(0.05)
    assert fit_temperature(scores, scores.argmin(axis=1)) == pytest.approx(20)


@pytest.mark.parametrize('coverage, images', [(0.9, 500), (0.8, 300), (0.95, 2000)])
def test_sets_cover_what_they_promise(coverage, images):
    """1,000 draws of calibration images, each with 400 new images."""
    scores, labels = draw(images + 400, 0.6)
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(1000):
        order = generator.permutation(len(labels))
        first, rest = order[:images], order[images:]
        table = quantile_table(scores[first], labels[first])
        threshold = set_threshold(table, images, coverage)
        covered.append((scores[rest, labels[rest]] >= threshold).mean())
    assert coverage - 0.005 < np.mean(covered) < coverage + 0.01


def test_ranks_by_counting():
    """Of n + 1 exchangeable images, the new one is among the lowest k - 1 rarely."""
    for images in (1, 9, 10, 99, 1000):
        for coverage in (0.1, 0.5, 0.9, 0.99):
            rank = conformal_rank(images, coverage)
            # The new image has each of n + 1 places with the same probability.
            if rank:
                assert (images + 1 - rank) / (images + 1) >= coverage - 1e-12
                assert (images - rank) / (images + 1) < coverage
            else:
                assert images / (images + 1) < coverage
    assert conformal_rank(9, 0.9) == 1 and conformal_rank(8, 0.9) == 0


def test_measured_on_other_images_than_fitted():
    scores, labels = draw(1000, 0.5)
    scores = scores.astype(np.float32)
    found = measure_held_out(scores, labels, 1 - scores.max(axis=1))
    calibration, rejection = found['calibration'], found['rejection']
    assert (calibration['fitted_images'], calibration['images']) == (250, 750)
    fitted = np.arange(1000) % 4 == 3
    assert calibration['temperature'] == pytest.approx(
        fit_temperature(scores[fitted], labels[fitted])
    )
    assert calibration['error_after'] < calibration['error_before'] / 2
    assert calibration['likelihood_after'] < calibration['likelihood_before']
    # Thresholds are those of the calibrated uncertainties.
    after = apply_temperature(scores[~fitted], calibration['temperature'])
    uncertainty = 1 - after.max(axis=1)
    correct = after.argmax(axis=1) == labels[~fitted]
    assert rejection['images'] == 750
    for threshold, kept, wrong in rejection['counts'][::20]:
        below = uncertainty <= threshold + 1e-6
        assert abs(kept - below.sum()) <= 1
        assert abs(wrong - (below & ~correct).sum()) <= 1
    # An uncertainty of another kind stays as it is.
    own = np.random.default_rng(0).random(1000).astype(np.float32) * 5
    other = measure_held_out(scores, labels, own)
    assert other['calibration']['uncertainty'] == 'own'
    thresholds = [row[0] for row in other['rejection']['counts']]
    assert set(thresholds) <= set(own[~fitted].astype(float))


def test_few_images_fit_no_temperature():
    scores, labels = draw(399, 0.5)
    found = measure_held_out(scores.astype(np.float32), labels, 1 - scores.max(axis=1))
    assert found['calibration']['temperature'] == 1
    assert found['calibration']['images'] == found['rejection']['images'] == 399


@pytest.mark.parametrize(
    'stored',
    [
        'hot',
        [],
        dict(temperature='1'),
        dict(temperature=float('nan'), images=1, quantiles=[]),
        dict(temperature=0, images=1, quantiles=[]),
        dict(temperature=1e9, images=1, quantiles=[]),
        dict(temperature=1.0, images=1, quantiles=[[1]]),
        dict(temperature=1.0, images=1, quantiles=[[1, 'x']]),
        dict(temperature=1.0, images='many', quantiles=[]),
    ],
)
def test_calibrations_of_others_are_refused(stored):
    with pytest.raises(ValueError, match='model.pth: its calibration is not what'):
        read_calibration(stored, 'model.pth')


def test_no_calibration_changes_nothing():
    predictions = dict(pred_score=torch.tensor([[0.3, 0.7]]), uncertainty=torch.ones(1))
    assert read_calibration(None, 'old.pth').apply(predictions) is predictions
