"""Latent compensation attached to a backbone: gates, noise, keys and modes."""

import random
from functools import partial
from unittest import mock

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmfer.models.latent_compensation import LatentCompensation
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step


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


@pytest.mark.parametrize('in_step', [False, True])
def test_a_layer_that_is_run_again_finds_its_gate(in_step):
    """With with_cp=True, backbones of mmpretrain run layers again."""
    gradients, opened = {}, 0
    for recompute in (False, True):
        torch.manual_seed(0)
        net, x = Recomputing(recompute), torch.randn(4, 2, 8, 8)
        compensation = LatentCompensation(layers=['first'], prob=0.5)
        compensation.attach(net, x)
        random.seed(0)
        gradients[recompute] = []
        for step in range(8):
            net.zero_grad()
            torch.manual_seed(1)
            if in_step:
                set_step(0, step)
            net(x).square().sum().backward()
            gradients[recompute].append(net.first.weight.grad.clone())
            opened += compensation._draws['first', None].opens
    clear_step()
    assert 0 < opened < 16
    for plain, again in zip(*gradients.values(), strict=True):
        torch.testing.assert_close(plain, again)


def test_draws_of_a_step_come_from_seed_and_step_alone():
    module, x = LatentCompensation(), torch.zeros(4, 3, 2, 2)
    seen = []
    for state, step in enumerate((5, 5, 6)):
        random.seed(state)
        torch.manual_seed(state)
        set_step(0, step)
        draws = module.draw(20)
        noise = torch.stack([torch.stack(module.draw_noise(x, d.key)) for d in draws])
        seen.append((draws, noise))
    clear_step()
    assert seen[0][0] == seen[1][0] != seen[2][0]
    assert torch.equal(seen[0][1], seen[1][1])
    # Two passes in one step, as of two networks, have draws of their own.
    set_step(0, 5)
    assert module.draw(20) != module.draw(20)
    clear_step()
    # Layers have noise of their own.
    assert len({d.key for d in seen[0][0]}) == 20


def test_gate_frequency_in_training_steps():
    module, opened = LatentCompensation(prob=0.25), 0
    for step in range(300):
        set_step(0, step)
        opened += sum(draw.opens for draw in module.draw(4))
    clear_step()
    assert abs(opened / 1200 - 0.25) < 0.05


def test_gate_of_zero_never_and_of_one_always_opens():
    x = torch.randn(2, 1, 2, 2)
    never, always = LatentCompensation(prob=0.0), LatentCompensation(prob=1.0)
    assert all(never(x) is x for _ in range(50))
    assert not any(torch.equal(always(x), x) for _ in range(50))


@pytest.mark.parametrize('shape', [(1, 3, 4, 4), (4, 3, 1, 1), (1, 5, 3), (4, 1, 3)])
def test_nothing_to_compensate_passes_through(shape):
    x = torch.randn(shape)
    assert LatentCompensation(prob=1.0)(x) is x


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
    """norm_eval or frozen_stages may put a stage into eval mode."""
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
