"""DUL against published code and loops over single numbers."""

import math
from unittest import mock

import pytest
import torch
import torch.nn as nn
from golden_peers import assert_golden, golden
from mmpretrain.structures import DataSample

from mmfer.methods.dul.losses import kl_to_standard_normal, standard_deviation
from mmfer.models.predictions import score_labels
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step

B, D, C = 5, 4, 3
LABELS = [0, 1, 2, 1, 0]


def build(num_classes=C, in_channels=D, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='DULHead', num_classes=num_classes, in_channels=in_channels, **options
        )
    ).double()


def features(spread=1.0):
    generator = torch.Generator().manual_seed(1)
    mean, log_var, noise = torch.randn(3, B, D, generator=generator).double()
    return mean.requires_grad_(), (spread * log_var).requires_grad_(), noise


def samples(labels):
    return [DataSample().set_gt_label(int(y)) for y in labels]


def run(head, mean, log_var, noise, labels=LABELS):
    """Both terms of the loss with a given draw."""
    with mock.patch(
        'mmfer.methods.dul.dul_head.step_normal', return_value=(noise, None)
    ):
        losses = head.loss(GaussianFeature(mean, log_var), samples(labels))
    assert list(losses) == ['loss_cls', 'loss_kl']
    return losses['loss_cls'], losses['loss_kl']


# -- published code ------------------------------------------------------------
def test_step_of_the_published_code():
    case = golden('dul_step_mean')
    given, want = case['inputs'], case['outputs']
    leaves = {
        name: given[name].clone().requires_grad_()
        for name in ('features', 'mu_weight', 'logvar_weight')
    }
    found = []
    for name in ('mu', 'logvar'):
        bn = nn.BatchNorm1d(D, eps=case['options']['bn_eps']).double()
        bn.load_state_dict(
            dict(weight=given[f'{name}_bn_weight'], bias=given[f'{name}_bn_bias']),
            strict=False,
        )
        weight = leaves[f'{name}_weight']
        found.append(bn(leaves['features'] @ weight.T + given[f'{name}_bias']))
    head = build(*given['fc_weight'].shape, preset='official')
    head.load_state_dict({'fc.weight': given['fc_weight'], 'fc.bias': given['fc_bias']})
    drawn = []
    head.fc.register_forward_pre_hook(lambda layer, args: drawn.append(args[0]))
    cls, kl = run(head, *found, given['noise'], given['target'])
    assert_golden(found[0], want['mu'])
    assert_golden(standard_deviation(found[1], head.std_clamp), want['std'])
    assert_golden(drawn[0], want['sample'])
    assert_golden(cls, want['ce'])
    assert_golden(kl / case['options']['kl_weight'], want['kl'])
    assert_golden(cls + kl, want['loss'])
    for name, grad in zip(
        leaves, torch.autograd.grad(cls + kl, tuple(leaves.values())), strict=True
    ):
        assert_golden(grad, want[f'grad_{name}'])


@pytest.mark.parametrize('preset', ['default', 'paper'])
def test_loss_of_the_code_that_sums(preset):
    case = golden('dul_loss_sum')
    mean, log_var, logits = (
        case['inputs'][name].clone().requires_grad_()
        for name in ('mu', 'logvar', 'logits')
    )
    head = build(logits.shape[1], mean.shape[1], preset=preset)
    with mock.patch.object(head.fc, 'forward', lambda feature: logits):
        cls, kl = run(head, mean, log_var, mean.detach(), case['inputs']['target'])
    assert_golden(cls + kl, case['outputs']['loss'])
    grads = torch.autograd.grad(cls + kl, (mean, log_var, logits))
    for name, grad in zip(('mu', 'logvar', 'logits'), grads, strict=True):
        assert_golden(grad, case['outputs'][f'grad_{name}'])


# -- one number at a time ------------------------------------------------------
def loop_loss(mean, log_var, noise, fc, sum_over_dimensions, clamp, eps, weight):
    total = 0.0
    for i in range(B):
        kl, feature = 0.0, []
        for d in range(D):
            std = (log_var[i, d] / 2).exp()
            if clamp is not None:
                low, high = (torch.tensor(x).double() for x in clamp)
                std = torch.minimum(torch.maximum(std, low), high)
            feature.append(mean[i, d] + noise[i, d] * std)
            kl += (mean[i, d] ** 2 + std**2 - (std**2 + eps).log() - 1) / 2
        logits = [
            sum(fc.weight[c, d] * feature[d] for d in range(D)) + fc.bias[c]
            for c in range(C)
        ]
        total += sum(v.exp() for v in logits).log() - logits[LABELS[i]]
        total += weight * kl / (1 if sum_over_dimensions else D)
    return total / B


@pytest.mark.parametrize(
    'options, loop',
    [
        (dict(), (True, None, 0.0, 0.01)),
        (dict(kl_weight=0.3, kl_reduction='mean'), (False, None, 0.0, 0.3)),
        (dict(preset='official'), (False, (1e-8, 1.0), 1e-8, 0.01)),
        (dict(std_clamp=[0.5, 2], log_eps=0.1), (True, (0.5, 2.0), 0.1, 0.01)),
        (dict(kl_weight=0), (True, None, 0.0, 0.0)),
    ],
)
def test_loss_and_gradients(options, loop):
    head, (mean, log_var, noise) = build(**options), features(spread=1.5)
    inputs = (mean, log_var, head.fc.weight, head.fc.bias)
    got = sum(run(head, mean, log_var, noise))
    want = loop_loss(mean, log_var, noise, head.fc, *loop)
    torch.testing.assert_close(got, want)
    grads = torch.autograd.grad(got, inputs)
    for a, b in zip(grads, torch.autograd.grad(want, inputs), strict=True):
        torch.testing.assert_close(a, b)


