"""Latent compensation against the equations of ALUM and the code of DSU."""

import json
from pathlib import Path
from unittest import mock

import pytest
import torch

from mmfer.models.latent_compensation import LatentCompensation
from mmfer.models.latent_statistics import (
    batch_std,
    channel_moments,
    compensate,
    redraw_statistics,
)
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
    # Only eps gives the channel a spread, so that it stays dead.
    assert y[:, 1].abs().max() < 0.1


def test_a_large_mean_does_not_drown_the_variance():
    x = (feature_map((4, 2, 8, 8)) * 0.01 + 100).detach()
    noise = draws((4, 2))
    want = compensate(x, noise)
    got = compensate(x.float(), tuple(e.float() for e in noise))
    deviation = (got - want).abs().max() / x.std()
    assert deviation < 1e-2


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
        # Only the end result is rounded.
        assert (a.double() - b).abs().max() <= torch.finfo(dtype).eps * b.abs().max()


def test_large_half_precision_values_do_not_overflow():
    x = (1000 * torch.randn(4, 2, 8, 8)).half()  # variance beyond 65504
    noise = tuple(e.float() for e in draws((4, 2)))
    assert compensate(x, noise).isfinite().all()
