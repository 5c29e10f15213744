"""Every config builds, trains a step and validates a step on made data."""
import math
import re
from pathlib import Path

import pytest
import torch
from helpers import CONFIGS
from made_data import make_ferplus, make_rafdb
from mmengine.config import Config
from mmengine.runner import Runner

PATHS = sorted(p for p in Path(CONFIGS).glob('*/*.py')
               if p.parent.name != '_base_')
NAME = re.compile(r'(?P<method>[a-z]+)_(?P<backbone>[a-z0-9]+)_'
                  r'(?P<dataset>[a-z0-9]+)(_(?P<noise>[a-z0-9]+))?')


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    return dict(
        ferplus=make_ferplus(root / 'ferplus'), rafdb=make_rafdb(root / 'raf'))


@pytest.mark.parametrize('path', PATHS, ids=lambda p: p.stem)
def test_config(path, roots, tmp_path):
    name = NAME.fullmatch(path.stem)
    assert name and name['method'] == path.parent.name
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = f'{path.stem}_{id(tmp_path)}'
    if 'init_cfg' in cfg.model.backbone:
        assert cfg.model.backbone.init_cfg.type == 'Pretrained'
        cfg.model.backbone.init_cfg = None
    for key in ('train_dataloader', 'val_dataloader'):
        loader = cfg[key]
        loader.batch_size = 4
        loader.num_workers = 0
        loader.collate_fn = dict(type='default_collate')
        if name['dataset'] in roots:
            loader.dataset.data_root = str(roots[name['dataset']])
        else:
            loader.dataset.num_samples = 14
    cfg.test_dataloader = cfg.val_dataloader
    noise = cfg.train_dataloader.dataset.get('label_noise')
    assert (name['noise'] is None) == (noise is None)
    if noise is not None:
        assert noise.type == 'SymmetricNoise'
        assert name['noise'] == f'noise{noise.rate * 100:.0f}'
    assert 'label_noise' not in cfg.val_dataloader.dataset

    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    runner.optim_wrapper = wrapper
    runner.build_param_scheduler(cfg.param_scheduler)
    model = runner.model
    model.init_weights()
    before = {k: v.clone() for k, v in model.named_parameters()}
    model.train()
    log = model.train_step(next(iter(runner.train_dataloader)), wrapper)
    assert math.isfinite(log['loss'].item())
    moved = {k for k, v in model.named_parameters()
             if not torch.equal(v, before[k])}
    # From end to end; zero-initialised residual branches start a step later.
    assert {'backbone.conv1.weight', 'head.fc.weight'} <= moved

    model.eval()
    evaluator = runner.build_evaluator(cfg.val_evaluator)
    batch = next(iter(runner.val_dataloader))
    with torch.no_grad():
        predictions = model.val_step(batch)
    assert all(p.uncertainty >= 0 for p in predictions)
    evaluator.process(predictions, batch)
    metrics = evaluator.evaluate(len(predictions))
    assert {'accuracy/top1', 'accuracy/mean_class'} <= set(metrics)


def test_no_config_is_commented_out_code():
    for path in Path(CONFIGS).rglob('*.py'):
        for line in path.read_text().splitlines():
            assert not re.match(r'\s*#\s*(\w+\s*=|dict\()', line), path


def test_papers_settings():
    """The numbers of ALUM Sec. 4.1 and of RUL's code, as resolved."""
    alum = Config.fromfile(f'{CONFIGS}/alum/alum_r18_rafdb_noise30.py')
    assert alum.train_dataloader.batch_size == 128
    assert alum.optim_wrapper.optimizer == dict(
        type='Adam', lr=4e-4, weight_decay=1e-4)
    assert alum.optim_wrapper.paramwise_cfg.custom_keys['head.fc'].lr_mult \
        == 10
    assert alum.train_cfg.max_epochs == 60
    rul = Config.fromfile(f'{CONFIGS}/rul/rul_r18_rafdb.py')
    assert rul.train_dataloader.batch_size == 64
    assert rul.optim_wrapper.optimizer.lr == 2e-4
    assert rul.param_scheduler.gamma == .9
