"""The classifier that fits itself to any backbone."""
import random

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmfer.models.classifier import accepts
from mmfer.models.pretrained import check_pretrained
from mmfer.registry import MODELS

ALUM = dict(
    neck=dict(type='UncertaintyNeck'),
    head=dict(type='ALUMHead'),
    latent_compensation=dict(prob=1.))
CE = dict(neck=dict(type='FeaturePooling'), head=dict(type='CEHead'))
RUL = dict(neck=dict(type='UncertaintyNeck'), head=dict(type='RULHead'))


def build(backbone=None, shape=(3, 32, 32), method=ALUM, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='FERClassifier',
            backbone=backbone or dict(type='ResNetSmallStem', depth=18),
            data_preprocessor=dict(
                type='FERDataPreprocessor', input_shape=shape, num_classes=7),
            **{
                **method,
                **options
            }))


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
    'swin_tiny_64':
    (dict(type='SwinTransformer', arch='tiny', pad_small_map=True), 64),
    'deit_tiny_64':
    (dict(type='VisionTransformer', arch='deit-tiny', img_size=64), 64),
    'deit_tiny': (dict(type='VisionTransformer', arch='deit-tiny'), 224),
    'timm_resnet10': (dict(type='TIMMBackbone', model_name='resnet10t'), 64),
    'timm_vit': (dict(
        type='TIMMBackbone',
        model_name='vit_tiny_patch16_224',
        img_size=64), 64),
}
SLOW = {'swin_tiny': (dict(type='SwinTransformer', arch='tiny'), 224)}


@pytest.mark.parametrize('name', [
    *BACKBONES, *(pytest.param(name, marks=pytest.mark.slow)
                  for name in SLOW)
])
def test_any_backbone_trains(name):
    cfg, size = {**BACKBONES, **SLOW}[name]
    if cfg['type'] == 'TIMMBackbone':
        pytest.importorskip('timm')
    model = build(cfg, (3, size, size))
    assert all(module.training for module in model.modules())
    assert len(model.latent_compensation.layers) > 3
    # Four images: two of them make every batch-normalised mean +-1.
    count = 4 if size < 200 else 3
    losses = model(
        torch.randn(count, 3, size, size), samples(0, 1, 0, 1)[:count],
        mode='loss')
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize('name', [
    'resnet18', 'mobilenet_v2', 'mobilenet_v3', 'vgg16', 'efficientnet_b0',
    'convnext_tiny', 'swin_tiny_64', 'deit_tiny_64', 'timm_resnet10'])
def test_any_backbone_on_grey_images(name):
    """As one override of a FERPlus or synthfaces config."""
    cfg, size = BACKBONES[name]
    if cfg['type'] == 'TIMMBackbone':
        pytest.importorskip('timm')
    model = build(cfg, (1, size, size))
    losses = model(
        torch.randn(4, 1, size, size), samples(0, 1, 0, 1), mode='loss')
    assert sum(losses.values()).isfinite()


@pytest.mark.parametrize('name', ['vgg16', 'convnext_tiny', 'deit_tiny_64'])
def test_any_backbone_with_pooling(name):
    cfg, size = BACKBONES[name]
    model = build(cfg, (3, size, size), CE)
    loss = model(
        torch.randn(2, 3, size, size), samples(0, 1), mode='loss')['loss']
    assert loss.isfinite()


@pytest.mark.parametrize('method', [ALUM, RUL, CE])
def test_sizes_are_those_a_config_could_give(method):
    found = build(method=method)
    assert found.head.num_classes == 7
    explicit = dict(neck=dict(method['neck']), head=dict(method['head']))
    explicit['head']['num_classes'] = 7
    if method is CE:
        explicit['head']['in_channels'] = 512
    else:
        # 32 px after a stem of stride 2 and three strided stages
        explicit['neck'].update(in_channels=512, map_size=(2, 2))
        explicit['head']['in_channels'] = 64
    given = build(method={**method, **explicit})
    assert found.state_dict().keys() == given.state_dict().keys()
    for key, value in found.state_dict().items():
        assert torch.equal(value, given.state_dict()[key]), key


def test_given_sizes_win():
    head = dict(type='CEHead', num_classes=3, in_channels=512)
    assert build(method=CE, head=head).head.num_classes == 3


def test_building_draws_nothing_but_initial_weights():
    model = build()
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='ResNetSmallStem', depth=18))
    neck = MODELS.build(
        dict(type='UncertaintyNeck', in_channels=512, map_size=(2, 2)))
    head = MODELS.build(
        dict(type='ALUMHead', num_classes=7, in_channels=64))
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]
    assert all(np.array_equal(a, b)
               for a, b in zip(np.random.get_state(), state[2], strict=True))
    for part, name in ((backbone, 'backbone'), (neck, 'neck'),
                       (head, 'head')):
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
    monkeypatch.setattr('mmfer.models.classifier.print_log',
                        lambda text, **kwargs: said.append(text))
    model = build()
    assert not said
    model.init_weights()
    assert said == ['Latent compensation after: ' +
                    ', '.join(model.latent_compensation.layers)]


