"""The two branches of RUL's code, and the features that they accept."""

import math
from unittest import mock

import pytest
import torch
from torch import nn

from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.models.utils import last_feature
from mmfer.registry import MODELS


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            dict(
                type='UncertaintyNeck', in_channels=3, map_size=(2, 2), out_channels=5
            ),
            **options,
        )
    )


def test_layers_are_those_of_the_published_code():
    neck = build(in_channels=512, map_size=(7, 7), out_channels=64)
    for branch in (neck.mean, neck.log_var):
        kinds = [type(layer) for layer in branch]
        assert kinds == [
            nn.BatchNorm2d,
            nn.Dropout,
            nn.Flatten,
            nn.Linear,
            nn.BatchNorm1d,
        ]
        assert not branch[0].affine and branch[0].eps == 2e-5
        assert branch[1].p == 0.4
        assert branch[3].in_features == 25088
        assert branch[3].out_features == 64
        assert branch[4].affine and branch[4].eps == 2e-5
    shared = {id(p) for p in neck.mean.parameters()} & {
        id(p) for p in neck.log_var.parameters()
    }
    assert not shared


def test_forward_is_normalise_flatten_project_normalise():
    neck = build(dropout=0.0).double()
    x = torch.randn(6, 3, 2, 2, dtype=torch.float64)
    neck.float()
    got = neck(x)
    assert isinstance(got, GaussianFeature)
    for branch, value in ((neck.mean, got.mean), (neck.log_var, got.log_var)):
        flat = torch.zeros(6, 12, dtype=torch.float64)
        for c in range(3):
            v = x[:, c]
            v = (v - v.mean()) / (v.var(unbiased=False) + 2e-5).sqrt()
            flat[:, 4 * c : 4 * c + 4] = v.reshape(6, 4)
        weight, bias = (p.double() for p in branch[3].parameters())
        y = flat @ weight.T + bias
        y = (y - y.mean(0)) / (y.var(0, unbiased=False) + 2e-5).sqrt()
        torch.testing.assert_close(value.double(), y, rtol=1e-4, atol=1e-4)


def branch_by_branch(neck, x, masks):
    """Run each branch as its layers stand, with given masks for dropout."""
    outputs = []
    for branch, mask in zip((neck.mean, neck.log_var), masks, strict=True):
        y = branch[0](x) * mask.view_as(x) / (1 - branch[1].p)
        outputs.append(branch[4](branch[3](branch[2](y))))
    return outputs


def test_shared_statistics_change_nothing():
    """Outputs, gradients and running statistics are those of separate branches."""
    necks = [build(map_size=(3, 3)).double() for _ in range(2)]
    x = torch.randn(6, 3, 3, 3, dtype=torch.float64)
    masks = [(torch.rand(6, 27) > 0.4).double() for _ in range(2)]
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    order = iter(masks)

    def masked(values, p, training):
        return values * next(order) / (1 - p)

    with (
        mock.patch('mmfer.models.uncertainty_neck.dropout', masked),
        mock.patch.object(torch.Tensor, 'float', lambda tensor: tensor),
    ):
        shared = necks[0](inputs[0])
    separate = branch_by_branch(necks[1], inputs[1], masks)
    for outputs in (shared, separate):
        (outputs[0].sin().sum() + outputs[1].exp().mul(0.1).sum()).backward()
    for got, wanted in zip(shared, separate, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-10, atol=1e-12)
    for got, wanted in zip(necks[0].parameters(), necks[1].parameters(), strict=True):
        torch.testing.assert_close(got.grad, wanted.grad, rtol=1e-10, atol=1e-12)
    for (name, got), wanted in zip(
        necks[0].named_buffers(), necks[1].buffers(), strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12, msg=name)


