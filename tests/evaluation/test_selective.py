"""Risk and coverage: naive loops in float64, exact bounds, and simulated promises."""

from fractions import Fraction
from itertools import permutations
from math import comb

import numpy as np
import pytest
from scipy import stats

from mmfer.apis.calibrated import threshold_table
from mmfer.evaluation import auroc
from mmfer.evaluation.functional import rejection_threshold
from mmfer.evaluation.selective import (
    RiskTable,
    augrc,
    aurc,
    binomial_cdf,
    error_bound,
    images_needed,
    promise_threshold,
    risk_table,
    smallest_test,
    stored_risk_table,
)

DRAWS = 2000


def naive_areas(correct, uncertainty):
    """Mean over all orders of equal uncertainties, by definition."""
    order = np.argsort(uncertainty, kind='stable')
    groups = [
        [i for i in order if uncertainty[i] == value]
        for value in np.unique(uncertainty)
    ]
    orders = [[]]
    for group in groups:
        orders = [done + list(p) for done in orders for p in permutations(group)]
    risks, generalised = [], []
    for one in orders:
        wrong = np.cumsum([not correct[i] for i in one])
        n = len(one)
        risks.append(sum(w / (k + 1) for k, w in enumerate(wrong)) / n)
        points = [0, *wrong]
        generalised.append(sum((a + b) / 2 / n / n for a, b in zip(points, points[1:])))
    return np.mean(risks), np.mean(generalised)


@pytest.mark.parametrize('seed', range(6))
def test_areas_by_definition(seed):
    generator = np.random.default_rng(seed)
    uncertainty = generator.integers(0, 4, 7).astype(float)
    correct = generator.random(7) < 0.6
    risk, generalised = naive_areas(correct, uncertainty)
    assert aurc(correct, uncertainty) == pytest.approx(risk, abs=1e-12)
    assert augrc(correct, uncertainty) == pytest.approx(generalised, abs=1e-12)


def test_augrc_is_auroc_and_accuracy():
    """Eq. 8 of Traub et al., also with ties."""
    generator = np.random.default_rng(0)
    for decimals in (1, 12):
        uncertainty = generator.random(500).round(decimals)
        correct = generator.random(500) > uncertainty * 0.6
        accuracy, area = correct.mean(), auroc(uncertainty, ~correct)
        wanted = (1 - area) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
        assert augrc(correct, uncertainty) == pytest.approx(wanted, abs=1e-12)


def test_areas_at_the_ends():
    ranks = np.arange(10.0)
    assert aurc(np.ones(10, bool), ranks) == augrc(np.ones(10, bool), ranks) == 0
    assert aurc(np.zeros(10, bool), ranks) == 1
    assert augrc(np.zeros(10, bool), ranks) == 0.5
    # The order of the samples does not matter.
    correct, ties = np.arange(10) % 2 == 0, np.zeros(10)
    assert aurc(correct, ties) == pytest.approx(0.5)
    assert aurc(correct[::-1], ties) == aurc(correct, ties)


def test_binomial_tail_is_exact():
    for wrong, trials, rate in (
        (0, 29, 0.1),
        (3, 50, 0.1),
        (18, 20, 0.9),
        (7, 40, 0.5),
    ):
        share = Fraction(rate)
        exact = sum(
            comb(trials, k) * share**k * (1 - share) ** (trials - k)
            for k in range(wrong + 1)
        )
        assert binomial_cdf(wrong, trials, rate) == pytest.approx(
            float(exact), rel=1e-12
        )
    for wrong, trials, rate in (
        (900, 10_000, 0.1),
        (30_000, 100_000, 0.31),
        (5, 9, 0.01),
    ):
        reference = stats.binom.cdf(wrong, trials, rate)
        assert binomial_cdf(wrong, trials, rate) == pytest.approx(reference, rel=1e-8)
    assert binomial_cdf(3, 3, 0.2) == 1


def test_bound_is_that_of_clopper_and_pearson():
    for wrong, kept, confidence in ((0, 29, 0.95), (3, 50, 0.95), (226, 2551, 0.9)):
        reference = stats.beta.ppf(confidence, wrong + 1, kept - wrong)
        assert error_bound(wrong, kept, confidence) == pytest.approx(
            reference, abs=1e-9
        )
    assert error_bound(5, 5) == 1


def test_first_test_is_likely_to_succeed():
    for target in (0.02, 0.1, 0.3):
        size = smallest_test(target)
        passing = [
            w for w in range(size) if stats.binom.cdf(w, size - 1, target) <= 0.05
        ]
        assert stats.binom.cdf(max(passing), size, target / 2) >= 0.9


