"""Mixing weights against references that compute one number at a time."""

import math

import pytest
import torch

from mmfer.models.feature_mixing import (
    dimension_weights,
    mix,
    random_partners,
    scalar_weights,
)

K, B, D = 3, 4, 5


def gaussians():
    generator = torch.Generator().manual_seed(0)
    means, log_var = torch.randn(2, K, B, D, generator=generator, dtype=torch.float64)
    return means, log_var


def test_rul_weights():
    _, log_var = gaussians()
    weights = scalar_weights(log_var)
    assert weights.shape == (K, B, 1)
    for b in range(B):
        u = [sum(math.exp(log_var[k, b, d]) for d in range(D)) / D for k in range(K)]
        for k in range(K):
            assert weights[k, b, 0].item() == pytest.approx(u[k] / sum(u))


def test_alum_weights_and_mixture_eq_11():
    means, log_var = gaussians()
    weights = dimension_weights(log_var)
    mixed = mix(means, weights)
    assert weights.shape == (K, B, D) and mixed.shape == (B, D)
    for b in range(B):
        for d in range(D):
            sigma = [math.exp(log_var[k, b, d]) for k in range(K)]
            for k in range(K):
                assert weights[k, b, d].item() == pytest.approx(sigma[k] / sum(sigma))
            assert mixed[b, d].item() == pytest.approx(
                sum(s / sum(sigma) * means[k, b, d].item() for k, s in enumerate(sigma))
            )


@pytest.mark.parametrize('weigh', [scalar_weights, dimension_weights])
def test_gradients(weigh):
    means, log_var = (x.requires_grad_() for x in gaussians())
    assert torch.autograd.gradcheck(lambda m, v: mix(m, weigh(v)), (means, log_var))


def test_the_less_certain_image_gets_the_larger_share():
    log_var = torch.tensor([[[0.0, 2.0]], [[1.0, 0.0]]])
    assert scalar_weights(log_var)[0] > 0.5
    weights = dimension_weights(log_var)
    assert weights[0, 0, 0] < 0.5 < weights[0, 0, 1]


def test_alum_weights_of_extreme_variances():
    log_var = torch.tensor([500.0, 499.0, -500.0]).reshape(3, 1, 1)
    weights = dimension_weights(log_var).flatten()
    assert weights.tolist() == pytest.approx(
        [1 / (1 + math.exp(-1)), math.exp(-1) / (1 + math.exp(-1)), 0]
    )


def test_random_partners_are_independent_permutations():
    torch.manual_seed(0)
    count = 0
    for _ in range(200):
        partners = random_partners(10, 2, torch.device('cpu'))
        for index in partners:
            assert sorted(index.tolist()) == list(range(10))
        count += (partners[0] == partners[1]).sum().item()
    # Independent permutations agree in one place on average, equal ones in ten.
    assert 0.7 < count / 200 < 1.3
