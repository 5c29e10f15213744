"""RUL against loops, the published code and supplement G."""

import json
import math
from itertools import combinations
from pathlib import Path
from unittest import mock

import pytest
import torch
from mmpretrain.structures import DataSample

from mmfer.models.feature_mixing import mix, scalar_weights
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.registry import MODELS

DATA = Path(__file__).parents[1] / 'data'
B, D, C = 5, 4, 3
LABELS = [0, 1, 2, 1, 0]
# one with a fixed point
PERMUTATIONS = [[3, 1, 4, 0, 2], [1, 2, 3, 4, 0], [4, 3, 2, 1, 0]]


def build(num_classes=C, in_channels=D, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='RULHead', num_classes=num_classes, in_channels=in_channels, **options
        )
    ).double()


def features():
    generator = torch.Generator().manual_seed(1)
    mean, log_var = torch.randn(2, B, D, generator=generator, dtype=torch.float64)
    return mean.requires_grad_(), log_var.requires_grad_()


def run(head, mean, log_var, labels=LABELS, permutations=PERMUTATIONS):
    with mock.patch(
        'torch.randperm', side_effect=[torch.tensor(p) for p in permutations]
    ) as drawn:
        losses = head.loss(
            GaussianFeature(mean, log_var),
            [DataSample().set_gt_label(y) for y in labels],
        )
    assert list(losses) == ['loss']
    return losses['loss'], drawn.call_count


# -- references: one number at a time ----------------------------------------
def uncertainty(log_var, i):
    return sum(log_var[i, d].exp() for d in range(D)) / D


def logits_of(feature, fc):
    return [
        sum(fc.weight[c, d] * feature[d] for d in range(D)) + fc.bias[c]
        for c in range(C)
    ]


def cross_entropy(logits, label):
    return sum(v.exp() for v in logits).log() - logits[label]


def loop_group(mean, log_var, group, fc, variant):
    """Compute the loss where ``group`` lists the partners of each image."""
    total = 0.0
    for i in range(B):
        members = [index[i] for index in group]
        u = [uncertainty(log_var, j) for j in members]
        share = [value / sum(u) for value in u]
        if variant == 'loss_attention':
            for s, j in zip(share, members, strict=True):
                total += s * cross_entropy(logits_of(mean[j], fc), LABELS[j])
            continue
        if variant == 'mix_feature':
            mixed = [
                sum(s * mean[j, d] for s, j in zip(share, members, strict=True))
                for d in range(D)
            ]
            logits = logits_of(mixed, fc)
        else:
            each = [logits_of(mean[j], fc) for j in members]
            logits = [
                sum(s * row[c] for s, row in zip(share, each, strict=True))
                for c in range(C)
            ]
        total += sum(cross_entropy(logits, LABELS[j]) for j in members) / len(members)
    return total / B


def loop_loss(mean, log_var, fc, num_images, pairwise, variant):
    images = [list(range(B)), *PERMUTATIONS[: num_images - 1]]
    groups = list(combinations(images, 2)) if pairwise else [images]
    return sum(loop_group(mean, log_var, group, fc, variant) for group in groups) / len(
        groups
    )


@pytest.mark.parametrize('variant', ['mix_feature', 'mix_output', 'loss_attention'])
@pytest.mark.parametrize(
    'num_images,pairwise', [(2, False), (2, True), (3, False), (3, True), (4, False)]
)
def test_loss_and_gradients(num_images, pairwise, variant):
    head = build(num_images=num_images, pairwise=pairwise, variant=variant)
    mean, log_var = features()
    inputs = (mean, log_var, head.fc.weight, head.fc.bias)
    got, count = run(head, mean, log_var)
    assert count == num_images - 1
    grads = torch.autograd.grad(got, inputs)
    want = loop_loss(mean, log_var, head.fc, num_images, pairwise, variant)
    torch.testing.assert_close(got, want)
    for a, b in zip(grads, torch.autograd.grad(want, inputs), strict=True):
        torch.testing.assert_close(a, b)
    assert grads[1].abs().max() > 0  # the only signal to the variances


def test_equals_the_published_code():
    data = json.loads((DATA / 'published_rul_dsu.json').read_text())['rul']
    weight = torch.tensor(data['weight'], dtype=torch.float64)
    head = build(*weight.shape)
    head.load_state_dict(
        {
            'fc.weight': weight,
            'fc.bias': torch.tensor(data['bias'], dtype=torch.float64),
        }
    )
    mean, log_var = (
        torch.tensor(data[k], dtype=torch.float64, requires_grad=True)
        for k in ('mu', 'log_var')
    )
    partner = torch.tensor(data['permutation'])
    mixed = mix(
        torch.stack([mean, mean[partner]]),
        scalar_weights(torch.stack([log_var, log_var[partner]])),
    )
    torch.testing.assert_close(mixed, torch.tensor(data['mixed'], dtype=torch.float64))
    loss, _ = run(head, mean, log_var, data['target'], [data['permutation']])
    assert loss.item() == pytest.approx(data['loss'], rel=1e-12)
    grads = torch.autograd.grad(loss, (mean, log_var))
    for grad, key in zip(grads, ('grad_mu', 'grad_log_var'), strict=True):
        torch.testing.assert_close(
            grad, torch.tensor(data[key], dtype=torch.float64), rtol=1e-10, atol=1e-13
        )


def test_fixed_point_is_plain_cross_entropy():
    head, (mean, log_var) = build(), features()
    loss, _ = run(head, mean, log_var, permutations=[list(range(B))])
    want = (
        sum(cross_entropy(logits_of(mean[i], head.fc), LABELS[i]) for i in range(B)) / B
    )
    torch.testing.assert_close(loss, want)


def test_the_partner_is_random():
    head, (mean, log_var) = build(), features()
    samples = [DataSample().set_gt_label(y) for y in LABELS]
    feats = GaussianFeature(mean, log_var)
    values = {head.loss(feats, samples)['loss'].item() for _ in range(20)}
    assert len(values) > 10


@pytest.mark.parametrize('size', [1, 2])
def test_small_batches(size):
    head = build(num_images=3)
    mean, log_var = (x[:size] for x in features())
    loss = head.loss(
        GaussianFeature(mean, log_var),
        [DataSample().set_gt_label(0) for _ in range(size)],
    )['loss']
    assert loss.isfinite()
    assert torch.autograd.grad(loss, mean)[0].isfinite().all()


def test_float32_within_autocast():
    head = build().float()
    mean, log_var = (x.float().detach() for x in features())
    want, _ = run(head, mean, log_var)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got, _ = run(head, mean, log_var)
    assert torch.equal(got, want)


def test_uncertainty_of_predictions():
    mean, log_var = features()
    for i, sample in enumerate(build().predict(GaussianFeature(mean, log_var))):
        assert sample.uncertainty.item() == pytest.approx(
            sum(math.exp(v) for v in log_var[i].tolist()) / D
        )
        assert sample.uncertainty > 0


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(num_images=1), 'num_images must be a whole number of at least 2, got 1'),
        (
            dict(variant='mix_labels'),
            "variant must be 'mix_feature', .* got 'mix_labels'",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
