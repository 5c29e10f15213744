"""Latent compensation against the equations, DSU's code and its promises."""

import json
import random
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmfer.models.latent_compensation import (
    LatentCompensation,
    Moments,
    batch_std,
    channel_moments,
    compensate,
    default_layers,
    has_channels_last,
    map_elements,
    redraw_statistics,
)
from mmfer.models.utils import probe
from mmfer.registry import MODELS

DATA = Path(__file__).parents[1] / 'data'


# -- Eqs. 2 to 7 written as in the paper, one number at a time ---------------
def loop_mean(values):
    return sum(values) / len(values)


def loop_std(values, eps, unbiased):
    mean = loop_mean(values)
    total = sum((v - mean) ** 2 for v in values)
    return (total / (len(values) - unbiased) + eps) ** 0.5


def loop_compensate(x, noise, stats, eps, unbiased):
    B, C, H, W = x.shape
    out = torch.zeros_like(x)
    for c in range(C):
        pixels = [[x[b, c, h, w] for h in range(H) for w in range(W)] for b in range(B)]
        mu = [loop_mean(p) for p in pixels]
        sigma = [loop_std(p, eps, unbiased) for p in pixels]
        spread_mu = loop_std(mu, eps, unbiased)
        spread_sigma = loop_std(sigma, eps, unbiased)
        for b in range(B):
            m, s = (
                (mu[b], sigma[b])
                if stats == 'instance'
                else (loop_mean(mu), loop_mean(sigma))
            )
            for h in range(H):
                for w in range(W):
                    out[b, c, h, w] = (s + noise[1][b, c] * spread_sigma) * (
                        x[b, c, h, w] - m
                    ) / s + (m + noise[0][b, c] * spread_mu)
    return out


