"""MixStyle against loops and the published code; where it acts, and what it draws."""

from unittest import mock

import numpy as np
import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import CONFIGS, tiny_config, train
from mmengine.config import Config

from mmfer.methods.mixstyle.mixstyle import (
    MixStyle,
    crossdomain_partners,
    mix_styles,
    random_partners,
)
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step

B, C, H, W = 4, 3, 3, 2


def feature_map(seed=0, count=B):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, C, H, W, generator=generator, dtype=torch.float64)
    return (x * 2 + 1).requires_grad_()


def ratios(*values):
    return torch.tensor(values, dtype=torch.float64)


# -- the equations -----------------------------------------------------------
def loop_mix(x, ratio, partners, eps=1e-6):
    """MixStyle one number at a time; statistics are plain numbers."""
    count, channels = x.shape[:2]

    def statistics(i, c):
        values = [v.item() for v in x[i, c].flatten()]
        mean = sum(values) / len(values)
        var = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
        return mean, (var + eps) ** 0.5

    out = torch.zeros_like(x)
    for i in range(count):
        for c in range(channels):
            mean, std = statistics(i, c)
            other_mean, other_std = statistics(int(partners[i]), c)
            share = float(ratio[i])
            new_mean = share * mean + (1 - share) * other_mean
            new_std = share * std + (1 - share) * other_std
            out[i, c] = (x[i, c] - mean) / std * new_std + new_mean
    return out


def test_equals_the_loop():
    x, ratio = feature_map(), ratios(0.0, 0.3, 0.9, 1.0)
    partners = torch.tensor([2, 0, 1, 3])
    got, want = mix_styles(x, ratio, partners), loop_mix(x, ratio, partners)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(x)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (got, want)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('mix', ['random', 'crossdomain'])
def test_equals_the_published_code(mix):
    data = golden(f'mixstyle_{mix}')
    inputs, outputs = data['inputs'], data['outputs']
    x = inputs['x'].requires_grad_()
    module = MODELS.build(
        dict(type='MixStyle', prob=1.0, mix=mix, eps=data['options']['eps'])
    )
    drawn = [row.numpy() for row in inputs['draws'].long()]
    rng = mock.Mock()
    rng.beta.side_effect = lambda a, b, count: inputs['mix'].numpy()
    rng.permutation.side_effect = drawn
    with mock.patch('numpy.random.default_rng', return_value=rng):
        ratio, partners = module.draw_mix(len(x), 0)
        rng.permutation.side_effect = drawn
        y = module(x)
    assert partners.tolist() == inputs['permutation'].long().tolist()
    rng.beta.assert_called_with(0.1, 0.1, len(x))
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    assert_golden(y, outputs['y'])
    assert_golden(grad, outputs['grad_of_sum_of_squares'])


def test_statistics_of_the_result():
    """An image gets the statistics of its partner where its own share is 0."""
    x = feature_map()
    y = mix_styles(x, ratios(0, 0, 0, 0), torch.tensor([1, 2, 3, 0]), eps=0.0)
    want = x.roll(-1, dims=0)
    torch.testing.assert_close(y.mean((2, 3)), want.mean((2, 3)))
    torch.testing.assert_close(y.std((2, 3)), want.std((2, 3)))
    same = mix_styles(x, ratios(1, 1, 1, 1), torch.tensor([1, 2, 3, 0]))
    torch.testing.assert_close(same, x)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    x = feature_map().detach().to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    ratio, partners = ratios(0.2, 0.5, 0.7, 0.9), torch.tensor([1, 2, 3, 0])
    got, want = (mix_styles(v, ratio, partners) for v in (x, exact))
    assert got.dtype == dtype
    got.backward(torch.ones_like(got))
    want.backward(torch.ones_like(want))
    for a, b in ((got, want), (x.grad, exact.grad)):
        assert (a.double() - b).abs().max() <= torch.finfo(dtype).eps * b.abs().max()


def test_dead_channels_stay_finite():
    x = feature_map().detach()
    x[:, 0] = 0
    x[1, 1] = 5
    x.requires_grad_()
    y = mix_styles(x, ratios(0, 0.5, 1, 0.3), torch.tensor([1, 0, 3, 2]))
    y.square().sum().backward()
    assert y.isfinite().all() and x.grad.isfinite().all()


# -- draws -------------------------------------------------------------------
@pytest.mark.parametrize('count', [2, 3, 8, 9])
def test_partners_of_another_domain(count):
    seen = set()
    for seed in range(60):
        partners = crossdomain_partners(count, np.random.default_rng(seed))
        assert sorted(partners.tolist()) == list(range(count))
        half = (count + 1) // 2
        assert (partners[:half] >= count // 2).all()
        assert (partners[half:] < count // 2).all()
        seen.add(tuple(partners.tolist()))
    assert len(seen) > 1 or count < 4


def test_random_partners_are_permutations():
    for seed in range(5):
        partners = random_partners(7, np.random.default_rng(seed))
        assert sorted(partners.tolist()) == list(range(7))


def test_ratios_have_the_beta_distribution():
    ratio, _ = MixStyle(alpha=0.1).draw_mix(20_000, key=1)
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)).
    assert abs(ratio.mean() - 0.5) < 0.02
    assert abs(ratio.var() - 1 / 4.8) < 0.01


