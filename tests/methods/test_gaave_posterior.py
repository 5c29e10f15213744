"""GAAVE's default: candidates by the probability of a wrong label."""

import numpy as np
import pytest
import torch

from mmfer.methods.gaave.operating_points import (
    POINTS,
    OperatingPoint,
    choose_candidates,
    choose_relabelled,
    least_suspicious,
)
from mmfer.methods.gaave.options import GAAVEOptions
from mmfer.methods.gaave.posterior import (
    fit_posterior,
    further_labels,
    held_out_posterior,
    label_posterior,
    match_quantiles,
)
from mmfer.models.label_posterior import cross_fit, fit_stack, with_label_counts

CLASSES = 4


def drawn(count=6000, rate=0.3, memorised=1.5, seed=0):
    """Log-probabilities of a classifier, given and clean labels, held-out samples.

    Clean labels are drawn from the probabilities, so these are right. A tenth is held
    out; for all others the classifier has moved towards the given label.
    """
    rng = np.random.default_rng(seed)
    logits = 2.5 * rng.normal(size=(count, CLASSES)) + [1.5, 1, 0, -1.5]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    clean = (p.cumsum(1) > rng.random((count, 1))).argmax(1)
    shift = rng.integers(1, CLASSES, count) * (rng.random(count) < rate)
    given = (clean + shift) % CLASSES
    held_out = rng.random(count) < 0.2
    logits[np.flatnonzero(~held_out), given[~held_out]] += memorised
    seen = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    # The temperature of networks is not that of the truth.
    return 0.7 * seen[:, None], given, clean, held_out


def fitted_to(logs, given, held_out):
    """What a posterior is fitted to: held-out samples, and the labels of the others."""
    others = np.bincount(given[~held_out], minlength=CLASSES)
    return logs[held_out], given[held_out], others


@pytest.mark.parametrize('seed', [0, 1])
def test_shares_that_are_expected_are_those_of_clean_labels(seed):
    """Also on samples that were learned, which look right to the classifier."""
    logs, given, clean, held_out = drawn(seed=seed)
    found = label_posterior(logs, given, held_out)
    wrong = given != clean
    assert found.symmetric and abs(found.noise_rate - 0.3) < 0.05
    for part in (held_out, ~held_out):
        assert abs(found.wrong[part].mean() - wrong[part].mean()) < 0.04
    for name, point in POINTS.items():
        candidate = choose_candidates(found.wrong, given, point)
        left = wrong[~candidate].mean()
        assert abs(left - found.wrong[~candidate].mean()) < 0.025, name
    # Without the held-out samples' distribution, far fewer labels seem wrong.
    fitted = fit_posterior(*fitted_to(logs, given, held_out))
    naive = fitted(logs[~held_out], given[~held_out]).wrong
    assert naive.mean() < wrong.mean() - 0.05


def test_labels_of_all_samples_count():
    """Unless they contradict one noise rate: then the fit is that without them."""
    logs, given, _, held_out = drawn(memorised=0)
    own, labels, others = fitted_to(logs, given, held_out)
    model = fit_posterior(own, labels, others)
    z = torch.from_numpy((own - model.mean) / model.scale)
    alone = fit_stack(z, torch.from_numpy(labels), ridge=0.3)
    counted = with_label_counts(
        alone, z, torch.from_numpy(labels), torch.from_numpy(others.astype(float))
    )
    assert model.further is others
    assert torch.equal(model.stack.bias, counted.bias)
    assert not torch.allclose(counted.bias, alone.bias, atol=1e-4)
    honest = cross_fit([own[:, 0]], labels, ridge=0.3, counts=others)
    found = held_out_posterior(own, labels, others)
    np.testing.assert_array_equal(found.wrong, honest.wrong)
    assert np.abs(honest.wrong - held_out_posterior(own, labels, None).wrong).max() > 0
    # A tenth of the labels that a noise rate of 0.3 gives to the last class by mistake.
    others[-1] = 0.1 * 0.3 / (CLASSES - 1) * others.sum()
    model = fit_posterior(own, labels, others)
    assert model.further is None
    assert torch.equal(model.stack.bias, alone.bias)


