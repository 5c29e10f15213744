"""Scores of made features whose wrong labels are known."""

import numpy as np
import pytest
import torch

from mmfer.datasets.noise import PairNoise, SymmetricNoise
from mmfer.models.label_posterior import (
    Stack,
    assign_folds,
    cross_fit,
    fit_stack,
    given_probabilities,
    with_label_counts,
)
from mmfer.scan import ScoreOptions, head, score_labels
from mmfer.scan.ridge import Samples

FEW = ScoreOptions(landmarks=100)


def made(count=2000, classes=5, spread=0.9, seed=0):
    rng = np.random.default_rng(seed)
    clean = rng.integers(classes, size=count)
    centres = rng.normal(size=(classes, 24))
    features = centres[clean] + spread * rng.normal(size=(count, 24))
    blocks = dict(a=features[:, :16].astype(np.float32), b=features[:, 8:])
    return blocks, clean


def auroc(score, wrong):
    ranks = np.argsort(np.argsort(score)) + 1
    positive = wrong.sum()
    above = ranks[wrong].sum() - positive * (positive + 1) / 2
    return above / positive / (~wrong).sum()


def f1(flags, wrong):
    return 2 * (flags & wrong).sum() / (flags.sum() + wrong.sum())


def test_symmetric_noise_is_found_and_measured():
    blocks, clean = made()
    given = SymmetricNoise(rate=0.3, seed=1)(clean, 5)
    wrong = given != clean
    found = score_labels(blocks, given, 5, options=FEW)
    assert found.symmetric and found.decided and found.weak
    assert found.noise_rate == pytest.approx(0.3, abs=0.04)
    assert auroc(found.noise_score, wrong) > 0.95
    assert f1(found.suspicious, wrong) > 0.85
    # What the scores say about themselves is true.
    assert found.quality.auroc == pytest.approx(
        auroc(found.noise_score, wrong), abs=0.02
    )
    caught = wrong[found.suspicious].mean(), found.suspicious[wrong].mean()
    assert found.quality[1:] == pytest.approx(caught, abs=0.05)
    assert not found.strength.is_weak
    assert (found.suggested_label == clean)[found.suspicious & wrong].mean() > 0.9
    assert found.probabilities.sum(axis=1) == pytest.approx(1)


def test_other_noise_is_treated_with_care():
    blocks, clean = made()
    given = PairNoise(rate=0.3, seed=1)(clean, 5)
    found = score_labels(blocks, given, 5, options=FEW)
    assert not found.symmetric and found.quality is None and found.noise_rate is None
    assert (found.suspicious == found.careful).all()
    assert f1(found.suspicious, given != clean) > 0.5
    right = score_labels(blocks, clean, 5, options=FEW)
    assert not right.symmetric and right.suspicious.mean() < 0.1


def test_labels_without_information_are_called_so():
    blocks, _ = made()
    given = np.random.default_rng(3).integers(5, size=2000)
    assert score_labels(blocks, given, 5, options=FEW).strength.is_weak


def test_few_images_are_sorted_but_not_decided():
    blocks, clean = made(190)
    given = SymmetricNoise(rate=0.3, seed=1)(clean, 5)
    found = score_labels(blocks, given, 5, options=FEW)
    assert not found.decided and not found.suspicious.any() and not found.careful.any()
    assert found.noise_rate is None
    assert auroc(found.noise_score, given != clean) > 0.8


def test_images_that_are_not_valid_are_left_out():
    blocks, clean = made(600)
    given = SymmetricNoise(rate=0.3, seed=1)(clean, 5)
    valid = np.random.default_rng(0).random(600) < 0.9
    found = score_labels(blocks, given, 5, valid=valid, options=FEW)
    part = {name: block[valid] for name, block in blocks.items()}
    alone = score_labels(part, given[valid], 5, options=FEW)
    np.testing.assert_allclose(found.noise_score[valid], alone.noise_score, atol=1e-5)
    assert np.isnan(found.noise_score[~valid]).all()
    assert (found.suggested_label[~valid] == -1).all()
    assert not found.suspicious[~valid].any()


def test_copies_of_a_wrong_label_do_not_make_it_right():
    """Ten copies of each image, as frames of a video: groups undo their effect."""
    blocks, clean = made(150, seed=4, spread=0.6)
    # Many features: a classifier recognises each image.
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(150, 100))
    given = SymmetricNoise(rate=0.3, seed=1)(clean, 5)
    rows = np.repeat(np.arange(150), 10)
    copied = dict(a=np.concatenate([blocks['a'], noise], axis=1)[rows])
    copied['a'] = copied['a'] + 0.01 * rng.normal(size=copied['a'].shape)
    wrong = (given != clean)[rows]
    options = ScoreOptions(landmarks=100, penalty=0.1)
    leaky = score_labels(copied, given[rows], 5, options=options)
    apart = score_labels(copied, given[rows], 5, groups=rows, options=options)
    assert auroc(apart.noise_score, wrong) > 0.75
    assert leaky.suspicious[wrong].mean() < 0.5 < apart.suspicious[wrong].mean()


def test_a_class_is_never_flagged_as_a_whole():
    blocks, clean = made(1000)
    given = clean.copy()
    # A class whose labels are all wrong, and two that look like all others.
    given[np.random.default_rng(0).random(1000) < 0.04] = 4
    given[(given == 4) & (clean == 4)] = 0
    kept = score_labels(
        blocks, given, 5, options=ScoreOptions(landmarks=50, keep_share=0.1)
    )
    own = given == 4
    assert (~kept.suspicious[own]).sum() >= np.ceil(0.1 * own.sum())