def test_divergence_is_zero_only_for_the_standard_normal():
    zero = torch.zeros(2, D, dtype=torch.float64)
    assert kl_to_standard_normal(zero, zero + 1) == 0
    for mean, std in ((zero + 0.1, zero + 1), (zero, zero + 1.1), (zero, zero + 0.9)):
        assert kl_to_standard_normal(mean, std) > 0


def test_no_gradient_outside_of_the_bounds():
    log_var = torch.tensor([[-40.0, 0.5, -1.0]], requires_grad=True)
    standard_deviation(log_var, (1e-8, 1.0)).sum().backward()
    assert log_var.grad.tolist()[0][:2] == [0, 0] and log_var.grad[0, 2] > 0


def test_one_term_shrinks_the_variances_and_the_other_widens_them():
    mean, log_var, _ = features()
    noise = torch.randn(200, B, D).double()
    head = build(kl_weight=1.0)
    with torch.no_grad():
        head.fc.weight.copy_(5 * torch.eye(C, D))
    small = torch.full_like(log_var, -4).requires_grad_()
    total = sum(run(head, mean, small, eps)[0] for eps in noise)
    assert torch.autograd.grad(total, small)[0].mean() > 0
    assert (
        torch.autograd.grad(run(head, mean, small, noise[0])[1], small)[0] < 0
    ).all()


# -- in a run ------------------------------------------------------------------
def test_draws_depend_on_seed_step_and_position():
    head = build()
    mean, log_var, _ = features()

    def loss(seed, step, rank=0, world_size=1):
        set_step(seed, step)
        feats = GaussianFeature(mean[rank::world_size], log_var[rank::world_size])
        with mock.patch(
            'mmfer.models.gathering.get_dist_info', return_value=(rank, world_size)
        ):
            found = head.loss(feats, samples(LABELS[rank::world_size]))
        clear_step()
        return found['loss_cls'].item()

    try:
        assert loss(0, 3) == loss(0, 3)
        assert len({loss(0, 3), loss(0, 4), loss(1, 3)}) == 3
        # Two processes of three and two images, as one process has them.
        parts = loss(0, 3, 0, 2) * 3 + loss(0, 3, 1, 2) * 2
        assert parts / B == pytest.approx(loss(0, 3))
    finally:
        clear_step()


@pytest.mark.parametrize('size', [1, 2])
def test_small_batches(size):
    head, (mean, log_var, _) = build(), features()
    losses = head.loss(
        GaussianFeature(mean[:size], log_var[:size]), samples([0] * size)
    )
    grads = torch.autograd.grad(sum(losses.values()), (mean, log_var))
    assert all(grad.isfinite().all() for grad in grads)


def test_float32_within_autocast():
    head = build().float()
    mean, log_var, noise = (x.float().detach() for x in features())
    want = run(head, mean, log_var, noise)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = run(head, mean, log_var, noise)
    assert got == want


@pytest.mark.parametrize(
    'options, kind',
    [
        (dict(), 'arithmetic'),
        (dict(preset='official'), 'arithmetic'),
        (dict(preset='paper'), 'harmonic'),
        (dict(uncertainty='harmonic'), 'harmonic'),
    ],
)
def test_predictions(options, kind):
    """They classify the mean; the uncertainty is a mean of the variances."""
    head, (mean, log_var, _) = build(**options), features()
    found = head.predict_batch(GaussianFeature(mean, log_var))
    want = head.fc(mean).softmax(dim=1).float()
    torch.testing.assert_close(found['pred_score'], want)
    for i in range(B):
        variances = [math.exp(v) for v in log_var[i].tolist()]
        mean_of = (
            sum(variances) / D
            if kind == 'arithmetic'
            else D / sum(1 / v for v in variances)
        )
        assert found['uncertainty'][i].item() == pytest.approx(mean_of)
    # Labels are scored by their probability, as for any method without a score.
    assert score_labels(head, found, torch.tensor(LABELS)) == {}


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(kl_weight=-1), 'kl_weight must be a number of at least 0, got -1'),
        (dict(kl_reduction='max'), "kl_reduction must be 'sum' or 'mean', got 'max'"),
        (dict(std_clamp=(1, 0.5)), 'std_clamp must be two numbers .* got \\(1, 0.5\\)'),
        (dict(std_clamp=(0, 1)), '0 < low < high, got'),
        (dict(std_clamp=(1,)), 'std_clamp must be two numbers'),
        (dict(std_clamp=2), 'std_clamp must be two numbers .* got 2'),
        (dict(log_eps=-1e-8), 'log_eps must be a number of at least 0'),
        (dict(uncertainty='median'), "uncertainty must be 'arithmetic', 'geometric'"),
        (dict(preset='code'), "preset must be 'default', 'official' or 'paper'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_needs_a_neck_that_gives_a_variance():
    with pytest.raises(ValueError, match="neck=dict\\(type='mmfer.UncertaintyNeck'\\)"):
        build().loss((torch.zeros(2, D),), samples([0, 1]))


def test_a_given_option_changes_a_preset():
    head = build(preset='official', kl_reduction='sum')
    assert head.kl_reduction == 'sum' and head.std_clamp == (1e-8, 1.0)