def test_a_class_that_is_not_held_out_is_left_out():
    labels = np.array([0, 0, 1, 1, 1, 2])
    held_out = np.array([True, False, True, False, False, False])
    assert further_labels(labels, held_out, 4).tolist() == [1, 2, 0, 0]


def test_probabilities_are_those_of_bayes_rule():
    """Float64, in a loop, on samples that were not learned."""
    logs, given, _, held_out = drawn(1500, memorised=0)
    model = fit_posterior(*fitted_to(logs, given, held_out))
    found = model(logs[:50], given[:50])
    scales, weights, bias, rate = (part.numpy() for part in model.stack)
    for i in range(50):
        z = (logs[i] - model.mean) / model.scale
        u = scales[0] * z[0] + z[0] @ weights + bias
        p = np.exp(u - u.max())
        p /= p.sum()
        joint = [
            p[c] * (1 - rate if c == given[i] else rate / (CLASSES - 1))
            for c in range(CLASSES)
        ]
        np.testing.assert_allclose(
            found.probabilities[i], np.array(joint) / sum(joint), rtol=1e-9
        )
        assert found.wrong[i] == pytest.approx(1 - joint[given[i]] / sum(joint))
        assert found.given[i, given[i]] == pytest.approx(sum(joint))


def test_probabilities_sum_to_one_and_agree_with_the_score():
    logs, given, _, held_out = drawn()
    found = label_posterior(logs, given, held_out)
    rows = np.arange(len(given))
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    np.testing.assert_allclose(found.probabilities[rows, given], 1 - found.wrong)


def test_labels_without_noise_are_no_candidates():
    logs, given, _, held_out = drawn(rate=0.0, memorised=0)
    found = label_posterior(logs, given, held_out)
    assert not found.symmetric


def test_too_few_held_out_samples():
    logs, given, _, held_out = drawn(500)
    with pytest.raises(ValueError, match='are too few: 160 are needed'):
        label_posterior(logs, given, held_out)


def test_quantiles():
    rng = np.random.default_rng(0)
    values, reference = rng.normal(size=1000), rng.beta(1, 3, 300)
    found = match_quantiles(values, reference)
    assert (np.diff(found[np.argsort(values)]) >= 0).all()
    for q in (0.1, 0.5, 0.9):
        assert abs(np.quantile(found, q) - np.quantile(reference, q)) < 0.01
    # Equal values stay equal, and the mean stays that of the reference.
    tied = match_quantiles(np.round(values), reference)
    assert len(np.unique(tied)) == len(np.unique(np.round(values)))
    assert abs(tied.mean() - reference.mean()) < 0.02
    np.testing.assert_allclose(
        match_quantiles(reference, reference), reference, atol=0.02
    )


@pytest.mark.parametrize('share', [0.2, 0.6, 1.0])
def test_equal_values_get_their_mean(share):
    """Many may be equal: a network that has memorised a label is certain of it."""
    reference = np.random.default_rng(0).beta(0.3, 1, 400)
    values = np.arange(4000.0)
    values[: int(share * 4000)] = 0
    found = match_quantiles(values, reference)
    lowest = np.sort(reference)[: int(share * 400)]
    assert found[0] == pytest.approx(lowest.mean(), abs=0.005)
    assert found.mean() == pytest.approx(reference.mean(), abs=0.005)


def some_labels(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, 400, p=[0.7, 0.25, 0.05])
    wrong = np.where(labels == 2, rng.beta(8, 1, 400), rng.beta(1, 2, 400))
    return wrong, labels


def test_each_class_keeps_its_share_of_right_labels():
    wrong, labels = some_labels()
    for share in (0.2, 0.5, 0.9):
        kept = least_suspicious(wrong, labels, share)
        for c in range(3):
            own = labels == c
            total = (1 - wrong[own]).sum()
            held = (1 - wrong[own & kept]).sum()
            margin = 2 * np.sqrt(share * (1 - share) / max(total, 50))
            least = min(share + margin, (1 + share) / 2) * total
            assert held >= least - 1e-9
            # One sample fewer would not be enough, and the least suspicious come first.
            worst = wrong[own & kept].max()
            assert held - (1 - worst) < least
            assert worst <= wrong[own & ~kept].min()
    assert not least_suspicious(wrong, labels, 0).any()


