"""The classifier that fits itself to any backbone."""

import random

import numpy as np
import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpretrain.structures import DataSample

from mmfer.models.pretrained import check_pretrained
from mmfer.registry import MODELS

ALUM = dict(
    neck=dict(type='UncertaintyNeck'),
    head=dict(type='ALUMHead'),
    latent_compensation=dict(prob=1.0),
)
CE = dict(neck=dict(type='FeaturePooling'), head=dict(type='CEHead'))
RUL = dict(neck=dict(type='UncertaintyNeck'), head=dict(type='RULHead'))


def build(backbone=None, shape=(3, 32, 32), method=ALUM, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='FERClassifier',
            backbone=backbone or dict(type='ResNetSmallStem', depth=18),
            data_preprocessor=dict(
                type='FERDataPreprocessor', input_shape=shape, num_classes=7
            ),
            **{**method, **options},
        )
    )


def samples(*labels):
    return [DataSample().set_gt_label(label) for label in labels]


BACKBONES = {
    'resnet18': (dict(type='ResNet', depth=18), 64),
    'resnet50': (dict(type='ResNet', depth=50), 64),
    'resnet18_small_stem': (dict(type='ResNetSmallStem', depth=18), 44),
    'mobilenet_v2': (dict(type='MobileNetV2'), 64),
    'mobilenet_v3': (dict(type='MobileNetV3'), 64),
    'vgg16': (dict(type='VGG', depth=16), 64),
    'efficientnet_b0': (dict(type='EfficientNet', arch='b0'), 64),
    'convnext_tiny': (dict(type='ConvNeXt', arch='tiny'), 64),
    'swin_tiny_64': (dict(type='SwinTransformer', arch='tiny', pad_small_map=True), 64),
    'deit_tiny_64': (dict(type='VisionTransformer', arch='deit-tiny', img_size=64), 64),
    'deit_tiny': (dict(type='VisionTransformer', arch='deit-tiny'), 224),
    'timm_resnet10': (dict(type='TIMMBackbone', model_name='resnet10t'), 64),
    'timm_vit': (
        dict(type='TIMMBackbone', model_name='vit_tiny_patch16_224', img_size=64),
        64,
    ),
}
# All other backbones of mmpretrain, with the options that they need. Left out are
# CSPNet, a base class, and SparseResNet and SparseConvNeXt, which need masks.
SLOW = {
    'swin_tiny': (dict(type='SwinTransformer', arch='tiny'), 224),
    'alexnet': (dict(type='AlexNet'), 64),
    'beit': (dict(type='BEiTViT', arch='deit-tiny', img_size=64), 64),
    'cspdarknet': (dict(type='CSPDarkNet', depth=53), 64),
    'cspresnext': (dict(type='CSPResNeXt', depth=50), 64),
    'cspresnet': (dict(type='CSPResNet', depth=50), 64),
    'conformer': (dict(type='Conformer'), 64),
    'convmixer': (dict(type='ConvMixer', arch='768/32'), 64),
    'davit': (dict(type='DaViT', arch='t', pad_small_map=True), 64),
    'deit3': (dict(type='DeiT3', arch='small', img_size=64), 64),
    'densenet_121': (dict(type='DenseNet', arch='121'), 224),
    'distilled_deit': (dict(type='DistilledVisionTransformer', arch='deit-tiny'), 224),
    'edgenext': (dict(type='EdgeNeXt'), 64),
    'efficientformer': (dict(type='EfficientFormer'), 224),
    'efficientnet_v2': (dict(type='EfficientNetV2', arch='b0'), 64),
    'eva02_tiny': (dict(type='ViTEVA02', arch='tiny', img_size=224), 224),
    'hivit': (dict(type='HiViT', arch='tiny', img_size=64), 64),
    'hornet': (dict(type='HorNet', arch='tiny'), 64),
    'hrnet_w18': (dict(type='HRNet', arch='w18'), 224),
    'inception_v3': (dict(type='InceptionV3'), 224),
    'levit': (dict(type='LeViT', arch='128s', img_size=64), 64),
    'mixmim': (
        dict(
            type='MixMIMTransformer',
            img_size=64,
            window_size=[4, 4, 4, 2],
            arch=dict(embed_dims=32, depths=[1, 1, 2, 1], num_heads=[2, 2, 4, 4]),
        ),
        64,
    ),
    'mlp_mixer': (dict(type='MlpMixer', arch='small', img_size=64), 64),
    'mobileone': (dict(type='MobileOne', arch='s0'), 64),
    'mobilevit': (dict(type='MobileViT', arch='xx_small'), 64),
    'mvit': (dict(type='MViT', arch='tiny', img_size=64), 64),
    'pcpvt': (dict(type='PCPVT', arch='small'), 64),
    'poolformer': (dict(type='PoolFormer'), 64),
    'pyramid_vig': (dict(type='PyramidVig', arch='tiny'), 224),
    'regnet': (dict(type='RegNet', arch='regnetx_400mf'), 64),
    'replknet': (dict(type='RepLKNet', arch='31B'), 64),
    'repmlp': (dict(type='RepMLPNet', arch='base', img_size=64), 64),
    'repvgg': (dict(type='RepVGG', arch='A0'), 64),
    'res2net': (dict(type='Res2Net', depth=50), 64),
    'resnest': (dict(type='ResNeSt', depth=50), 64),
    'resnet_cifar': (dict(type='ResNet_CIFAR', depth=18), 64),
    'resnet_v1d': (dict(type='ResNetV1d', depth=50), 64),
    'resnext': (dict(type='ResNeXt', depth=50), 64),
    'reversible_vit': (
        dict(
            type='RevVisionTransformer',
            arch='deit-tiny',
            img_size=64,
            no_custom_backward=True,
        ),
        64,
    ),
    'riformer': (dict(type='RIFormer'), 64),
    'sam': (dict(type='ViTSAM', arch='base', img_size=64), 64),
    'se_resnet': (dict(type='SEResNet', depth=50), 64),
    'se_resnext': (dict(type='SEResNeXt', depth=50), 64),
    'shufflenet_v1': (dict(type='ShuffleNetV1'), 64),
    'shufflenet_v2': (dict(type='ShuffleNetV2'), 64),
    'svt': (dict(type='SVT', arch='small'), 64),
    'swin_v2': (dict(type='SwinTransformerV2', img_size=64, pad_small_map=True), 64),
    't2t_vit': (dict(type='T2T_ViT', img_size=64), 64),
    'timm_swin': (
        dict(
            type='TIMMBackbone', model_name='swin_tiny_patch4_window7_224', img_size=64
        ),
        64,
    ),
    'tiny_vit': (dict(type='TinyViT', img_size=(64, 64)), 64),
    'tnt': (dict(type='TNT', arch='s', img_size=64), 64),
    'van': (dict(type='VAN'), 64),
    'vig': (dict(type='Vig', arch='tiny'), 224),
    'xcit': (dict(type='XCiT', img_size=64, embed_dims=64, depth=12, num_heads=4), 64),
}
# Parameters that do not affect the feature that the neck uses.
UNUSED = dict(deit3='.ln2.', hrnet_w18='stage4.2.fuse_layers')