def test_each_branch_keeps_its_own_statistics_in_eval_mode():
    neck, x = build(dropout=0.0), torch.randn(6, 3, 2, 2)
    neck.log_var[0].running_mean += 1
    neck.eval()
    for branch, value in zip((neck.mean, neck.log_var), neck(x), strict=True):
        assert torch.equal(value, nn.Sequential.forward(branch, x))
    # Frozen statistics of one branch are not touched by the other.
    neck.train()
    neck.log_var[0].eval()
    before = neck.log_var[0].running_mean.clone()
    neck(x)
    assert torch.equal(neck.log_var[0].running_mean, before)


def test_dropout_acts_in_training_only():
    neck, x = build(), torch.randn(8, 3, 2, 2)
    assert not torch.equal(neck(x).mean, neck(x).mean)
    neck.eval()
    assert torch.equal(neck(x).mean, neck(x).mean)


def test_variance_and_uncertainty():
    log_var = torch.tensor([[0.0, 1.0], [-2.0, -3.0]])
    feature = GaussianFeature(torch.zeros(2, 2), log_var)
    torch.testing.assert_close(feature.variance, log_var.exp())
    assert feature.uncertainty().tolist() == pytest.approx(
        [(1 + 2.718281828) / 2, (0.135335283 + 0.049787068) / 2]
    )
    assert GaussianFeature(*torch.full((2, 3, 4), -50.0)).uncertainty().min() > 0


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_float32_within_autocast(dtype):
    neck = build().eval()
    x = torch.randn(4, 3, 2, 2).to(dtype)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = neck(x)
    assert got.mean.dtype == got.log_var.dtype == torch.float32
    want = neck(x.float())
    assert torch.equal(got.mean, want.mean)
    assert torch.equal(got.log_var, want.log_var)


def test_last_scale_is_used():
    neck = build().eval()
    x = torch.randn(4, 3, 2, 2)
    for feats in ((torch.randn(4, 3, 8, 8), x), [x]):
        assert torch.equal(neck(feats).mean, neck(x).mean)
    assert last_feature(x) is x


def test_any_layout_of_a_backbone():
    vector, tokens = torch.randn(4, 3), torch.randn(4, 5, 3)
    assert build(map_size=(1, 1))(vector).mean.shape == (4, 5)
    assert build(map_size=(5, 1))(tokens).log_var.shape == (4, 5)
    branches = [vector, torch.randn(4, 2)]
    assert build(in_channels=5, map_size=(1, 1))([branches]).mean.shape == (4, 5)


def test_other_image_size_is_explained():
    with pytest.raises(
        ValueError,
        match=r'built for \(2, 2\).*got \(3, 3\)'
        '.*another size',
    ):
        build()(torch.randn(4, 3, 3, 3))


@pytest.mark.parametrize('missing', ['in_channels', 'map_size'])
def test_missing_sizes_are_explained(missing):
    with pytest.raises(ValueError, match='needs in_channels and map_size'):
        build(**{missing: None})


def test_geometric_uncertainty_ignores_the_scale_of_dimensions():
    """Scales that Eq. 11 does not train must not change the order of images."""
    torch.manual_seed(0)
    feature = GaussianFeature(*torch.randn(2, 9, 5))
    scaled = feature._replace(log_var=feature.log_var + 3 * torch.randn(5))
    first, second = (f.uncertainty('geometric') for f in (feature, scaled))
    assert torch.allclose(first / first[0], second / second[0])
    by_hand = [
        math.prod(math.exp(v) for v in row) ** (1 / 5)
        for row in feature.log_var.tolist()
    ]
    assert first.tolist() == pytest.approx(by_hand)


def test_harmonic_uncertainty():
    """Dimensions of small variance decide; it never exceeds the other means."""
    torch.manual_seed(0)
    feature = GaussianFeature(*torch.randn(2, 9, 5))
    harmonic, geometric, arithmetic = (
        feature.uncertainty(mean) for mean in ('harmonic', 'geometric', 'arithmetic')
    )
    by_hand = [
        5 / sum(1 / math.exp(v) for v in row) for row in feature.log_var.tolist()
    ]
    assert harmonic.tolist() == pytest.approx(by_hand)
    assert (harmonic < geometric).all() and (geometric < arithmetic).all()
