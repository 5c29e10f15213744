"""``--init``: which tensors come from which file, and what is refused."""

import argparse
import copy
import json
import pickle
import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers import CONFIGS, tiny_config
from mmengine.config import Config, DictAction

from mmfer.datasets import SyntheticFaces
from mmfer.engine.classifier_config import classifier_config
from mmfer.engine.initial_weights import RECORD, check_recorded, init_suffix, start_from
from mmfer.engine.provenance import config_hash
from mmfer.engine.weight_sources import find_source
from mmfer.methods.gaave.subset_training import initial_weights_hash
from mmfer.models.efficientnet_lite import has_pretrained, load_pretrained_lite0
from mmfer.models.pretrained import check_pretrained
from mmfer.models.weight_matching import find_backbone
from mmfer.registry import MODELS

CE = 'ce/ce_r18_synthfaces'
RESUP = 'resup/resup_r18_synthfaces'
COUNTER = 'num_batches_tracked'


@pytest.fixture
def config(tmp_path):
    def make(name=CE, **options):
        return tiny_config(tmp_path / 'run', name, **options)

    return make


def build(cfg):
    """The model as a run has it before its first step."""
    preprocessor = copy.deepcopy(cfg.get('data_preprocessor'))
    model = MODELS.build(
        dict(copy.deepcopy(cfg.model.to_dict()), data_preprocessor=preprocessor)
    )
    check_pretrained(model)
    model.init_weights()
    return model


def randomised(model):
    """The state of a model whose tensors all differ."""
    generator = torch.manual_seed(0)
    return {
        name: torch.rand(value.shape, generator=generator) + 0.5
        if value.is_floating_point()
        else value.clone()
        for name, value in model.state_dict().items()
    }


@pytest.fixture
def checkpoint(tmp_path, config):
    """Write the checkpoint of a config with random tensors; return path and state."""

    def write(name=CE, path='source ü.pth', **options):
        state = randomised(build(config(name, **options)))
        torch.save(dict(meta=dict(epoch=1), state_dict=state), tmp_path / path)
        return str(tmp_path / path), state

    return write


def assert_equal(module, state, prefix):
    """All tensors of a module are those of a state dict under a prefix."""
    for name, value in module.state_dict().items():
        if not name.endswith(COUNTER):
            assert torch.equal(value, state[prefix + name]), name


def differs(module, state, prefix):
    return any(
        value.shape != state[prefix + name].shape
        or not torch.equal(value, state[prefix + name])
        for name, value in module.state_dict().items()
    )


# -- what is taken ---------------------------------------------------------------------
def test_whole_model(config, checkpoint):
    path, state = checkpoint('alum/alum_r18_synthfaces')
    cfg = config('alum/alum_r18_synthfaces')
    line = start_from(cfg, path)
    assert 'backbone, neck and head start from' in line and 'new' not in line
    assert_equal(build(cfg), state, '')


def test_other_number_of_classes(config, checkpoint):
    path, state = checkpoint('alum/alum_r18_synthfaces')
    cfg = config('alum/alum_r18_synthfaces', data_preprocessor__num_classes=4)
    line = start_from(cfg, path)
    assert 'the backbone and neck start' in line
    assert 'the head is new (the weights have 7 classes, the config 4)' in line
    model = build(cfg)
    assert_equal(model.backbone, state, 'backbone.')
    assert_equal(model.neck, state, 'neck.')
    assert model.head.fc.weight.shape[0] == 4
    # The new layer has the usual initial weights of a linear layer.
    assert model.head.fc.weight.std() < 1


@pytest.mark.parametrize('change', [0, 1])
def test_other_classes_of_the_same_number(config, checkpoint, change):
    path, state = checkpoint(CE)
    cfg = config(CE)
    names = list(SyntheticFaces.METAINFO['classes'])
    meta = dict(dataset_meta=dict(classes=names[change:] + names[:change]))
    torch.save(dict(meta=meta, state_dict=state), path)
    line = start_from(cfg, path)
    if change:
        assert f'the head is new (the weights are for the classes {names[1]}' in line
    else:
        assert 'the backbone and head start' in line


def test_another_method(config, checkpoint):
    path, state = checkpoint(CE)
    cfg = config('rul/rul_r18_synthfaces')
    line = start_from(cfg, path)
    assert 'the neck is new (it is not in the weights)' in line
    # Its shape is that of the other head, but its input is another one.
    assert 'the head is new (it would follow another neck)' in line
    assert_equal(build(cfg).backbone, state, 'backbone.')
    path, state = checkpoint('rul/rul_r18_synthfaces')
    cfg = config(CE)
    assert 'the head is new (it would follow another neck)' in start_from(cfg, path)