@pytest.mark.parametrize(
    'name', [*BACKBONES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_any_backbone_trains(name):
    cfg, size = {**BACKBONES, **SLOW}[name]
    if cfg['type'] == 'TIMMBackbone':
        pytest.importorskip('timm')
    model = build(cfg, (3, size, size))
    if name in BACKBONES:
        assert all(module.training for module in model.modules())
    assert len(model.latent_compensation.layers) > 1
    # Four images, because BatchNorm of two turns every mean into +1 or -1.
    count = 4 if size < 200 else 3
    images = torch.randn(count, 3, size, size)
    losses = model(images, samples(0, 1, 0, 1)[:count], mode='loss')
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()
    for key, parameter in model.named_parameters():
        # Fixed position embeddings, and frozen first stages of some backbones.
        if (
            name in SLOW
            and not parameter.requires_grad
            or name in UNUSED
            and UNUSED[name] in key
        ):
            continue
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    if name not in BACKBONES:
        model.eval()
        with torch.no_grad():
            predictions = model(images, mode='predict')
        assert all(p.pred_score.isfinite().all() for p in predictions)


@pytest.mark.parametrize(
    'backbone, layers, channels',
    [
        (
            dict(type='DenseNet', arch='121'),
            ['stem.1', 'stages.0', 'stages.1', 'stages.2'],
            1024,
        ),
        (
            dict(type='ViTEVA02', arch='tiny', img_size=44),
            ['layers.2', 'layers.5', 'layers.8', 'layers.11'],
            192,
        ),
        (
            dict(type='HRNet', arch='w18'),
            ['bn1', 'transition1.0', 'stage2', 'stage3', 'stage4'],
            144,
        ),
    ],
)
def test_one_override_of_a_config(backbone, layers, channels):
    """Grey images of 44 px, a size that no stride of HRNet divides."""
    cfg = Config.fromfile(f'{CONFIGS}/alum/alum_r18_synthfaces_noise30.py')
    cfg.merge_from_dict(dict(model=dict(backbone=dict(backbone, _delete_=True))))
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    assert model.latent_compensation.layers == layers
    assert model.neck.in_channels == channels
    images = torch.randn(4, 1, 44, 44)
    sum(model(images, samples(0, 1, 0, 1), mode='loss').values()).backward()
    assert next(model.backbone.parameters()).grad.abs().sum() > 0
    model.eval()
    with torch.no_grad():
        predictions = model(images, mode='predict')
    assert all(p.pred_score.isfinite().all() for p in predictions)


@pytest.mark.parametrize(
    'name',
    [
        'resnet18',
        'mobilenet_v2',
        'mobilenet_v3',
        'vgg16',
        'efficientnet_b0',
        'convnext_tiny',
        'swin_tiny_64',
        'deit_tiny_64',
        'timm_resnet10',
    ],
)
def test_any_backbone_on_grey_images(name):
    """This is one override of a FERPlus or synthfaces config."""
    cfg, size = BACKBONES[name]
    if cfg['type'] == 'TIMMBackbone':
        pytest.importorskip('timm')
    model = build(cfg, (1, size, size))
    losses = model(torch.randn(4, 1, size, size), samples(0, 1, 0, 1), mode='loss')
    assert sum(losses.values()).isfinite()


@pytest.mark.parametrize('name', ['vgg16', 'convnext_tiny', 'deit_tiny_64'])
def test_any_backbone_with_pooling(name):
    cfg, size = BACKBONES[name]
    model = build(cfg, (3, size, size), CE)
    loss = model(torch.randn(2, 3, size, size), samples(0, 1), mode='loss')['loss']
    assert loss.isfinite()


def test_building_draws_nothing_but_initial_weights():
    model = build()
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='ResNetSmallStem', depth=18))
    neck = MODELS.build(dict(type='UncertaintyNeck', in_channels=512, map_size=(2, 2)))
    head = MODELS.build(dict(type='ALUMHead', num_classes=7, in_channels=64))
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]
    assert all(
        np.array_equal(a, b)
        for a, b in zip(np.random.get_state(), state[2], strict=True)
    )
    for part, name in ((backbone, 'backbone'), (neck, 'neck'), (head, 'head')):
        built = getattr(model, name).state_dict()
        for key, value in part.state_dict().items():
            assert torch.equal(value, built[key]), (name, key)


