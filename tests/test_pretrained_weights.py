"""Every config starts from the weight files that it names.

The files are made by the tests, with the right names and shapes. Each tensor in
them has a value of its own, so that a test can tell from which file a tensor of
a model comes.
"""

import json
import pickle
import re
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from helpers import CONFIGS, TINY_CLASSIFIER, load_tool, tiny_config
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_torchvision_models
from mmpretrain.models import VGG, MobileNetV2

from mmfer.engine.classifier_config import classifier_config
from mmfer.methods.gaave import GAAVE
from mmfer.models.pretrained import check_pretrained
from mmfer.registry import MODELS
from mmfer.utils.config import merge_options

PATHS = sorted(p for p in Path(CONFIGS).glob('*/*.py') if p.parent.name != '_base_')
COUNTER = 'num_batches_tracked'
FACES = 'checkpoints/msceleb_r18.pth'
FACES50 = 'checkpoints/vggface2_r50.pth'
ZOO = 'https://download.openmmlab.com/mmclassification/v0/'
MOBILENET = f'{ZOO}mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth'
VGG16 = f'{ZOO}vgg/vgg16_batch256_imagenet_20210208-db26f1a5.pth'
IMAGENET, IMAGENET50 = 'torchvision://resnet18', 'torchvision://resnet50'
FACES_AT_224 = '(rafdb|affectnet|ferplus224|expw)(?!base)'
# Weights from which the networks of each paper start; the first match counts.
SOURCES = (
    # ReSup Sec. 4.2: one network starts from faces, one from ImageNet.
    (
        r'two_networks_\w+_r18_(rafdb|affectnet|ferplus224|expw)(?!base)',
        [FACES, IMAGENET],
    ),
    # ReSup Table 4: all start from ImageNet.
    (r'(ce|alum|dsu|mixstyle|mixup)_r18imagenet', [IMAGENET]),
    (r'two_networks_resup_r18imagenet', [IMAGENET, IMAGENET]),
    (r'ce_r50imagenet', [IMAGENET50]),
    (r'two_networks_resup_r50_', [IMAGENET50, IMAGENET50]),
    (r'ce_mobilenetv2', [MOBILENET]),
    (r'two_networks_resup_mobilenetv2', [MOBILENET, MOBILENET]),
    (r'ce_vgg16_rafdb', [VGG16]),
    (r'two_networks_resup_vgg16_rafdb', [VGG16, VGG16]),
    # All methods of one network.
    (rf'\w+_(r18|r18arm|manet)_{FACES_AT_224}', [FACES]),
    (r'\w+_r50_(rafdb|affectnet|ferplus224)', [FACES50]),
    # Small images and the joint GAN start from scratch.
    (r'\w+_(ferplus|fer2013|mnist|synthfaces|cifar10\w*|rafbase|affectnetbase)', []),
)


def value_of(source, name):
    """Return the value of the tensor ``name`` in the file ``source``."""
    return (zlib.crc32(f'{source} {name}'.encode()) % 10**6 + 1) / 1e6


def made(module, source):
    """Return a state dict whose tensors take no space."""
    return {
        name: torch.tensor(value_of(source, name)).expand(value.shape)
        for name, value in module.state_dict().items()
        if not name.endswith(COUNTER)
    }