def test_draws_of_a_step_come_from_seed_and_step_alone():
    module, x, seen = MixStyle(), feature_map().detach(), []
    for state, step in enumerate((5, 5, 6)):
        torch.manual_seed(state)
        np.random.seed(state)
        set_step(0, step)
        draws = module.draw(20)
        mixed = torch.stack([module.perturb(x, draw.key) for draw in draws])
        seen.append((draws, mixed))
    clear_step()
    assert seen[0][0] == seen[1][0] != seen[2][0]
    assert torch.equal(seen[0][1], seen[1][1])
    # Layers have partners and ratios of their own.
    assert not torch.equal(seen[0][1][0], seen[0][1][1])


def test_outside_of_a_step_the_seed_of_torch_counts():
    module, x = MixStyle(prob=1.0), feature_map().detach()
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outputs.append(module(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_gate_frequency():
    module, opened = MixStyle(prob=0.25), 0
    for step in range(300):
        set_step(0, step)
        opened += sum(draw.opens for draw in module.draw(4))
    clear_step()
    assert abs(opened / 1200 - 0.25) < 0.05


# -- in a model --------------------------------------------------------------
def build(**options):
    torch.manual_seed(0)
    cfg = dict(
        type='FERClassifier',
        backbone=dict(
            type='ResNetSmallStem', depth=18, stem_channels=4, base_channels=4
        ),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
        data_preprocessor=dict(
            type='FERDataPreprocessor', input_shape=(3, 32, 32), num_classes=5
        ),
    )
    return MODELS.build(dict(cfg, **options))


def test_changes_no_key_and_acts_in_training_only():
    perturbed = build(latent_compensation=dict(type='MixStyle', prob=1.0))
    plain, images = build(), torch.randn(4, 3, 32, 32)
    assert list(perturbed.state_dict()) == list(plain.state_dict())
    assert perturbed.latent_compensation.layers == ['layer1', 'layer2', 'layer3']
    for mode in (False, True):
        perturbed.train(mode), plain.train(mode)
        same = torch.equal(*(m.extract_feat(images)[0] for m in (perturbed, plain)))
        assert same != mode


@pytest.mark.parametrize('shape', [(1, 3, 4, 4), (4, 3, 1, 1), (1, 5, 3), (4, 1, 3)])
def test_nothing_to_mix_passes_through(shape):
    x = torch.randn(shape)
    assert MixStyle(prob=1.0)(x) is x


def test_tokens_are_maps_in_another_order():
    x = feature_map().detach()
    tokens = x.flatten(2).transpose(1, 2)
    module = MixStyle(prob=1.0)
    torch.manual_seed(0)
    want = module(x).flatten(2).transpose(1, 2)
    torch.manual_seed(0)
    torch.testing.assert_close(module(tokens), want)


@pytest.mark.parametrize(
    'backbone, layers',
    [
        (dict(type='ConvNeXt', arch='atto'), ['stages.0', 'stages.1', 'stages.2']),
        (dict(type='MobileNetV2'), ['layer1', 'layer2', 'layer3', 'layer5']),
    ],
)
def test_any_backbone_keeps_its_last_layer(backbone, layers):
    model = build(
        backbone=backbone,
        latent_compensation=dict(type='MixStyle'),
        data_preprocessor=dict(input_shape=(3, 64, 64), num_classes=5),
    )
    assert model.latent_compensation.layers == layers


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(prob=1.5), 'MixStyle: prob must lie in'),
        (dict(alpha=0.0), 'MixStyle: alpha must be a number above 0'),
        (dict(mix='cross'), "MixStyle: mix must be 'random' or 'crossdomain'"),
        (dict(eps=0), 'MixStyle: eps must be a number above 0'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='MixStyle', **options))


def test_messages_name_mixstyle():
    with pytest.raises(ValueError, match="MixStyle: ResNetSmallStem has no layer 'x'"):
        build(latent_compensation=dict(type='MixStyle', layers=['x']))


def test_overfits_a_batch():
    """With styles mixed in each step, the labels of a batch can be learned."""
    model = build(latent_compensation=dict(type='MixStyle'))
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8) % 5
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(30):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.5


@pytest.mark.parametrize('name', ['pacs', 'officehome'])
def test_crossdomain_configs_fill_batches_by_halves(name):
    cfg = Config.fromfile(
        f'{CONFIGS}/mixstyle/mixstyle_r18imagenet_{name}_crossdomain.py'
    )
    loader = cfg.train_dataloader
    assert loader.sampler == dict(type='DomainSampler', batch_size=loader.batch_size)
    assert cfg.model.latent_compensation.mix == 'crossdomain'
    assert cfg.param_scheduler.T_max == cfg.train_cfg.max_epochs == 150


def test_trains(tmp_path):
    train(tiny_config(tmp_path, 'mixstyle/mixstyle_r18_synthfaces_noise30'))
    header = (tmp_path / 'sample_scores.csv').read_text().splitlines()[0]
    assert 'noise_score' in header