def test_compensation_adds_no_key():
    with_it = build().state_dict()
    without = build(latent_compensation=None).state_dict()
    assert list(with_it) == list(without)
    assert all(torch.equal(with_it[key], without[key]) for key in without)


def test_trainings_alone_say_where_compensation_sits(monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger, 'info', lambda self, text, **_: said.append(text))
    model = build()
    assert not said
    model.init_weights()
    assert said[0] == 'Latent compensation acts after: ' + ', '.join(
        model.latent_compensation.layers
    )


def test_compensation_acts_in_training_only():
    model, images = build(), torch.randn(4, 3, 32, 32)
    bare = build(latent_compensation=None)
    model.eval(), bare.eval()
    assert torch.equal(model.extract_feat(images).mean, bare.extract_feat(images).mean)
    model.train()
    assert not torch.equal(
        model.extract_feat(images, stage='backbone')[0],
        model.extract_feat(images, stage='backbone')[0],
    )


@pytest.mark.parametrize('method', [ALUM, RUL, CE])
def test_predictions_say_how_sure_they_are(method):
    model = build(method=method)
    model.eval()
    with torch.no_grad():
        predictions = model(torch.randn(3, 3, 32, 32), samples(0, 1, 2), mode='predict')
    for sample in predictions:
        assert sample.pred_score.shape == (7,)
        if method is CE:
            assert sample.uncertainty.item() == pytest.approx(
                1 - sample.pred_score.max().item(), abs=1e-6
            )
        else:
            assert sample.uncertainty > 0


