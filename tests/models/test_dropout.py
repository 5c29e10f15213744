"""Dropout with a cheap mask has the law of torch's."""

import pytest
import torch

from mmfer.models.dropout import dropout


@pytest.mark.parametrize('p', [0.1, 0.4, 0.5, 0.9])
def test_share_scale_and_independence(p):
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1001, 999), p, True)
    kept = dropped > 0
    # Four standard deviations.
    tolerance = 4 * (p * (1 - p) / kept.numel()) ** 0.5
    assert abs(kept.float().mean().item() - (1 - p)) < tolerance
    assert dropped[kept].tolist()[:3] == pytest.approx([1 / (1 - p)] * 3, rel=1e-4)
    flat = kept.flatten().double() - (1 - p)
    # Elements that share a random integer are independent, too.
    for shift in range(1, 6):
        product = (flat[shift:] * flat[:-shift]).mean() / (p * (1 - p))
        assert abs(product) < 5 / kept.numel() ** 0.5


def test_gradient_passes_where_values_pass():
    x = torch.randn(7, 5, requires_grad=True)
    y = dropout(x, 0.4, True)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x, y)
    assert 0 < (x.grad == 0).sum() < 35


def test_extremes_and_evaluation():
    x = torch.randn(4, 3)
    assert torch.equal(dropout(x, 0.0, True), x)
    assert not dropout(x, 1.0, True).any()
    assert torch.equal(dropout(x, 0.5, False), x)


def test_masks_follow_the_global_random_state():
    x = torch.ones(10, 10)
    masks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        masks.append(dropout(x, 0.5, True))
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])
