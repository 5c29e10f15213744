"""RUL against loops, the published code and supplement G."""

import json
import math
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
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


# -- presets: from the feature map to the loss ---------------------------------
def numpy_branch(branch, maps, mask):
    """One branch of the published network on maps (B, C, H, W), in training."""
    batch, channels = maps.shape[:2]
    normalised = np.empty_like(maps)
    for c in range(channels):
        values = maps[:, c]
        normalised[:, c] = (values - values.mean()) / np.sqrt(values.var() + 2e-5)
    # Dropout of 0.4: what is kept grows by 1 / 0.6.
    flat = normalised.reshape(batch, -1) * mask / 0.6
    linear, last = branch[3], branch[4]
    weight, bias = (p.detach().numpy() for p in linear.parameters())
    out = np.array([weight @ row + bias for row in flat])
    gain, shift = (p.detach().numpy() for p in last.parameters())
    return (out - out.mean(0)) / np.sqrt(out.var(0) + 2e-5) * gain + shift


def numpy_rul(neck, head, maps, masks, partner):
    """Loss of RUL for feature maps, with given masks of dropout."""
    mean, log_var = (
        numpy_branch(branch, maps, mask)
        for branch, mask in zip((neck.mean, neck.log_var), masks, strict=True)
    )
    weight, bias = (p.detach().numpy() for p in head.fc.parameters())
    total = 0.0
    for i in range(B):
        j = partner[i]
        u, v = np.exp(log_var[i]).mean(), np.exp(log_var[j]).mean()
        logits = weight @ ((u * mean[i] + v * mean[j]) / (u + v)) + bias
        log_prob = logits - np.log(np.exp(logits).sum())
        total -= 0.5 * log_prob[LABELS[i]] + 0.5 * log_prob[LABELS[j]]
    return total / B


@pytest.mark.parametrize(
    'preset, dimensions', [('default', 64), ('official', 64), ('paper', 32)]
)
def test_presets_from_map_to_loss(preset, dimensions):
    """Neck and head together, and their gradient, against numpy in float64."""
    torch.manual_seed(0)
    neck = MODELS.build(
        dict(type='UncertaintyNeck', in_channels=2, map_size=(3, 2), preset=preset)
    ).double()
    head = build(in_channels=neck.out_channels)
    assert head.fc.in_features == neck.mean[3].out_features == dimensions
    for branch in (neck.mean, neck.log_var):
        for parameter in branch[4].parameters():
            torch.nn.init.normal_(parameter)
    maps = torch.randn(B, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    masks = [(torch.rand(B, 12) > 0.4).double() for _ in range(2)]
    order = iter(masks)

    def masked(values, p, training):
        assert training
        return values * next(order) / (1 - p)

    with (
        mock.patch('mmfer.models.uncertainty_neck.dropout', masked),
        mock.patch.object(torch.Tensor, 'float', lambda tensor: tensor),
    ):
        feats = neck(maps)
    loss, _ = run(head, *feats)
    arguments = neck, head, [m.numpy() for m in masks], PERMUTATIONS[0]

    def reference(values):
        return numpy_rul(neck, head, values, *arguments[2:])

    assert loss.item() == pytest.approx(reference(maps.detach().numpy()), rel=1e-12)
    (grad,) = torch.autograd.grad(loss, maps)
    for place in [(0, 0, 0, 0), (1, 1, 2, 1), (4, 0, 1, 1)]:
        values = [maps.detach().numpy().copy() for _ in range(2)]
        values[0][place] += 1e-5
        values[1][place] -= 1e-5
        slope = (reference(values[0]) - reference(values[1])) / 2e-5
        assert grad[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


@pytest.fixture
def warned(monkeypatch):
    """Warnings in the log."""
    lines = []

    class Logger:
        warning = staticmethod(lines.append)
        log = staticmethod(lambda level, text: None)

    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: Logger)
    return lines


def test_a_given_dimension_wins(warned):
    sizes = dict(in_channels=2, map_size=(1, 1))
    neck = MODELS.build(
        dict(type='UncertaintyNeck', preset='paper', out_channels=16, **sizes)
    )
    assert neck.out_channels == 16
    assert 'out_channels=16 instead of 32' in warned[0]


# -- loss attention: its uncertainty is inverted -------------------------------
def learned_uncertainties(variant):
    """Losses of 40 images, and the uncertainties after steps on log_var alone.

    The classifier is fixed. One image in four is ambiguous: its mean is near zero, so
    its loss is large. Only the uncertainties can lower the loss of a pair.
    """
    torch.manual_seed(0)
    labels = torch.arange(40) % C
    hard = torch.arange(40) % 4 == 0
    head = build(in_channels=C, variant=variant)
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(C))
        head.fc.bias.zero_()
    size = torch.where(hard, 0.5, 4.0).double()
    mean = size[:, None] * torch.eye(C, dtype=torch.float64)[labels]
    log_var = torch.zeros(40, C, dtype=torch.float64, requires_grad=True)
    samples = [DataSample().set_gt_label(int(y)) for y in labels]
    for _ in range(50):
        loss = head.loss(GaussianFeature(mean, log_var), samples)['loss']
        (grad,) = torch.autograd.grad(loss, log_var)
        log_var = (log_var - 20 * grad).detach().requires_grad_()
    losses = torch.nn.functional.cross_entropy(head.fc(mean), labels, reduction='none')
    assert losses[hard].min() > 5 * losses[~hard].max()
    uncertainty = log_var.detach().exp().mean(dim=1)
    return uncertainty[hard], uncertainty[~hard]


def test_mixed_features_give_hard_images_a_large_uncertainty():
    hard, easy = learned_uncertainties('mix_feature')
    assert hard.min() > easy.max()


def test_loss_attention_gives_hard_images_a_small_uncertainty():
    hard, easy = learned_uncertainties('loss_attention')
    assert hard.max() < easy.min()


def test_loss_attention_warns(warned):
    build(variant='loss_attention')
    assert (
        'inverted' in warned[0] and "model.head.uncertainty='confidence'" in warned[0]
    )
    head = build(variant='loss_attention', uncertainty='confidence')
    build()
    assert len(warned) == 1
    mean, log_var = features()
    scores = head(GaussianFeature(mean, log_var)).softmax(dim=1)
    for i, sample in enumerate(head.predict(GaussianFeature(mean, log_var))):
        largest = scores[i].max().item()
        assert sample.uncertainty.item() == pytest.approx(1 - largest)


def test_derivative_of_loss_attention():
    """dL/du_1 = u_2 (l_1 - l_2) / (u_1 + u_2)^2: descent lowers u of the larger l."""
    head = build(in_channels=1, num_classes=2, variant='loss_attention')
    mean = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
    log_var = torch.tensor([[0.3], [-0.4]], dtype=torch.float64, requires_grad=True)
    loss, _ = run(head, mean, log_var, [0, 1], [[1, 0]])
    (grad,) = torch.autograd.grad(loss, log_var)
    u = log_var.detach().exp()[:, 0]
    losses = [cross_entropy_of(head, mean[i], i) for i in range(2)]
    wanted = u[1] * (losses[0] - losses[1]) / u.sum() ** 2
    assert grad[0].item() == pytest.approx(float(u[0] * wanted))
    assert (grad[0] > 0) == (losses[0] > losses[1])


def cross_entropy_of(head, feature, label):
    logits = (head.fc.weight @ feature + head.fc.bias).tolist()
    return math.log(sum(math.exp(v) for v in logits)) - logits[label]