def torchvision_resnet(depth):
    with torch.device('meta'):
        return getattr(torchvision.models, f'resnet{depth}')()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder to work in, with all files that configs name.

    Face weights are brought in as the README says; those with an address lie
    in the cache of torch's hub, and nothing is downloaded.
    """
    root = tmp_path_factory.mktemp('weights')
    hub = root / 'hub/checkpoints'
    hub.mkdir(parents=True)
    urls = get_torchvision_models()
    for depth, source in ((18, IMAGENET), (50, IMAGENET50)):
        torch.save(
            made(torchvision_resnet(depth), source),
            hub / Path(urls[f'resnet{depth}']).name,
        )
    with torch.device('meta'):
        zoo = {MOBILENET: MobileNetV2(), VGG16: VGG(16, num_classes=1000)}
    for source, backbone in zoo.items():
        state = {
            f'backbone.{name}': value for name, value in made(backbone, source).items()
        }
        state['head.fc.weight'] = torch.zeros(1000, 8)
        torch.save(
            dict(meta=dict(epoch=300), state_dict=state), hub / Path(source).name
        )
    tool = load_tool('model_converters/import_face_weights.py')
    torch.save(
        dict(
            state_dict={
                f'module.{name}': value
                for name, value in made(torchvision_resnet(18), FACES).items()
            }
        ),
        root / 'published.pth',
    )
    with open(root / 'published.pkl', 'wb') as file:
        pickle.dump(
            {
                name: np.ascontiguousarray(value)
                for name, value in made(torchvision_resnet(50), FACES50).items()
            },
            file,
        )

    def nothing(url, *args, **kwargs):
        raise OSError(f'{url}: no network')

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv('TORCH_HOME', str(root))
        patch.setattr(torch.hub, '_hub_dir', None)
        patch.setattr(torch.hub, 'download_url_to_file', nothing)
        tool.main(['published.pth', FACES])
        tool.main(['published.pkl', FACES50, '--depth', '50'])
        yield root


def networks_of(model):
    """Return the classifiers in a model, in order."""
    names = [n for n in ('network1', 'network2', 'encoder') if hasattr(model, n)]
    return [getattr(model, n) for n in names] or [model]


def assert_from(backbone, source, but=()):
    """Check that each tensor of a backbone has the value of its file."""
    state = {
        name: value
        for name, value in backbone.state_dict().items()
        if not name.endswith(COUNTER)
    }
    wrong = [
        name
        for name, value in state.items()
        if not (value == value_of(source, name)).all()
    ]
    assert wrong == list(but)
    assert len(state) > 50 or 'vgg' in source


def own_layers(backbone):
    """Tensors that no published file has: those of the branches of MA-Net."""
    return [
        name
        for name in backbone.state_dict()
        if name.startswith(('local.', 'multiscale.')) and not name.endswith(COUNTER)
    ]


@pytest.fixture(scope='module')
def initialised():
    """Models that have been checked so far."""
    return set()


@pytest.mark.parametrize('path', PATHS, ids=lambda p: p.stem)
def test_config_starts_from_its_files(path, folder, initialised):
    cfg = Config.fromfile(path)
    name = f'two_networks_{path.stem}' if 'network1' in cfg.model else path.stem
    found = [value for pattern, value in SOURCES if re.match(pattern, name)]
    assert found, f'SOURCES in {__file__} needs a row for {name}'
    sources = found[0]
    cleaned = any(hook['type'] == 'GAAVEHook' for hook in cfg.get('custom_hooks') or [])
    assert cleaned == path.stem.startswith('gaave')
    cfg.model.pop('noise_rate', None)
    settings = json.dumps([cfg.model.to_dict(), cleaned, sources], sort_keys=True)
    if not sources:
        # Initialised in test_configs.py.
        assert 'retrained' not in settings
    if not sources or settings in initialised:
        return
    initialised.add(settings)
    # No weight of a backbone depends on the size of images; small ones are
    # faster.
    cfg.data_preprocessor.input_shape = (3, 64, 64)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.init_weights()
    networks = networks_of(model)
    for network, source in zip(networks, sources, strict=True):
        assert_from(network.backbone, source, own_layers(network.backbone))
        # All other tensors have random weights.
        last = network.head.fc.weight
        assert len(last.unique()) > min(100, last.numel() - 1)
    if cleaned:
        # Base models and annotators.
        base = MODELS.build(classifier_config(cfg, 3))
        base.init_weights()
        assert_from(base.backbone, sources[0], own_layers(base.backbone))


# -- files that are not right -------------------------------------------------
BACKBONE = dict(TINY_CLASSIFIER['backbone'])
PLACE = 'model.backbone.init_cfg'


def classifier(init_cfg, channels=3, **options):
    backbone = dict(BACKBONE, init_cfg=init_cfg)
    return MODELS.build(
        dict(
            TINY_CLASSIFIER,
            backbone=backbone,
            **options,
            data_preprocessor=dict(input_shape=(channels, 16, 16), num_classes=5),
        )
    )


def pretrained(path, **options):
    return dict(type='Pretrained', checkpoint=str(path), **options)


@pytest.fixture
def weights(tmp_path):
    """A file of a tiny backbone, and its state dict, under ``backbone.``."""
    path = tmp_path / 'tiny.pth'
    state = {
        f'backbone.{name}': value.clone()
        for name, value in made(MODELS.build(BACKBONE), 'tiny').items()
    }
    torch.save(dict(state_dict=state), path)
    return path, state


def test_tensors_of_a_file_are_all_loaded(weights):
    for init_cfg in (
        pretrained(weights[0], prefix='backbone'),
        # mmpretrain's ResNet sets some of them to zero here.
        [pretrained(weights[0], prefix='backbone.')],
    ):
        model = classifier(init_cfg)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        check_pretrained(model)
        # The file was loaded on trial only.
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), name
        model.init_weights()
        assert_from(model.backbone, 'tiny')
        with torch.no_grad():
            model.backbone.conv1.weight.fill_(3)
        # As in mmengine, a second call changes nothing.
        model.init_weights()
        assert (model.backbone.conv1.weight == 3).all()


def test_first_convolution_of_grey_images_is_not_in_the_file(weights):
    model = classifier(pretrained(weights[0], prefix='backbone'), channels=1)
    model.init_weights()
    assert_from(model.backbone, 'tiny', but=['conv1.weight'])
    assert len(model.backbone.conv1.weight.unique()) > 9


@pytest.mark.parametrize(
    'change, options, text',
    [
        # The checkpoint of another program.
        (
            lambda state: {f'net.{i}': v for i, v in enumerate(state.values())},
            dict(),
            '100 have no counterpart',
        ),
        # mmengine would only warn of unexpected keys.
        (
            lambda state: state,
            dict(),
            "100 have no counterpart .*fit with .*prefix='backbone'",
        ),
        (
            lambda state: {k[9:]: v for k, v in state.items()},
            dict(prefix='backbone'),
            f'prefix=.backbone.*fit with .*{PLACE}.prefix=None.*_delete_',
        ),
        (
            lambda state: {f'module.{k}': v for k, v in state.items()},
            dict(prefix='backbone'),
            "fit with .*prefix='module.backbone'",
        ),
        # Files of a shallower network, and of another width.
        (
            lambda state: {k: v for k, v in state.items() if 'layer4' not in k},
            dict(prefix='backbone'),
            '25 have no counterpart.*layer4.*another '
            'network.*model.partial_weights=True',
        ),
        (
            lambda state: {k: torch.ones(9) for k in state},
            dict(prefix='backbone'),
            '100 have no counterpart',
        ),
        (
            lambda state: dict(state, **{'backbone.bn1.weight': torch.ones(9)}),
            dict(prefix='backbone'),
            '1 have no counterpart .*bn1.weight',
        ),
    ],
)
def test_file_that_does_not_fit_is_refused(weights, change, options, text):
    path, state = weights
    torch.save(change(state), path)
    model = classifier(pretrained(path, **options))
    with pytest.raises(ValueError, match=f'(?s){text}') as error:
        model.init_weights()
    assert str(path) in str(error.value) and PLACE in str(error.value)


def test_layers_of_ones_own(weights):
    """With partial_weights some tensors may be missing, but not all."""
    path, state = weights
    torch.save({k: v for k, v in state.items() if 'layer4' not in k}, path)
    cfg = pretrained(path, prefix='backbone')
    model = classifier(cfg, partial_weights=True)
    model.init_weights()
    lost = [
        k
        for k in model.backbone.state_dict()
        if k.startswith('layer4') and not k.endswith(COUNTER)
    ]
    assert_from(model.backbone, 'tiny', but=lost)
    torch.save({'a': torch.ones(1)}, path)
    with pytest.raises(ValueError, match='no counterpart'):
        classifier(cfg, partial_weights=True).init_weights()


def test_models_of_other_libraries_have_no_option_to_say_it(weights):
    path, state = weights
    torch.save({k: v for k, v in state.items() if 'layer4' not in k}, path)
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(BACKBONE, init_cfg=pretrained(path, prefix='backbone')),
        )
    )
    assert len(check_pretrained(model)) == 75
    torch.save({'a': torch.ones(1)}, path)
    with pytest.raises(ValueError, match='no counterpart'):
        check_pretrained(model)


def test_files_that_cannot_be_read(tmp_path, folder):
    def said(checkpoint, error=ValueError):
        with pytest.raises(error) as caught:
            classifier(pretrained(checkpoint)).init_weights()
        assert str(checkpoint) in str(caught.value)
        assert PLACE in str(caught.value)
        return str(caught.value)

    path = tmp_path / 'weights.pth'
    assert 'import_face_weights.py' in said(path, FileNotFoundError)
    path.write_bytes(b'')
    assert 'is empty' in said(path)
    torch.save(SimpleNamespace(a=1), path)
    assert 'safely' in said(path, pickle.UnpicklingError)
    assert 'resnet19' in said('torchvision://resnet19')
    text = said('https://example.org/weights.pth')
    assert 'no network' in text and str(folder / 'hub/checkpoints') in text


# -- parts that are units -----------------------------------------------------
@pytest.mark.parametrize(
    'old, new, right',
    [
        # Another file, or none, replaces all settings of the old one.
        (pretrained('a', prefix='b'), pretrained('c'), pretrained('c')),
        (pretrained('a', prefix='b'), dict(checkpoint='c'), pretrained('c')),
        (
            pretrained('a', prefix='b'),
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Kaiming', layer='Conv2d'),
        ),
        (dict(type='Kaiming', layer='Conv2d'), pretrained('c'), pretrained('c')),
        (pretrained('a', prefix='b'), None, None),
        (pretrained('a', prefix='b'), [pretrained('c')], [pretrained('c')]),
        (None, pretrained('c'), pretrained('c')),
        ([pretrained('a', prefix='b')], pretrained('c'), pretrained('c')),
        (
            pretrained('a', prefix='b'),
            dict(_delete_=True, **pretrained('c')),
            pretrained('c'),
        ),
        # There is nothing to delete.
        (None, dict(_delete_=True, **pretrained('c')), pretrained('c')),
        # The same file with other settings.
        (pretrained('a', prefix='b'), dict(prefix='c'), pretrained('a', prefix='c')),
        (
            pretrained('a', prefix='b'),
            pretrained('a', map_location='cpu'),
            pretrained('a', prefix='b', map_location='cpu'),
        ),
    ],
)
def test_an_init_cfg_is_one_unit(old, new, right):
    base = dict(backbone=dict(depth=18, init_cfg=old), neck=None)
    options = dict(backbone=dict(style='caffe', init_cfg=new))
    before = json.dumps([base, options])
    assert merge_options(base, options) == dict(
        backbone=dict(depth=18, style='caffe', init_cfg=right), neck=None
    )
    assert json.dumps([base, options]) == before
    del base['backbone']['init_cfg']
    if new is None or 'checkpoint' in new:
        merged = merge_options(base, options)['backbone']['init_cfg']
        assert merged == (new and {k: v for k, v in new.items() if k != '_delete_'})


@pytest.mark.parametrize(
    'options, sources',
    [
        (['model.network1.backbone.init_cfg=None'], [None, IMAGENET]),
        (
            [
                'model.network1.backbone.init_cfg=None',
                'model.network2.backbone.init_cfg=None',
            ],
            [None, None],
        ),
        (['model.network2=None'], [FACES, FACES]),
    ],
)
def test_overrides_of_two_networks(folder, options, sources):
    """Overrides of the README, as the command line passes them."""
    from mmengine.config import DictAction

    cfg = Config.fromfile(f'{CONFIGS}/resup/resup_r18_rafdb.py')
    cfg.merge_from_dict(
        {
            key: DictAction._parse_iterable(value)
            for key, value in (option.split('=') for option in options)
        }
    )
    cfg.data_preprocessor.input_shape = (3, 64, 64)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.init_weights()
    for network, source in zip(model.networks, sources, strict=True):
        if source is None:
            assert len(network.backbone.conv1.weight.unique()) > 9
        else:
            assert_from(network.backbone, source)


def test_missing_weights_of_a_pair_name_both_networks(tmp_path, monkeypatch):
    """Who trains one of them from scratch needs no download for the other."""
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(f'{CONFIGS}/resup/resup_r18_rafdb.py')
    cfg.data_preprocessor.input_shape = (3, 64, 64)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    with pytest.raises(FileNotFoundError) as error:
        check_pretrained(model)
    assert str(error.value).endswith(
        'model.network1.backbone.init_cfg=None model.network2.backbone.init_cfg=None'
    )


def test_config_that_inherits_a_prefix_is_told_so(folder, tmp_path):
    """mmengine merges config files in depth, which mmfer does not change."""

    def model(init_cfg):
        path = tmp_path / 'mine.py'
        path.write_text(
            f"_base_ = '{CONFIGS}/ce/ce_r18_rafdb.py'\n"
            'data_preprocessor = dict(input_shape=(3, 64, 64))\n'
            f'model = dict(backbone=dict(init_cfg=dict({init_cfg})))\n'
        )
        cfg = Config.fromfile(path)
        return MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))

    settings = f"type='Pretrained', checkpoint='{IMAGENET}'"
    with pytest.raises(ValueError, match='_delete_=True in init_cfg'):
        model(settings).init_weights()
    found = model(f'_delete_=True, {settings}')
    found.init_weights()
    assert_from(found.backbone, IMAGENET)


# -- before anything long -----------------------------------------------------
def test_cleaning_does_not_begin_without_the_weights(tmp_path, monkeypatch):
    """Weights of network 2 are checked as well, though cleaning does not use them."""

    def begun(*args):
        raise AssertionError('the cleaning has begun')

    monkeypatch.setattr(GAAVE, '__call__', begun)
    cfg = tiny_config(
        tmp_path,
        'resup/resup_r18_synthfaces_noise30',
        model__network2=dict(backbone=dict(init_cfg=pretrained('lost.pth'))),
        custom_hooks=[dict(type='NoiseModelHook'), dict(type='GAAVEHook')],
    )
    with pytest.raises(
        FileNotFoundError, match='lost.pth.*model.network2.backbone.init_cfg'
    ):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('place', ['model.network1.backbone.init_cfg', 'base'])
def test_base_models_do_not_begin_without_their_weights(tmp_path, place):
    """GAAVE itself checks weights, so that tools/clean_labels.py does as well."""
    cfg = tiny_config(tmp_path, 'resup/resup_r18_synthfaces_noise30')
    lost = dict(backbone=dict(init_cfg=pretrained('lost.pth')))
    options = {}
    if place == 'base':
        options['base'] = dict(model=dict(network1=lost))
    else:
        cfg.merge_from_dict({place: pretrained('lost.pth')})
    from mmfer.registry import DATASETS

    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    with pytest.raises(
        FileNotFoundError, match='lost.pth.*model.network1.backbone.init_cfg'
    ):
        GAAVE(**options)(cfg, dataset, dataset.pipeline, str(tmp_path), None)


def test_base_models_have_the_weights_of_a_whole_classifier(weights):
    """An init_cfg of a module around the backbone counts, as in training."""
    path, _ = weights
    whole = {
        f'{outer}{name}': value
        for outer in ('', 'network1.')
        for name, value in torch.load(path)['state_dict'].items()
    }
    torch.save(whole, path)
    network = dict(TINY_CLASSIFIER, backbone=BACKBONE)
    for model in (
        dict(network, pretrained=str(path)),
        dict(network, init_cfg=pretrained(path)),
        dict(type='DualNetwork', network1=network, init_cfg=pretrained(path)),
    ):
        cfg = Config(
            dict(
                model=model,
                data_preprocessor=dict(input_shape=(3, 16, 16), num_classes=5),
            )
        )
        base = MODELS.build(classifier_config(cfg, 3))
        base.init_weights()
        assert_from(base.backbone, 'tiny')