@pytest.mark.parametrize('method', [ALUM, RUL, CE])
def test_trains_within_bfloat16_autocast(method):
    model = build(method=method)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(torch.randn(4, 3, 32, 32), samples(0, 1, 0, 1), mode='loss')
    total = sum(losses.values())
    assert total.dtype == torch.float32
    total.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_another_image_size_at_run_time_is_explained():
    with pytest.raises(ValueError, match='data_preprocessor.input_shape'):
        build()(torch.randn(2, 3, 64, 64), samples(0, 1), mode='loss')


def test_grey_images():
    model = build(shape=(1, 28, 28))
    assert model.backbone.conv1.in_channels == 1
    losses = model(torch.randn(4, 1, 28, 28), samples(0, 1, 0, 1), mode='loss')
    assert sum(losses.values()).isfinite()


def test_channels_last_is_only_another_order():
    plain, other = build(method=RUL), build(method=RUL, channels_last=True)
    images = torch.randn(4, 3, 32, 32)
    plain.eval(), other.eval()
    feature = other.extract_feat(images, stage='backbone')[-1]
    assert feature.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        feature, plain.extract_feat(images, stage='backbone')[-1], rtol=1e-4, atol=1e-4
    )


def test_small_stem():
    images = torch.zeros(2, 3, 44, 44)
    for stride, size in ((1, 6), (2, 3)):
        backbone = MODELS.build(
            dict(type='ResNetSmallStem', depth=18, stem_stride=stride)
        )
        assert backbone(images)[-1].shape == (2, 512, size, size)
    assert 'maxpool' not in dict(backbone.named_children())


def pretrained(checkpoint):
    return dict(
        type='ResNetSmallStem',
        depth=18,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone'),
    )


def test_missing_weights_are_explained(tmp_path):
    path = str(tmp_path / 'msceleb_r18.pth')
    model = build(pretrained(path))
    with pytest.raises(FileNotFoundError) as error:
        model.init_weights()
    text = str(error.value)
    assert repr(path) in text and 'import_face_weights.py' in text
    assert 'model.backbone.init_cfg=None' in text


def test_present_weights_are_loaded(tmp_path):
    torch.manual_seed(5)
    weights = MODELS.build(dict(type='ResNetSmallStem', depth=18))
    path = tmp_path / 'weights.pth'
    torch.save(
        {f'backbone.{key}': value for key, value in weights.state_dict().items()}, path
    )
    model = build(pretrained(str(path)))
    model.init_weights()
    for key, value in weights.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[key], value), key


@pytest.mark.parametrize(
    'init_cfg',
    [
        None,
        dict(type='Kaiming', layer='Conv2d'),
        [dict(type='Kaiming', layer='Conv2d')],
    ],
)
def test_other_initialisations_need_no_file(init_cfg):
    assert (
        check_pretrained(
            MODELS.build(dict(type='ResNet', depth=18, init_cfg=init_cfg)),
            'model.backbone',
        )
        == {}
    )