def test_compensation_acts_in_training_only():
    model, images = build(), torch.randn(4, 3, 32, 32)
    bare = build(latent_compensation=None)
    model.eval(), bare.eval()
    assert torch.equal(model.extract_feat(images).mean,
                       bare.extract_feat(images).mean)
    model.train()
    assert not torch.equal(
        model.extract_feat(images, stage='backbone')[0],
        model.extract_feat(images, stage='backbone')[0])


@pytest.mark.parametrize('method', [ALUM, RUL, CE])
def test_predictions_say_how_sure_they_are(method):
    model = build(method=method)
    model.eval()
    with torch.no_grad():
        predictions = model(
            torch.randn(3, 3, 32, 32), samples(0, 1, 2), mode='predict')
    for sample in predictions:
        assert sample.pred_score.shape == (7, )
        if method is CE:
            assert sample.uncertainty.item() == pytest.approx(
                1 - sample.pred_score.max().item(), abs=1e-6)
        else:
            assert sample.uncertainty > 0


@pytest.mark.parametrize('method', [ALUM, RUL, CE])
def test_trains_within_bfloat16_autocast(method):
    model = build(method=method)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(
            torch.randn(4, 3, 32, 32), samples(0, 1, 0, 1), mode='loss')
    total = sum(losses.values())
    assert total.dtype == torch.float32
    total.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_another_image_size_at_run_time_is_explained():
    with pytest.raises(ValueError, match='data_preprocessor.input_shape'):
        build()(torch.randn(2, 3, 64, 64), samples(0, 1), mode='loss')


def test_impossible_image_size_is_explained():
    with pytest.raises(ValueError, match=r'VisionTransformer cannot process '
                       r'images of shape \(3, 64, 64\)'):
        build(
            dict(
                type='VisionTransformer',
                arch='deit-tiny',
                interpolate_mode='none'), (3, 64, 64))


def test_missing_number_of_classes_is_explained():
    with pytest.raises(ValueError, match='num_classes'):
        MODELS.build(
            dict(
                type='FERClassifier',
                backbone=dict(type='ResNetSmallStem', depth=18),
                data_preprocessor=dict(input_shape=(3, 32, 32)),
                **RUL))


def test_grey_images():
    model = build(shape=(1, 28, 28))
    assert model.backbone.conv1.in_channels == 1
    losses = model(
        torch.randn(4, 1, 28, 28), samples(0, 1, 0, 1), mode='loss')
    assert sum(losses.values()).isfinite()


def test_channels_last_is_only_another_order():
    plain, other = build(method=RUL), build(method=RUL, channels_last=True)
    images = torch.randn(4, 3, 32, 32)
    plain.eval(), other.eval()
    feature = other.extract_feat(images, stage='backbone')[-1]
    assert feature.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        feature,
        plain.extract_feat(images, stage='backbone')[-1],
        rtol=1e-4,
        atol=1e-4)


def test_small_stem():
    images = torch.zeros(2, 3, 44, 44)
    for stride, size in ((1, 6), (2, 3)):
        backbone = MODELS.build(
            dict(type='ResNetSmallStem', depth=18, stem_stride=stride))
        assert backbone(images)[-1].shape == (2, 512, size, size)
    assert 'maxpool' not in dict(backbone.named_children())


def test_accepts():
    assert accepts(dict(type='CEHead'), 'in_channels')
    assert accepts(dict(type='UncertaintyNeck'), 'map_size')
    assert not accepts(dict(type='FeaturePooling'), 'in_channels')
    with pytest.raises(KeyError, match='NoSuchClass.*spelling'):
        accepts(dict(type='NoSuchClass'), 'in_channels')


def pretrained(checkpoint):
    return dict(
        type='ResNetSmallStem',
        depth=18,
        init_cfg=dict(
            type='Pretrained', checkpoint=checkpoint, prefix='backbone'))


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
    torch.save({
        f'backbone.{key}': value
        for key, value in weights.state_dict().items()
    }, path)
    model = build(pretrained(str(path)))
    model.init_weights()
    for key, value in weights.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[key], value), key


@pytest.mark.parametrize('init_cfg', [
    None,
    dict(type='Kaiming', layer='Conv2d'),
    [dict(type='Kaiming', layer='Conv2d')],
])
def test_other_initialisations_need_no_file(init_cfg):
    assert check_pretrained(
        MODELS.build(dict(type='ResNet', depth=18, init_cfg=init_cfg)),
        'model.backbone') == {}
