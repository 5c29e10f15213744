"""Every config reads made data; one of each kind trains and validates a step.

``pytest -m slow`` trains a step of all others as well.
"""

import re
from pathlib import Path

import pytest
import torch
from config_steps import (
    NAME,
    kinds,
    make_roots,
    networks_of,
    shrink,
    take_step,
    use_made_data,
)
from helpers import CONFIGS
from mmengine.config import Config

from mmfer.registry import DATASETS, PARAM_SCHEDULERS

PATHS = sorted(p for p in Path(CONFIGS).glob('*/*.py') if p.parent.name != '_base_')


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    return make_roots(tmp_path_factory.mktemp('data'))


def noise_name(noise):
    if noise is None:
        return None
    if noise.type == 'Annotators':
        return 'multinoise'
    prefix = dict(
        SymmetricNoise='noise',
        AsymmetricNoise='asym',
        PairNoise='pair',
        BernoulliUniformNoise='uniform',
    )[noise.type]
    return f'{prefix}{noise.rate * 100:.0f}'


def one_of_each_kind():
    """All configs, those that show nothing new marked as slow."""
    seen, params = set(), []
    for path in PATHS:
        found = kinds(Config.fromfile(path))
        marks = pytest.mark.slow if found <= seen else ()
        seen |= found
        params.append(pytest.param(path, marks=marks, id=path.stem))
    return params


def made_config(path, roots, folder):
    """A config that reads made data, two images at a time."""
    cfg = Config.fromfile(path)
    name = NAME.fullmatch(path.stem)
    use_made_data(cfg, folder, roots.get(name['dataset']))
    return cfg


@pytest.fixture(scope='module')
def read():
    """Settings of the data sets that have been read so far."""
    return set()


@pytest.mark.parametrize('path', PATHS, ids=lambda p: p.stem)
def test_config_reads_its_data(path, roots, read, tmp_path):
    name = NAME.fullmatch(path.stem)
    assert name, f'{path.stem}: write {{method}}_{{backbone}}_{{dataset}}[_{{noise}}]'
    assert name['method'] == path.parent.name
    cfg = made_config(path, roots, tmp_path)
    # Without it mmpretrain.get_model finds none of our classes.
    assert cfg.model._scope_ == 'mmfer'
    noise = cfg.train_dataloader.dataset.get('label_noise')
    assert name['noise'] == noise_name(noise), 'the last part is the planted noise'
    assert 'label_noise' not in cfg.val_dataloader.dataset
    for network in networks_of(cfg.model):
        assert network.backbone.get('init_cfg', {}).get('type') in (None, 'Pretrained')
    # Without it the noise models would never be fitted.
    assert ('network1' in cfg.model) == (
        'NoiseModelHook' in {hook.type for hook in cfg.get('custom_hooks', [])}
    )
    shape = tuple(cfg.data_preprocessor.input_shape)
    for key in ('train_dataloader', 'val_dataloader'):
        settings = str((shape, Config.fromfile(path)[key].dataset.to_dict()))
        if settings in read:
            continue
        read.add(settings)
        sample = DATASETS.build(cfg[key].dataset)[0]
        assert tuple(sample['inputs'].shape) == shape
        assert sample['data_samples'].gt_label < cfg.data_preprocessor.num_classes


@pytest.mark.parametrize('path', one_of_each_kind())
def test_config_trains(path, roots, tmp_path):
    cfg = made_config(path, roots, tmp_path)
    shrink(cfg)
    take_step(cfg)


@pytest.mark.parametrize(
    'path',
    [p for p in PATHS if p.parent.name in ('coteaching', 'jocor')],
    ids=lambda p: p.stem,
)
def test_small_loss_methods_are_told_the_noise_rate(path):
    """``--noise`` tells it to all others, see tests/engine/test_variants.py."""
    cfg = Config.fromfile(path)
    noise = cfg.train_dataloader.dataset.get('label_noise')
    told = cfg.model.get('noise_rate')
    if noise is None or path.stem.endswith('_estimated'):
        assert told is None
    else:
        assert noise.type == 'SymmetricNoise' and told == noise.rate


def test_no_config_is_commented_out_code():
    for path in Path(CONFIGS).rglob('*.py'):
        for line in path.read_text().splitlines():
            assert not re.match(r'\s*#\s*(\w+\s*=|dict\()', line), path


def test_papers_settings():
    """The numbers of ALUM Sec. 4.1 and of RUL's code, as resolved."""
    alum = Config.fromfile(f'{CONFIGS}/alum/alum_r18_rafdb_noise30.py')
    assert alum.train_dataloader.batch_size == 128
    assert alum.optim_wrapper.optimizer == dict(type='Adam', lr=4e-4, weight_decay=1e-4)
    assert alum.optim_wrapper.paramwise_cfg.custom_keys['head.fc'].lr_mult == 10
    assert alum.train_cfg.max_epochs == 60
    resup = Config.fromfile(f'{CONFIGS}/resup/resup_r18_rafdb.py')
    assert resup.train_dataloader.batch_size == 96
    assert resup.optim_wrapper.optimizer == dict(type='Adam', lr=2e-4)
    assert resup.param_scheduler.milestones == [10, 20]
    assert resup.train_cfg.max_epochs == 30
    assert not resup.train_dataloader.drop_last
    ferplus = Config.fromfile(f'{CONFIGS}/resup/resup_r18_ferplus224.py')
    assert ferplus.data_preprocessor.input_shape == (3, 224, 224)
    assert ferplus.data_preprocessor.num_classes == 8
    assert ferplus.train_dataloader.dataset.split == 'train'
    assert ferplus.test_dataloader.dataset.split == 'test'
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert ferplus[key] == resup[key], key
    # JoCoR's code, whose set-up ReSup has on CIFAR-10, drops the last batch.
    cifar = Config.fromfile(f'{CONFIGS}/resup/resup_cnn7_cifar10.py')
    assert cifar.train_dataloader.drop_last
    rul = Config.fromfile(f'{CONFIGS}/rul/rul_r18_rafdb.py')
    assert rul.train_dataloader.batch_size == 64
    assert rul.optim_wrapper.optimizer.lr == 2e-4
    assert rul.param_scheduler.gamma == 0.9


def test_cifar_schedule_is_that_of_jocor():
    """Rate (200 - e) / 120 and first momentum .1 from epoch 80 on."""
    cfg = Config.fromfile(f'{CONFIGS}/resup/resup_cnn7_cifar10.py')
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(s, optimizer=optimizer))
        for s in cfg.param_scheduler
    ]
    assert cfg.train_cfg.max_epochs == 200
    for epoch in range(200):
        group = optimizer.param_groups[0]
        share = min((200 - epoch) / 120, 1)
        assert group['lr'] == pytest.approx(1e-3 * share), epoch
        assert group['betas'][0] == pytest.approx(0.1 if epoch >= 80 else 0.9)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
