"""Which layers of a backbone are compensated."""

import pytest
import torch
from torch import nn

from mmfer.models.backbone_layers import default_layers, map_elements
from mmfer.models.latent_compensation import LatentCompensation
from mmfer.models.latent_statistics import Moments
from mmfer.registry import MODELS


def resnet():
    torch.manual_seed(0)
    return MODELS.build(dict(type='ResNet', depth=18, out_indices=(0, 1, 2, 3)))


SIX = ['conv1', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4']


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
    """A network that runs its layers one after another."""

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
    """A hook on a shared module would act in every place where it is used."""
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
            match=(f"'{name}' of Network runs 0 times.*members, such as '{member}'"),
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
    """The stages of HRNet return several maps, of which the last is used."""
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
    """The blocks of a Segment Anything encoder return (B, H, W, C)."""
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