# Error rate at an uncertainty in [0, 1], and mean error rate below it.
WORLDS = {
    'rising': (lambda u: 0.3 * u, lambda t: 0.15 * t),
    # Too high everywhere, by a hair: each threshold breaks the promise.
    'flat': (lambda u: np.full_like(u, 0.1001), lambda t: 0.1001),
    # Good, then bad: the tests should end soon after the mean crosses the target.
    'step': (
        lambda u: np.where(u < 0.4, 0.02, 0.2),
        lambda t: 0.02 if t <= 0.4 else (0.008 + (t - 0.4) * 0.2) / t,
    ),
    # It crosses the target many times.
    'waves': (
        lambda u: 0.1 + 0.08 * np.cos(25 * u),
        lambda t: 0.1 + 0.08 * np.sin(25 * t) / (25 * t),
    ),
}


@pytest.mark.parametrize('world', WORLDS)
def test_promises_are_kept(world):
    """2,000 draws of 1,000 held-out images; 5 % of the promises may be broken."""
    rate_at, rate_below = WORLDS[world]
    generator = np.random.default_rng(0)
    broken, kept = 0, []
    for _ in range(DRAWS):
        uncertainty = generator.random(1000)
        correct = generator.random(1000) >= rate_at(uncertainty)
        found = promise_threshold(risk_table(correct, uncertainty), 0.1)
        if found is not None:
            broken += rate_below(found.threshold) > 0.1
            kept.append(found.share)
    assert broken / DRAWS <= 0.06
    # A promise that is never given is no use.
    if world in ('rising', 'step'):
        assert len(kept) > 0.95 * DRAWS and np.mean(kept) > 0.4
    # 'On average' is broken about every other time.
    if world == 'rising':
        uncertainty = generator.random((200, 1000))
        correct = generator.random((200, 1000)) >= rate_at(uncertainty)
        found = [
            rejection_threshold(*pair, 0.1)[0] for pair in zip(correct, uncertainty)
        ]
        assert np.mean([rate_below(t) > 0.1 for t in found]) > 0.3


def made(size, seed=0, decimals=12):
    generator = np.random.default_rng(seed)
    uncertainty = generator.random(size).round(decimals)
    return generator.random(size) >= 0.25 * uncertainty, uncertainty


def test_a_coarse_table_promises_less_and_never_more():
    for seed in range(20):
        correct, uncertainty = made(1500, seed)
        fine = promise_threshold(risk_table(correct, uncertainty, 1500), 0.08)
        for rows in (400, 60):
            coarse = promise_threshold(risk_table(correct, uncertainty, rows), 0.08)
            assert coarse is None or coarse.threshold <= fine.threshold
        old = threshold_table(correct, uncertainty)
        del old['counts']
        old = promise_threshold(stored_risk_table(old), 0.08)
        assert old is None or old.threshold <= fine.threshold


def test_tables_of_old_checkpoints_have_the_counts():
    """Error rate, threshold and share determine the number of errors."""
    for seed, decimals in ((0, 12), (1, 12), (2, 2)):
        correct, uncertainty = made(1000, seed, decimals)
        stored = threshold_table(correct, uncertainty)
        del stored['counts']
        table = stored_risk_table(stored)
        assert table.images == 1000 and len(table.rows) > 5
        for threshold, kept, wrong in table.rows:
            below = uncertainty <= threshold
            assert kept == below.sum()
            if decimals > 2:
                assert wrong == (below & ~correct).sum()
            else:
                assert wrong >= (below & ~correct).sum()


def test_equal_uncertainties_stay_together():
    correct = np.array([True] * 50 + [False] * 50)
    table = risk_table(correct, np.repeat([0.1, 0.2], 50))
    assert table.rows == [(0.1, 50, 0), (0.2, 100, 50)]
    assert risk_table(correct, np.zeros(100)).rows == [(0.0, 100, 50)]


def test_how_many_images_would_do():
    """With so many images of the same kind, about every other draw gives a promise."""
    given = []
    for seed in range(30):
        table = risk_table(*made(200, seed))
        if promise_threshold(table, 0.1) is not None:
            continue
        needed = images_needed(table, 0.1)
        assert needed > 200
        if needed > 20_000:
            continue
        given += [
            promise_threshold(risk_table(*made(needed, 100 + seed)), 0.1) is not None
        ]
    assert len(given) > 20 and 0.4 < np.mean(given) < 0.95
    # One half is wrong everywhere.
    hopeless = RiskTable(1000, [(0.1, 500, 250), (1.0, 1000, 500)])
    assert images_needed(hopeless, 0.1) is None