def test_a_class_that_seems_to_have_no_right_labels_is_not_kept_whole():
    wrong, labels = np.full(1000, 1 - 1e-4), np.zeros(1000, np.int64)
    kept = least_suspicious(wrong, labels, 0.5)
    assert 0.6 < kept.mean() < 0.7
    # What a user asks for is never all.
    assert 0.97 < least_suspicious(wrong, labels, 0.95).mean() < 0.98


def test_balanced_has_the_largest_expected_f1():
    """Among all sets of the n most suspicious samples, by enumeration."""
    wrong, labels = some_labels()
    point = OperatingPoint(0.0, None, 0.9)
    candidate = choose_candidates(wrong, labels, point)

    def f1(chosen):
        return 2 * wrong[chosen].sum() / (chosen.sum() + wrong.sum())

    order = np.argsort(-wrong)
    best = max(f1(np.isin(np.arange(400), order[:n])) for n in range(1, 401))
    assert f1(candidate) == pytest.approx(best)


def test_strict_keeps_as_many_as_its_share_of_wrong_labels_allows():
    wrong, labels = some_labels()
    for share in (0.1, 0.2, 0.3):
        kept = ~choose_candidates(wrong, labels, OperatingPoint(0.1, share, 0.9))
        assert wrong[kept].mean() <= share
        following = wrong[~kept].min()
        assert (wrong[kept].sum() + following) / (kept.sum() + 1) > share
        assert (kept | ~least_suspicious(wrong, labels, 0.1)).all()
    # The share of a rare class counts more, and then as few as possible are wrong.
    kept = ~choose_candidates(wrong, labels, OperatingPoint(0.9, 0.0, 0.9))
    assert (kept | ~least_suspicious(wrong, labels, 0.9)).all()
    following = np.sort(wrong[~kept])
    assert wrong[kept].mean() < following[0]
    safe = wrong[least_suspicious(wrong, labels, 0.9)]
    assert wrong[kept].mean() <= safe.mean()


def test_relabelled_are_right_in_the_share_of_cases():
    probability = np.random.default_rng(0).random(300)
    chosen = choose_relabelled(probability, 0.9)
    assert probability[chosen].mean() >= 0.9
    grown = np.append(probability[chosen], probability[~chosen].max())
    assert grown.mean() < 0.9
    assert not choose_relabelled(np.full(5, 0.5), 0.9).any()
    assert choose_relabelled(np.full(5, 0.95), 0.9).all()
    assert len(choose_relabelled(np.zeros(0), 0.9)) == 0


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(operating_point='strikt'), "must be 'balanced' or 'strict'"),
        (dict(operating_point=dict(kept=0.5)), 'operating_point has no kept'),
        (dict(operating_point=dict(kept_right=2)), 'kept_right must lie in'),
        (dict(operating_point={1: 2}), 'operating_point has no 1'),
        (dict(operating_point=dict(wrong_left=float('nan'))), 'wrong_left must lie in'),
        (dict(operating_point=dict(kept_right=None)), 'kept_right must lie in'),
        (dict(operating_point=dict(kept_right='0.5')), 'kept_right must lie in'),
        (dict(operating_point=None), "Write one of 'balanced', 'strict', or a dict"),
        (
            dict(operating_point=0.05),
            'operating_point must be a str or dict, got float',
        ),
        (dict(operating_point=['strict']), 'must be a str or dict, got list'),
        (dict(evidence='ScanEvidence'), r'got str. Write evidence=dict\(type='),
        (dict(evidence=False), 'evidence must be a dict or None, got bool'),
        (dict(evidence=[]), 'evidence must be a dict or None, got list'),
        (dict(criterion='otsu'), "criterion must be 'posterior' or 'steps'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises((TypeError, ValueError), match=f'GAAVE: .*{message}'):
        GAAVEOptions(**options)


def test_own_operating_point():
    point = GAAVEOptions(operating_point=dict(wrong_left=0.02)).point
    assert point == POINTS['balanced']._replace(wrong_left=0.02)