def test_two_networks_from_one(config, checkpoint):
    path, state = checkpoint(CE)
    cfg = config(RESUP)
    line = start_from(cfg, path)
    assert 'of both networks' in line and 'so that the two networks differ' in line
    model = build(cfg)
    for network in model.networks:
        assert_equal(network.backbone, state, 'backbone.')
        assert differs(network.head, state, 'head.')
    # Else the two networks would never disagree.
    weights = [network.head.fc.weight for network in model.networks]
    assert not torch.equal(*weights)


def test_two_networks_from_two(config, checkpoint):
    path, state = checkpoint(RESUP)
    cfg = config(RESUP)
    assert 'the backbone and head of both networks start' in start_from(cfg, path)
    model = build(cfg)
    for name in ('network1', 'network2'):
        assert_equal(getattr(model, name), state, f'{name}.')
    single = config(CE)
    start_from(single, path)
    assert_equal(build(single), state, 'network1.')


def test_settings_of_the_second_network_do_not_win(config, checkpoint):
    """As in dual_r18: each network of the config names weights of its own."""
    path, state = checkpoint(CE)
    cfg = config(RESUP)
    cfg.model.network1.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='nowhere.pth', prefix='backbone'
    )
    cfg.model.network2 = dict(
        pretrained='elsewhere.pth',
        backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://a')),
    )
    start_from(cfg, path)
    for network in build(cfg).networks:
        assert_equal(network.backbone, state, 'backbone.')


def test_joint_gan(tmp_path):
    cfg = Config.fromfile(f'{CONFIGS}/jointgan/jointgan_vgg16_synthfaces.py')
    settings = dict(cfg.model.to_dict(), data_preprocessor=cfg.data_preprocessor)
    state = randomised(MODELS.build(settings))
    torch.save(dict(state_dict=state), tmp_path / 'gan.pth')
    line = start_from(cfg, str(tmp_path / 'gan.pth'))
    assert 'of the encoder' in line
    model = build(cfg)
    assert_equal(model.encoder.backbone, state, 'encoder.backbone.')
    assert_equal(model.encoder.head, state, 'encoder.head.')


def test_raw_names_and_the_network_of_choice(config, checkpoint, tmp_path):
    path, state = checkpoint(CE)
    raw = {k.removeprefix('backbone.'): v for k, v in state.items() if 'head' not in k}
    torch.save({f'module.{k}': v for k, v in raw.items()}, tmp_path / 'raw.pth')
    cfg = config(CE)
    line = start_from(cfg, str(tmp_path / 'raw.pth'))
    assert 'the head is new (the weights are those of a backbone)' in line
    assert_equal(build(cfg).backbone, raw, '')


