"""Every config reads made data; one of each kind trains and validates a step.

``pytest -m slow`` trains a step of all others as well.
"""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from helpers import CONFIGS
from made_data import make_affectnet, make_cifar10, make_ferplus, make_rafdb
from mmengine.config import Config
from mmengine.runner import Runner

from mmfer.registry import DATASETS, PARAM_SCHEDULERS

PATHS = sorted(p for p in Path(CONFIGS).glob('*/*.py') if p.parent.name != '_base_')
NAME = re.compile(
    r'(?P<method>[a-z]+)_((?P<host>(?<=gaave_)[a-z]+)_)?'
    r'(?P<backbone>[a-z0-9]+)_'
    r'(?P<dataset>[a-z0-9]+)'
    r'(_(?P<noise>(?!samples)[a-z0-9]+))?'
    r'(_(?P<schedule>[a-z]+))?'
)


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    rafdb, affectnet = (make_rafdb(root / 'raf'), make_affectnet(root / 'affectnet'))
    return dict(
        affectnet7=affectnet,
        affectnetbase=affectnet,
        rafbase=rafdb,
        affectnet8=make_affectnet(root / 'affectnet8', release='npy'),
        cifar10=make_cifar10(root / 'cifar10'),
        cifar10lt50=root / 'cifar10',
        ferplus=make_ferplus(root / 'ferplus'),
        rafdb=rafdb,
    )


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


def use_made_lists(dataset, folder):
    """What a model said of the made images, instead of the lists named."""
    if 'va_list' in dataset:
        rows = [(f'train_{i + 1:05d}.jpg', i % 7 + 1) for i in range(14)]
        dataset.noisy_list = str(folder / 'labels.txt')
        dataset.va_list = str(folder / 'va.txt')
        (folder / 'labels.txt').write_text(
            ''.join(f'{name} {label}\n' for name, label in rows)
        )
        (folder / 'va.txt').write_text(
            ''.join(f'{name} {label / 10} {label / 6 - 1}\n' for name, label in rows)
        )
    if 'table' in dataset:
        dataset.table = str(
            Path(dataset.data_root) / 'Manually_Annotated_file_lists/training.csv'
        )


def networks_of(model):
    """Settings of the classifiers in a model."""
    pair = [model[k] for k in ('network1', 'network2') if k in model]
    return pair or [model.get('encoder', model)]


def kinds(cfg):
    """What a model shows when it is trained: its backbones, and all the rest."""
    model = cfg.model.to_dict()
    model.pop('noise_rate', None)
    backbones = {network.pop('backbone')['type'] for network in networks_of(model)}
    return {json.dumps(model, sort_keys=True, default=str), *backbones}


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
    cfg.work_dir = str(folder)
    cfg.experiment_name = f'{path.stem}_{id(folder)}'
    name = NAME.fullmatch(path.stem)
    for key in ('train_dataloader', 'val_dataloader'):
        loader = cfg[key]
        # The fewest that have batch statistics.
        loader.batch_size = 2
        loader.num_workers = 0
        loader.collate_fn = dict(type='default_collate')
        if name['dataset'] in roots:
            loader.dataset.data_root = str(roots[name['dataset']])
        else:
            loader.dataset.num_samples = 14
    use_made_lists(cfg.train_dataloader.dataset, folder)
    cfg.test_dataloader = cfg.val_dataloader
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


def smaller(settings):
    """Settings of a pipeline for images of 64 instead of 224 px."""
    if isinstance(settings, dict):
        return {key: smaller(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return type(settings)(smaller(value) for value in settings)
    return 64 if settings == 224 else settings


@pytest.mark.parametrize('path', one_of_each_kind())
def test_config_trains(path, roots, tmp_path):
    cfg = made_config(path, roots, tmp_path)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.pipeline = smaller(loader.dataset.pipeline)
    cfg.data_preprocessor.input_shape = smaller(cfg.data_preprocessor.input_shape)
    pair = 'network1' in cfg.model
    game = cfg.model.get('encoder')
    for network in networks_of(cfg.model):
        if 'init_cfg' in network.backbone:
            network.backbone.init_cfg = None
        if network.backbone.type == 'PlainVGG16':
            # Narrow ones train a step in a tenth of the time.
            network.backbone.base_channels = 8
    if game is not None:
        for player in ('decoder', 'discriminator'):
            cfg.merge_from_dict({f'model.{player}.base_channels': 8})

    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    runner.optim_wrapper = wrapper
    if cfg.param_scheduler:
        runner.build_param_scheduler(cfg.param_scheduler)
    model = runner.model
    model.init_weights()
    if pair:
        model.start_epoch(model.warmup_epochs)
    before = {k: v.clone() for k, v in model.named_parameters()}
    model.train()
    log = model.train_step(next(iter(runner.train_dataloader)), wrapper)
    assert math.isfinite(log['loss'].item())
    moved = {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    # From end to end; zero-initialised residual branches start a step later.
    networks = ('network1.', 'network2.') if pair else ('encoder.',) if game else ('',)
    head = cfg.model.get('encoder', cfg.model).get('head', {}).get('type')
    last = 'labels' if head == 'MultiTaskHead' else 'fc'
    for network in networks:
        first = next(k for k in before if k.startswith(f'{network}backbone'))
        assert {first, f'{network}head.{last}.weight'} <= moved
    if game is not None:
        players = {name.split('.')[0] for name in moved}
        assert players == {'encoder', 'discriminator'} | (
            {'decoder'} if model.decoder is not None else set()
        )

    model.eval()
    evaluator = runner.build_evaluator(cfg.val_evaluator)
    batch = next(iter(runner.val_dataloader))
    with torch.no_grad():
        predictions = model.val_step(batch)
    assert all(p.uncertainty >= 0 for p in predictions)
    evaluator.process(predictions, batch)
    metrics = evaluator.evaluate(len(predictions))
    assert {'accuracy/top1', 'accuracy/mean_class'} <= set(metrics)


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
