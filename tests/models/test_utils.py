"""Helpers that several models share."""

import pytest
import torch
from helpers import TINY_CLASSIFIER
from torch import nn

from mmfer.methods.ce import CEHead
from mmfer.models import FERClassifier, utils
from mmfer.models.utils import (
    as_map,
    has_channels_last,
    predicts_classes,
    probe,
    to_channels_last,
)
from mmfer.registry import MODELS


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


def test_probe_restores_every_mode_and_no_statistics():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout())
    net[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert not probe(net, torch.randn(2, 2, 3, 3)).requires_grad
    assert net.training and net[0].training and not net[1].training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_vectors_and_tokens():
    vector, tokens = torch.randn(4, 3), torch.randn(4, 5, 3)
    assert as_map(vector).shape == (4, 3, 1, 1)
    assert as_map(tokens).shape == (4, 3, 5, 1)
    assert torch.equal(as_map(tokens)[1, 2, :, 0], tokens[1, :, 2])
    with pytest.raises(ValueError, match=r'got \(1, 2, 3, 4, 5\)'):
        as_map(torch.zeros(1, 2, 3, 4, 5))


def test_other_layouts_go_by_the_number_of_channels():
    tokens, last = torch.randn(4, 5, 3), torch.randn(4, 2, 2, 3)
    for channels in (None, 3, 7):
        assert torch.equal(as_map(tokens, channels), as_map(tokens))
    assert torch.equal(as_map(tokens, 5), tokens[..., None])
    assert torch.equal(as_map(last, 3), last.permute(0, 3, 1, 2))
    for channels in (None, 2, 7):
        assert torch.equal(as_map(last, channels), last)


def test_branches_are_joined():
    vectors = [torch.randn(4, 3), torch.randn(4, 2)]
    assert torch.equal(as_map(vectors)[..., 0, 0], torch.cat(vectors, 1))
    with pytest.raises(
        ValueError,
        match=r'\(3, 1, 1\), \(2, 5, 1\).*'
        'choose one',
    ):
        as_map((vectors[0], torch.zeros(4, 5, 2)))


def classifier(head):
    return FERClassifier(
        backbone=dict(type='CNN7'),
        neck=dict(type='FeaturePooling'),
        head=head,
        data_preprocessor=dict(input_shape=(3, 32, 32)),
    )


def test_who_predicts_classes():
    class ValuesHead(CEHead):
        predicts_classes = False

    class Silent(FERClassifier):
        predicts_classes = True

    model = classifier(ValuesHead(3, 32))
    assert not predicts_classes(model)
    assert predicts_classes(classifier(CEHead(3, 32)))
    assert predicts_classes(torch.nn.Linear(2, 2))
    model.__class__ = Silent
    assert predicts_classes(model)


@pytest.mark.parametrize(
    'convolution, safe',
    [
        (dict(in_channels=16, kernel_size=1, stride=2), True),
        (dict(in_channels=12, kernel_size=1, stride=2), False),
        (dict(in_channels=12, kernel_size=1, stride=(1, 2)), False),
        (dict(in_channels=12, kernel_size=1), True),
        (dict(in_channels=3, kernel_size=3, stride=2), True),
    ],
)
def test_channels_last_where_it_is_safe(convolution, safe, monkeypatch):
    said = []
    monkeypatch.setattr(utils, 'print_log', lambda text, **_: said.append(text))
    # A kernel of one pixel has both orders at once; the second one tells.
    module = nn.Sequential(nn.Conv2d(out_channels=4, **convolution), nn.Conv2d(4, 4, 3))
    assert to_channels_last(module, 'Net') is safe
    order = torch.channels_last if safe else torch.contiguous_format
    assert module[1].weight.is_contiguous(memory_format=order)
    assert len(said) == (not safe)
    assert safe or 'Net: channels_last=True is ignored' in said[0]


def test_narrow_networks_keep_the_plain_order():
    """Those of tests, for one, which else would crash with two threads."""
    cfg = dict(
        TINY_CLASSIFIER, channels_last=True, head=dict(type='CEHead', num_classes=2)
    )
    assert not MODELS.build(cfg).channels_last
    cfg['backbone'] = dict(cfg['backbone'], stem_channels=16, base_channels=16)
    assert MODELS.build(cfg).channels_last