# -- grey and colour -------------------------------------------------------------------
def test_colour_weights_for_grey_images(config, checkpoint):
    """Grey images repeated are the same as the first convolution summed."""
    path, state = checkpoint(CE, data_preprocessor__input_shape=(3, 32, 32))
    cfg = config(CE)
    assert 'grey images are repeated' in start_from(cfg, path)
    model = build(cfg).double()
    assert model.backbone.conv1.weight.shape[1] == 3
    model.eval()
    grey = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    found = model.backbone.conv1(model.fitting(grey))
    weight = state['backbone.conv1.weight'].double().sum(1, keepdim=True)
    expected = F.conv2d(grey, weight, stride=2, padding=1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert model(grey).shape == (2, 7)
    # GAAVE's base models take the same images.
    base = MODELS.build(classifier_config(cfg, 5))
    base.init_weights()
    assert_equal(base.backbone, state, 'backbone.')


def test_grey_weights_for_colour_images(config, checkpoint):
    path, _ = checkpoint(CE)
    cfg = config(CE, data_preprocessor__input_shape=(3, 32, 32))
    with pytest.raises(ValueError, match='for grey images.*color_type="grayscale"'):
        start_from(cfg, path)


# -- what is refused -------------------------------------------------------------------
def applied(cfg, message):
    """Add the flags that a message recommends."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    flags = message.partition('--cfg-options ')[2].split()
    cfg.merge_from_dict(parser.parse_args(['--cfg-options', *flags]).cfg_options)
    return cfg


@pytest.mark.parametrize(
    'name', [CE, RESUP, 'ce/ce_vgg16_synthfaces', 'jointgan/jointgan_vgg16_synthfaces']
)
def test_flags_of_a_refusal_fit(name):
    cfg = Config.fromfile(f'{CONFIGS}/{name}.py')
    with pytest.raises(ValueError, match='do not fit') as error:
        start_from(cfg, 'alum_tiny_ferplus')
    text = str(error.value)
    assert 'another shape' in text or 'are not in it' in text
    again = applied(Config.fromfile(f'{CONFIGS}/{name}.py'), text)
    assert 'mmfer://alum_tiny_ferplus' in start_from(again, 'alum_tiny_ferplus')
    build(again)


def test_a_refused_config_names_tensors(config, checkpoint):
    path, _ = checkpoint(CE)
    cfg = config(CE, model__backbone__base_channels=4)
    with pytest.raises(ValueError) as error:
        start_from(cfg, path)
    text = str(error.value)
    assert path in text and 'model.backbone (ResNetSmallStem)' in text
    assert 'layer1.0.conv1.weight: (8, 8, 3, 3) instead of (4, 8, 3, 3)' in text


@pytest.mark.parametrize(
    'write, text',
    [
        (lambda p: p.write_bytes(b''), 'is empty'),
        (lambda p: torch.save(dict(a=1), p), 'no tensors'),
        (lambda p: torch.save([torch.ones(2)], p), 'no tensors'),
        (lambda p: p.write_text('<html>'), 'w.pth'),
        (lambda p: p.mkdir(), 'last_checkpoint'),
    ],
)
def test_files_that_cannot_be_used(config, tmp_path, write, text):
    write(tmp_path / 'w.pth')
    with pytest.raises((ValueError, FileNotFoundError), match=text) as error:
        start_from(config(CE), str(tmp_path / 'w.pth'))
    assert str(tmp_path / 'w.pth') in str(error.value)


def test_names(config, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='pretrained, alum_tiny_ferplus'):
        start_from(config(CE), 'alum_tiny')
    # A file of the user comes first.
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=dict(a=torch.ones(2))), 'pretrained')
    assert find_source('pretrained').shapes == {'a': (2,)}
    assert init_suffix('work dirs/ä b.pth') == 'from_b'
    assert init_suffix('pretrained') == 'from_pretrained'
    assert init_suffix('work_dirs/run/') == 'from_run'


def test_two_sources_are_refused(config, checkpoint):
    path, _ = checkpoint(CE)
    with pytest.raises(ValueError, match='load_from'):
        start_from(config(CE, load_from='a.pth'), path)


def test_model_without_backbone(config, checkpoint):
    path, _ = checkpoint(CE)
    cfg = config(CE)
    cfg.model = dict(type='mmpretrain.TimmClassifier', model_name='resnet18')
    with pytest.raises(ValueError, match='no backbone'):
        start_from(cfg, path)


# -- files that bring their backbone ---------------------------------------------------
@pytest.fixture
def face_network(tmp_path):
    def write(**meta):
        network = dict(type='MobileFaceNet', scale=1, blocks=[1, 1, 1, 1])
        state = {
            f'backbone.{k}': v for k, v in randomised(MODELS.build(network)).items()
        }
        default = dict(
            backbone_cfg=network, mean=[127.5] * 3, std=[128.0] * 3, to_rgb=False
        )
        path = tmp_path / 'face.pth'
        torch.save(dict(state_dict=state, meta=dict(default, **meta)), path)
        return str(path), state

    return write


def test_face_network_replaces_the_backbone(config, face_network):
    path, state = face_network()
    for name in (CE, RESUP):
        cfg = config(
            name,
            data_preprocessor__input_shape=(3, 32, 32),
            data_preprocessor__to_rgb=True,
        )
        line = start_from(cfg, path)
        assert '(ResNetSmallStem) is replaced by MobileFaceNet(scale=1' in line
        assert cfg.data_preprocessor.mean == [127.5] * 3
        assert cfg.data_preprocessor.to_rgb is False
        model = build(cfg)
        for network in getattr(model, 'networks', [model]):
            assert_equal(network.backbone, state, 'backbone.')
    grey = config(CE)
    start_from(grey, path)
    assert grey.data_preprocessor.mean == [127.5]
    assert grey.data_preprocessor.std == [128.0]
    assert build(grey)(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_options_of_the_user_win(config, face_network):
    path, _ = face_network()
    cfg = config(CE, data_preprocessor__mean=[9.0], data_preprocessor__std=[3.0])
    line = start_from(cfg, path, ['data_preprocessor.mean'])
    assert cfg.data_preprocessor.mean == [9.0] and 'mean=' not in line


@pytest.mark.parametrize(
    'network',
    [
        dict(type='Linear', in_features=3),
        dict(type='ResNet', depth=18, base_channels=10**6),
        dict(type='MobileFaceNet', scale=1, blocks=5),
        dict(type='MobileFaceNet', scale=10**6),
        dict(type='IResNet', depth=[18]),
        dict(type='MobileFaceNet', init_cfg=dict(type='Pretrained', checkpoint='x')),
        'MobileFaceNet',
        None,
    ],
)
def test_a_file_chooses_known_networks_only(config, face_network, network):
    path, _ = face_network(backbone_cfg=network)
    with pytest.raises(ValueError, match='do not fit'):
        start_from(config(CE), path)


@pytest.mark.parametrize('mean', [[float('nan')] * 3, 'abc', [1.0], {}, None])
def test_a_damaged_preparation_is_ignored(config, face_network, mean):
    path, _ = face_network(mean=mean)
    cfg = config(CE)
    before = copy.deepcopy(cfg.data_preprocessor)
    start_from(cfg, path)
    assert cfg.data_preprocessor == before


def test_preparation_of_a_published_model(config, checkpoint, tmp_path):
    path, _ = checkpoint(CE)
    record = tmp_path / 'source ü.json'
    record.write_text(
        json.dumps(dict(input=dict(shape=[1, 32, 32], mean=[5], std=[6])))
    )
    cfg = config(CE)
    assert 'mean=[5.0] and std=[6.0]' in start_from(cfg, path)
    assert cfg.data_preprocessor.mean == [5.0]
    record.write_text('[1]')
    start_from(config(CE), path)


def test_scale_of_joint_gan_is_kept(face_network):
    cfg = Config.fromfile(f'{CONFIGS}/jointgan/jointgan_vgg16_synthfaces.py')
    before = copy.deepcopy(cfg.data_preprocessor)
    line = start_from(cfg, face_network()[0])
    assert 'are kept' in line and cfg.data_preprocessor == before
    build(cfg)


@pytest.mark.skipif(not has_pretrained(), reason='needs mmfer[pretrained]')
def test_pretrained(config):
    cfg = config(RESUP)
    line = start_from(cfg, 'pretrained')
    assert 'is replaced by EfficientNetLite0' in line
    weights = load_pretrained_lite0()
    for network in build(cfg).networks:
        assert_equal(network.backbone, weights, '')
    # The config of the run alone gives the same model.
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert_equal(build(again).network1.backbone, weights, '')


def test_pretrained_without_its_extra(config, monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=r'pip install "mmfer\[pretrained\]"'):
        start_from(config(CE), 'pretrained')


# -- the record ------------------------------------------------------------------------
def test_contents_decide_the_config(config, checkpoint, tmp_path):
    path, state = checkpoint(CE)
    cfg = config(CE)
    start_from(cfg, path)
    assert cfg[RECORD].parts == ['backbone', 'head']
    first = config_hash(cfg)
    cleaning = initial_weights_hash(cfg)
    check_recorded(cfg)
    state['backbone.conv1.weight'][0, 0, 0, 0] += 1
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ValueError, match='has changed since'):
        check_recorded(cfg)
    again = config(CE)
    start_from(again, path)
    assert config_hash(again) != first
    # GAAVE repeats its stages.
    assert initial_weights_hash(again) != cleaning
    check_recorded(config(CE))


def test_match_prefers_the_own_network():
    part = {'a.weight': (2, 3), 'b.weight': (4,)}
    given = {f'{p}{k}': v for p in ('x.', 'y.', '') for k, v in part.items()}
    assert find_backbone(given, part).prefix == ''
    assert find_backbone(given, part, ['y.']).prefix == 'y.'
    del given['y.b.weight']
    assert find_backbone(given, part, ['y.']).prefix == ''
    nothing = find_backbone({'c': (1,)}, part)
    assert not nothing.fits and nothing.missing == list(part)
    assert find_backbone({'a.weight': (2, 3)}, part).missing == ['b.weight']


def test_objects_are_not_loaded(config, tmp_path):
    torch.save(
        dict(state_dict=dict(a=torch.ones(1)), x=SimpleNamespace()), tmp_path / 'o'
    )
    with pytest.raises(pickle.UnpicklingError, match='--init'):
        start_from(config(CE), str(tmp_path / 'o'))