def feature_map(shape=(3, 2, 2, 3), seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (2 * x + 1).requires_grad_()


def draws(shape=(3, 2), seed=1, shared=False):
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return (first, first) if shared else (first, second)


@pytest.mark.parametrize('unbiased', [True, False])
def test_statistics_follow_eqs_2_3_5_6(unbiased):
    x = feature_map()
    own = channel_moments(x, 1e-6, unbiased)
    for b in range(3):
        for c in range(2):
            pixels = x[b, c].flatten().tolist()
            assert own.mean[b, c].item() == pytest.approx(loop_mean(pixels))
            assert own.std[b, c].item() == pytest.approx(
                loop_std(pixels, 1e-6, unbiased)
            )
    spread = batch_std(own.mean, 1e-6, unbiased)
    assert spread.shape == (1, 2)
    for c in range(2):
        assert spread[0, c].item() == pytest.approx(
            loop_std(own.mean[:, c].tolist(), 1e-6, unbiased)
        )


def test_brackets_of_eq_7():
    own = channel_moments(feature_map(), 1e-6, True)
    noise = draws()
    new = redraw_statistics(own, noise, 1e-6, True)
    for before, after, e in zip(own, new, noise, strict=True):
        for c in range(2):
            spread = loop_std(before[:, c].tolist(), 1e-6, True)
            for b in range(3):
                assert after[b, c].item() == pytest.approx(
                    before[b, c].item() + e[b, c].item() * spread
                )


@pytest.mark.parametrize('shared', [True, False])
@pytest.mark.parametrize('eps,unbiased', [(1e-6, True), (0.0, False), (0.5, False)])
@pytest.mark.parametrize('stats', ['instance', 'batch'])
def test_compensate_equals_the_equations(stats, eps, unbiased, shared):
    x, noise = feature_map(), draws(shared=shared)
    cotangent = torch.randn_like(x)
    got = compensate(x, noise, stats, eps, unbiased)
    (grad,) = torch.autograd.grad((got * cotangent).sum(), x)
    want = loop_compensate(x, noise, stats, eps, unbiased)
    (want_grad,) = torch.autograd.grad((want * cotangent).sum(), x)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(grad, want_grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('stats', ['instance', 'batch'])
def test_gradcheck(stats):
    assert torch.autograd.gradcheck(
        lambda x: compensate(x, draws(), stats), feature_map()
    )


def test_only_the_input_is_kept_for_the_gradient():
    x, kept = feature_map((4, 8, 16, 16)), []

    def pack(saved):
        kept.append(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        compensate(x, draws((4, 8)))
    maps = [saved for saved in kept if saved.numel() > 4 * 8]
    assert [saved.data_ptr() for saved in maps] == [x.data_ptr()]


def test_gradient_may_be_taken_twice_from_one_graph():
    x = feature_map()
    loss = compensate(x, draws()).square().sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    assert torch.equal(torch.autograd.grad(loss, x)[0], first)


def test_equals_the_published_code():
    data = json.loads((DATA / 'published_rul_dsu.json').read_text())['dsu']
    data = {
        k: torch.tensor(v, dtype=torch.float64) for k, v in data.items() if k != 'note'
    }
    module = MODELS.build(dict(type='LatentCompensation', prob=1.0))
    x = data['x'].requires_grad_()
    with mock.patch.object(
        module, 'draw_noise', return_value=tuple(data['noise_in_draw_order'])
    ):
        y = module(x)
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    torch.testing.assert_close(y, data['y'], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        grad, data['grad_of_sum_of_squares'], rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize('stats', ['instance', 'batch'])
def test_dead_channels_stay_finite(stats):
    x = torch.randn(4, 3, 5, 5)
    x[:, 1] = 0  # dead in the whole batch
    x[2, 2] = 7.0  # constant in one image
    x.requires_grad_()
    module = LatentCompensation(prob=1.0, stats=stats)
    y = module(x)
    y.square().sum().backward()
    assert y.isfinite().all() and x.grad.isfinite().all()
    # nothing spreads there but eps: the channel stays dead
    assert y[:, 1].abs().max() < 0.1


def test_a_large_mean_does_not_drown_the_variance():
    x = (feature_map((4, 2, 8, 8)) * 0.01 + 100).detach()
    noise = draws((4, 2))
    want = compensate(x, noise)
    got = compensate(x.float(), tuple(e.float() for e in noise))
    deviation = (got - want).abs().max() / x.std()
    assert deviation < 1e-2


# -- the gate and the noise --------------------------------------------------
def test_draws():
    torch.manual_seed(0)
    x = torch.zeros(64, 32, 2, 2)
    first, second = LatentCompensation().draw_noise(x)
    assert first.shape == second.shape == (64, 32)
    assert abs(first.std().item() - 1) < 0.1 and abs(first.mean()) < 0.1
    correlation = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]
    assert abs(correlation) < 0.1
    first, second = LatentCompensation(shared_noise=True).draw_noise(x)
    assert torch.equal(first, second)


def test_shared_noise_is_the_single_epsilon_of_eq_7():
    module = LatentCompensation(
        prob=1.0, stats='batch', shared_noise=True, eps=0.0, unbiased=False
    )
    x = feature_map().detach()
    torch.manual_seed(3)
    got = module(x)
    torch.manual_seed(3)
    epsilon = torch.randn(3, 2, dtype=torch.float64)
    want = loop_compensate(x, (epsilon, epsilon), 'batch', 0.0, False)
    torch.testing.assert_close(got, want)


def test_gate_frequency():
    random.seed(0)
    x = torch.randn(2, 1, 2, 2)
    for prob in (0.25, 0.5):
        module = LatentCompensation(prob=prob)
        opened = sum(module(x) is not x for _ in range(800))
        assert abs(opened / 800 - prob) < 0.06


class Recomputing(nn.Module):
    """Two layers, the first of which can be run again for its gradient."""

    def __init__(self, recompute):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 3)
        self.recompute = recompute

    def forward(self, x):
        run = (
            partial(checkpoint, self.first, use_reentrant=False)
            if self.recompute
            else self.first
        )
        return self.second(run(x).relu())


def test_a_layer_that_is_run_again_finds_its_gate():
    """As with with_cp=True of mmpretrain's backbones."""
    gradients, opened = {}, 0
    for recompute in (False, True):
        torch.manual_seed(0)
        net, x = Recomputing(recompute), torch.randn(4, 2, 8, 8)
        compensation = LatentCompensation(layers=['first'], prob=0.5)
        compensation.attach(net, x)
        random.seed(0)
        gradients[recompute] = []
        for _ in range(8):
            net.zero_grad()
            torch.manual_seed(1)
            net(x).square().sum().backward()
            gradients[recompute].append(net.first.weight.grad.clone())
            opened += compensation._gates['first', None]
    assert 0 < opened < 16
    for plain, again in zip(*gradients.values(), strict=True):
        torch.testing.assert_close(plain, again)


def test_gate_of_zero_never_and_of_one_always_opens():
    x = torch.randn(2, 1, 2, 2)
    never, always = LatentCompensation(prob=0.0), LatentCompensation(prob=1.0)
    assert all(never(x) is x for _ in range(50))
    assert not any(torch.equal(always(x), x) for _ in range(50))


@pytest.mark.parametrize('shape', [(1, 3, 4, 4), (4, 3, 1, 1), (1, 5, 3), (4, 1, 3)])
def test_nothing_to_compensate_passes_through(shape):
    x = torch.randn(shape)
    assert LatentCompensation(prob=1.0)(x) is x


def test_tokens_are_maps_in_another_order():
    x = torch.randn(3, 6, 2, dtype=torch.float64)  # (B, L, C)
    module = LatentCompensation(prob=1.0)
    with mock.patch.object(module, 'draw_noise', return_value=draws()):
        got = module(x)
    as_map = x.permute(0, 2, 1).reshape(3, 2, 2, 3)
    want = loop_compensate(as_map, draws(), 'instance', 1e-6, True)
    torch.testing.assert_close(got, want.reshape(3, 2, 6).permute(0, 2, 1))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_keeps_dtype_and_close_to_float32(dtype):
    torch.manual_seed(0)
    x = torch.randn(8, 4, 16, 16).to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    module = LatentCompensation(prob=1.0)
    assert all(e.dtype == torch.float32 for e in module.draw_noise(x))
    noise = tuple(e.float() for e in draws((8, 4)))
    got, want = compensate(x, noise), compensate(exact, noise)
    cotangent = torch.randn_like(got)
    got.backward(cotangent)
    want.backward(cotangent.double())
    assert got.dtype == x.grad.dtype == dtype
    for a, b in ((got, want), (x.grad, exact.grad)):
        # one rounding, at the end
        assert (a.double() - b).abs().max() <= torch.finfo(dtype).eps * b.abs().max()


def test_large_half_precision_values_do_not_overflow():
    x = (1000 * torch.randn(4, 2, 8, 8)).half()  # variance beyond 65504
    noise = tuple(e.float() for e in draws((4, 2)))
    assert compensate(x, noise).isfinite().all()


@pytest.mark.parametrize('shape', [(4, 6, 5, 5), (4, 6, 5, 1)])
def test_memory_format_is_kept(shape):
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(shape).contiguous(memory_format=memory_format)
        x.requires_grad_()
        y = LatentCompensation(prob=1.0)(x)
        assert y.is_contiguous(memory_format=memory_format)
        y.square().sum().backward()
        assert x.grad.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(prob=1.5), 'prob must lie in'),
        (dict(prob=-0.1), 'prob must lie in'),
        (dict(stats='layer'), "stats must be .* got 'layer'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='LatentCompensation', **options))


# -- attached to a backbone --------------------------------------------------
def resnet():
    torch.manual_seed(0)
    return MODELS.build(dict(type='ResNet', depth=18, out_indices=(0, 1, 2, 3)))


SIX = ['conv1', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4']


def test_attaching_changes_no_key_and_nothing_in_eval_mode():
    backbone, images = resnet(), torch.randn(3, 3, 64, 64)
    backbone.eval()
    keys = list(backbone.state_dict())
    before = backbone(images)
    module = LatentCompensation(prob=1.0)
    module.attach(backbone, images)
    assert list(backbone.state_dict()) == keys
    assert not list(module.state_dict())
    module.eval()
    for old, new in zip(before, backbone(images), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize('prob', [0.0, 1.0])
def test_every_named_layer_is_compensated_in_train_mode(prob):
    backbone = resnet()
    raw, given = {}, {}
    modules = dict(backbone.named_modules())
    for name in SIX:  # before the compensation, so it sees what it gets
        modules[name].register_forward_hook(
            lambda m, a, out, name=name: raw.__setitem__(name, out.clone())
        )
    module = LatentCompensation(layers=SIX, prob=prob)
    module.attach(backbone, torch.zeros(2, 3, 64, 64))
    for name in SIX:
        modules[name].register_forward_hook(
            lambda m, a, out, name=name: given.__setitem__(name, out.clone())
        )
    backbone(torch.randn(4, 3, 64, 64))
    assert list(given) == SIX
    for name in SIX:
        assert torch.equal(raw[name], given[name]) == (prob == 0), name


def test_closed_gate_trains_as_if_absent():
    images = torch.randn(4, 3, 64, 64)
    plain, hooked = resnet(), resnet()
    LatentCompensation(prob=0.0).attach(hooked, images)
    for a, b in zip(plain(images), hooked(images), strict=True):
        assert torch.equal(a, b)


def test_frozen_layers_are_left_alone():
    """A stage that norm_eval or frozen_stages put in eval mode."""
    backbone = resnet()
    backbone.layer1.eval()
    seen = []
    with mock.patch.object(
        LatentCompensation,
        'forward',
        side_effect=lambda x, gate: seen.append(tuple(x.shape)) or x,
    ):
        module = LatentCompensation(layers=['layer1', 'layer2'], prob=1.0)
        module.attach(backbone, torch.zeros(2, 3, 64, 64))
        backbone(torch.randn(2, 3, 64, 64))
    assert seen == [(2, 128, 8, 8)]


def test_unknown_layer_lists_the_known_ones():
    module = LatentCompensation(layers=['layer1', 'layer9'])
    with pytest.raises(ValueError) as error:
        module.attach(resnet(), torch.zeros(2, 3, 64, 64))
    text = str(error.value)
    assert "no layer 'layer9'" in text and 'ResNet' in text
    assert 'layer4.1.conv2' in text and "'layer1'" not in text


def test_elements_that_are_no_maps_stay():
    rest = (7, 7)

    def add(x, number):
        return x + number

    out = map_elements(add, (torch.zeros(2), rest), {0: 1})
    assert isinstance(out, tuple) and out[1] is rest
    assert torch.equal(out[0], torch.ones(2))
    assert isinstance(map_elements(add, [torch.zeros(1)], {}), list)
    assert torch.equal(
        map_elements(add, torch.zeros(1), {None: 2}), torch.full((1,), 2.0)
    )
    moments = map_elements(add, Moments(torch.zeros(1), rest), {0: 1})
    assert isinstance(moments, Moments) and moments.std is rest


class Network(nn.Module):
    """Runs layers one after another; ``shared`` stands in two places."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.order = list(layers)

    def forward(self, x):
        for name in self.order:
            layer = getattr(self, name)
            if not isinstance(layer, nn.ModuleList):
                x = layer(x)
        return x


def conv(stride=1):
    return nn.Conv2d(3, 3, 3, stride, 1)


def test_shared_modules_are_no_layers():
    """A hook on them would act in every place where they stand."""
    act = nn.ReLU()
    backbone = Network(
        stem=nn.Sequential(conv(2), act), middle=conv(2), last=conv(2), act=act
    )
    images = torch.zeros(2, 3, 32, 32)
    assert default_layers(backbone, images) == ['stem', 'middle', 'last']
    for name, other in (('act', 'stem.1'), ('stem.1', 'act')):
        module = LatentCompensation(layers=['middle', name])
        with pytest.raises(ValueError) as error:
            module.attach(backbone, images)
        assert f"layer '{name}' of Network runs 2 times" in str(error.value)
        assert f"the same module as '{other}'" in str(error.value)
        assert not backbone.middle._forward_hooks


def test_layers_that_never_run_are_named():
    backbone = Network(
        stages=nn.ModuleList([conv()]), unused=nn.ModuleList(), last=conv()
    )
    for name, member in (('stages', 'stages.0'), ('unused', 'unused.0')):
        with pytest.raises(
            ValueError,
            match=(
                f"'{name}' of Network runs 0 times.*name its members, as '{member}'"
            ),
        ):
            LatentCompensation(layers=[name]).attach(backbone, torch.zeros(2, 3, 8, 8))


def test_without_a_map_there_is_nothing_to_compensate():
    backbone = Network(pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten())
    with pytest.raises(ValueError, match='finds no layer of Network'):
        LatentCompensation().attach(backbone, torch.zeros(2, 3, 8, 8))


class Branches(nn.Module):
    """Maps of two scales, patches of all images, and a size."""

    def forward(self, x):
        return [x, x[..., ::2, ::2], x.flatten(0, 1)[:, None], (8, 8)]


@pytest.mark.parametrize('prob', [0.0, 1.0])
def test_all_maps_of_a_layer_are_compensated(prob):
    """As HRNet's stages have them, of which the last is used."""
    backbone = Network(branches=Branches())
    images = torch.randn(4, 3, 8, 8)
    plain = backbone(images)
    LatentCompensation(layers=['branches'], prob=prob).attach(
        backbone, torch.zeros(2, 3, 8, 8)
    )
    got = backbone(images)
    for index, changes in enumerate([prob == 1.0, prob == 1.0, False]):
        assert torch.equal(got[index], plain[index]) != changes, index
        assert got[index].shape == plain[index].shape
    assert got[3] == plain[3]


class Transposed(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1)


def test_channels_that_come_last_are_found():
    """As in the blocks of a Segment Anything encoder."""
    x = torch.randn(4, 3, 6, 6)
    usual, last = Network(a=nn.Identity()), Network(a=Transposed())
    for backbone in (usual, last):
        LatentCompensation(layers=['a'], prob=1.0).attach(
            backbone, torch.zeros(2, 3, 6, 6)
        )
    torch.manual_seed(0)
    want = usual(x)
    torch.manual_seed(0)
    torch.testing.assert_close(last(x).permute(0, 3, 1, 2), want)


@pytest.mark.parametrize(
    'image, shape, want',
    [
        ((44, 44), (2, 8, 6, 6), False),
        ((44, 44), (2, 6, 6, 8), True),
        ((44, 44), (2, 6, 6, 6), False),
        ((44, 44), (2, 64, 1, 1), False),
        ((44, 44), (2, 1, 1, 64), True),
        ((48, 80), (2, 64, 2, 3), False),
        ((48, 80), (2, 2, 3, 64), True),
        ((44, 44), (2, 6, 8), False),
        ((44, 44), (2, 8), False),
    ],
)
def test_has_channels_last(image, shape, want):
    assert has_channels_last(torch.zeros(shape), torch.zeros(2, 3, *image)) is want


def test_reversible_networks_need_ordinary_gradients():
    cfg = dict(
        type='RevVisionTransformer',
        img_size=32,
        arch=dict(embed_dims=8, num_layers=4, num_heads=2, feedforward_channels=8),
    )
    images = torch.zeros(2, 3, 32, 32)
    with pytest.raises(ValueError, match='backbone.no_custom_backward=True'):
        LatentCompensation().attach(MODELS.build(cfg), images)
    backbone = MODELS.build(dict(cfg, no_custom_backward=True))
    assert len(LatentCompensation().attach(backbone, images)) == 4


def test_probe_restores_every_mode_and_no_statistics():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout())
    net[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert not probe(net, torch.randn(2, 2, 3, 3)).requires_grad
    assert net.training and net[0].training and not net[1].training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


DEFAULTS = {
    'resnet': (dict(type='ResNet', depth=18), SIX),
    'resnet_small': (
        dict(type='ResNetSmallStem', depth=18),
        ['conv1', 'layer1', 'layer2', 'layer3', 'layer4'],
    ),
    'resnet_deep_stem': (
        dict(type='ResNetV1c', depth=50),
        ['stem', 'layer1', 'layer2', 'layer3', 'layer4'],
    ),
    'mobilenet_v2': (
        dict(type='MobileNetV2'),
        ['layer1', 'layer2', 'layer3', 'layer5', 'conv2'],
    ),
    'mobilenet_v3': (
        dict(type='MobileNetV3'),
        ['layer0', 'layer1', 'layer3', 'layer8', 'layer12'],
    ),
    'vgg': (
        dict(type='VGG', depth=16),
        [
            'features.1',
            'features.4',
            'features.8',
            'features.12',
            'features.16',
            'features.17',
        ],
    ),
    'efficientnet': (
        dict(type='EfficientNet', arch='b0'),
        ['layers.1', 'layers.2', 'layers.3', 'layers.4', 'layers.6'],
    ),
    'convnext': (
        dict(type='ConvNeXt', arch='tiny'),
        ['stages.0', 'stages.1', 'stages.2', 'stages.3'],
    ),
    'swin': (
        dict(type='SwinTransformer', arch='tiny', img_size=64, pad_small_map=True),
        ['stages.0', 'stages.1', 'stages.2', 'norm3'],
    ),
    'deit': (
        dict(type='VisionTransformer', arch='deit-tiny', img_size=64),
        ['layers.2', 'layers.5', 'layers.8', 'layers.11'],
    ),
    'densenet': (
        dict(
            type='DenseNet',
            arch=dict(growth_rate=4, depths=[1, 1, 1, 1], init_channels=8),
        ),
        ['stem.1', 'stages.0', 'stages.1', 'stages.2', 'transitions.3'],
    ),
    'hrnet': (
        dict(
            type='HRNet',
            extra={
                f'stage{n}': dict(
                    num_modules=1,
                    num_branches=n,
                    block='BASIC' if n > 1 else 'BOTTLENECK',
                    num_blocks=(1,) * n,
                    num_channels=(4, 4, 4, 4)[:n],
                )
                for n in (1, 2, 3, 4)
            },
        ),
        ['bn1', 'transition1.0', 'stage2', 'stage3', 'stage4'],
    ),
    'van': (dict(type='VAN', arch='tiny'), ['norm1', 'norm2', 'norm3', 'norm4']),
    'twins': (
        dict(
            type='PCPVT',
            arch=dict(
                embed_dims=[8, 8, 8, 8],
                depths=[2, 2, 2, 2],
                num_heads=[1, 1, 1, 1],
                patch_sizes=[4, 2, 2, 2],
                strides=[4, 2, 2, 2],
                mlp_ratios=[1, 1, 1, 1],
                sr_ratios=[8, 4, 2, 1],
            ),
        ),
        ['stages.0.1', 'stages.1.1', 'stages.2.1', 'stages.3.1'],
    ),
}


@pytest.mark.parametrize('name', DEFAULTS)
def test_default_layers(name):
    cfg, want = DEFAULTS[name]
    assert default_layers(MODELS.build(cfg), torch.zeros(2, 3, 64, 64)) == want


def test_default_layers_of_a_wrapped_resnet():
    pytest.importorskip('timm')
    backbone = MODELS.build(dict(type='TIMMBackbone', model_name='resnet10t'))
    assert default_layers(backbone, torch.zeros(2, 3, 64, 64)) == [
        f'timm_model.{name}' for name in SIX
    ]