@pytest.mark.parametrize('classes', [5, 7])
def test_classes_without_images_and_constant_features(classes):
    blocks, clean = made(300, classes=3)
    blocks['constant'] = np.zeros((300, 4), np.float16)
    found = score_labels(blocks, clean, classes, options=FEW)
    assert np.isfinite(found.noise_score).all()
    assert found.probabilities[:, 3:].max() < 0.05


def test_head_finds_what_no_ridge_can():
    """Classes that differ in the product of two features, not in their means."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 2))
    clean = (x[:, 0] * x[:, 1] > 0).astype(int)
    given = SymmetricNoise(rate=0.2, seed=1)(clean, 2)
    blocks = dict(a=x)
    alone = score_labels(blocks, given, 2, options=ScoreOptions(landmarks=0))
    found = score_labels(blocks, given, 2, options=ScoreOptions(landmarks=0, head=True))
    assert auroc(alone.noise_score, given != clean) < 0.6
    assert auroc(found.noise_score, given != clean) > 0.95


def test_head_never_sees_the_labels_of_its_fold(monkeypatch):
    monkeypatch.setattr(head, 'EPOCHS', 3)
    blocks, labels = made(400)
    samples = [Samples(blocks['a'], np.arange(400))]
    groups = np.arange(400) // 4
    before = head.held_out_logits(samples, labels, 5, 0.2, groups)
    fold = assign_folds(400, groups, head.FOLDS, 0)
    labels[fold == 1] = (labels[fold == 1] + 2) % 5
    after = head.held_out_logits(samples, labels, 5, 0.2, groups)
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert (before[fold == 0] != after[fold == 0]).any()


def test_one_class_is_refused():
    blocks, clean = made(300)
    with pytest.raises(ValueError, match='the 300 images have one class'):
        score_labels(blocks, np.zeros(300, int), 5)


# -- the stack ---------------------------------------------------------------
def test_posterior_of_wrong_is_bayes_rule():
    """s = P(true != given | x, given), by enumeration of the true classes."""
    p = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    rate = torch.tensor(0.3, dtype=torch.float64)
    transition = np.full((3, 3), 0.15) + np.eye(3) * 0.55
    np.testing.assert_allclose(
        given_probabilities(p, rate).numpy(), p.numpy() @ transition
    )


def test_fit_finds_the_rate_and_the_weights():
    rng = np.random.default_rng(0)
    z = torch.from_numpy(rng.normal(size=(20000, 2, 3)))
    truth = Stack(
        torch.tensor([2.0, 0.5]).double(),
        torch.from_numpy(rng.normal(size=(6, 3)) * 0.3),
        torch.tensor([0.5, 0.0, -0.5]).double(),
        torch.tensor(0.0),
    )
    p = truth.log_probabilities(z).exp()
    clean = torch.multinomial(p, 1, generator=torch.Generator().manual_seed(0))[:, 0]
    given = torch.from_numpy(SymmetricNoise(rate=0.2, seed=0)(clean.numpy(), 3))
    stack = fit_stack(z, given, decay=0.01)
    assert float(stack.noise_rate) == pytest.approx(0.2, abs=0.02)
    assert (stack.log_probabilities(z).exp() - p).abs().mean() < 0.02


def test_labels_of_further_samples():
    """No step from the fit improves its objective, computed by NumPy."""
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(300, 2, 3)), rng.integers(3, size=300)
    counts = np.array([2000.0, 900, 0])
    parts = torch.from_numpy(z), torch.from_numpy(labels)
    before = fit_stack(*parts, ridge=0.3)
    stack = with_label_counts(before, *parts, torch.from_numpy(counts))
    assert torch.equal(stack.scales, before.scales)
    assert torch.equal(stack.weights, before.weights)
    scales, weights, bias, rate = (part.numpy().astype(float) for part in stack)
    u = np.einsum('nbc,b->nc', z, scales) + z.reshape(300, 6) @ weights

    def shares_and_value(bias, rate):
        p = np.exp(u + bias) / np.exp(u + bias).sum(1, keepdims=True)
        q = p * (1 - rate - rate / 2) + rate / 2
        shares = q.mean(0)[:2] / q.mean(0)[:2].sum()
        own = np.log(q[np.arange(300), labels]).sum()
        return shares, own + counts[:2] @ np.log(shares)

    shares, most = shares_and_value(bias, rate)
    for _ in range(50):
        step = 0.03 * rng.normal(size=4)
        other = np.clip(rate + step[3], 0, 0.66)
        assert shares_and_value(bias + step[:3], other)[1] < most + 1e-3
    # 2,900 labels count more than 300 samples.
    np.testing.assert_allclose(shares, counts[:2] / 2900, atol=0.03)
    assert with_label_counts(before, *parts, torch.zeros(3)) is before


def test_groups_stay_in_one_fold_and_folds_are_even():
    groups = np.random.default_rng(0).integers(100, size=1000)
    fold = assign_folds(1000, groups, 5, 0)
    assert all(len(set(fold[groups == group])) == 1 for group in range(100))
    assert np.bincount(assign_folds(1000, None, 5, 0)).tolist() == [200] * 5


def test_stack_of_a_fold_does_not_see_its_labels():
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(60, 3)), rng.integers(3, size=60)
    fold = assign_folds(60, None, 5, 0)
    before = cross_fit([outputs], labels)
    labels[fold == 2] = (labels[fold == 2] + 1) % 3
    after = cross_fit([outputs], labels)
    np.testing.assert_allclose(
        before.probabilities[fold == 2], after.probabilities[fold == 2], atol=1e-3
    )
