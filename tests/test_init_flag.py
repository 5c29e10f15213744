"""``--init`` of ``mmfer train`` and ``mmfer clean``, as a user gives it."""

import json
from pathlib import Path

import pytest
import torch
from helpers import STEPS, call_tool, tiny_config
from mmengine.config import Config

from mmfer.registry import MODELS

CE = 'ce/ce_r18_synthfaces_noise30'


@pytest.fixture
def source(tmp_path):
    """A checkpoint of the tiny network, and its backbone."""
    cfg = tiny_config(tmp_path / 'none', CE)
    settings = dict(cfg.model.to_dict(), data_preprocessor=cfg.data_preprocessor)
    torch.manual_seed(1)
    model = MODELS.build(settings)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'weights ü.pth')
    return tmp_path / 'weights ü.pth', model.backbone


@pytest.fixture
def config(tmp_path):
    """A config file whose runs change no weight: the learning rate is 0."""
    cfg = tiny_config(
        tmp_path / 'run',
        CE,
        train_cfg__max_epochs=1,
        optim_wrapper__optimizer__lr=0.0,
        optim_wrapper__optimizer__weight_decay=0.0,
    )
    del cfg._cfg_dict['work_dir']
    path = tmp_path / 'tiny.py'
    cfg.dump(path)
    return path


def assert_same_parameters(backbone, state):
    for name, value in backbone.named_parameters():
        assert torch.equal(value, state[f'backbone.{name}']), name


def test_train(source, config, tmp_path, monkeypatch):
    path, backbone = source
    monkeypatch.chdir(tmp_path)
    call_tool('train.py', config, '--init', path)
    # The run has its own name, so that it does not replace one from random weights.
    work_dir = tmp_path / 'work_dirs/tiny_from_weights'
    content = torch.load(work_dir / 'epoch_1.pth', weights_only=False)
    assert_same_parameters(backbone, content['state_dict'])
    log = next(work_dir.glob('*/*.log')).read_text()
    assert log.count('--init') == 1 and 'the backbone and head start from' in log
    # What it started from is in the record, in the config and in its hash.
    sha256 = json.loads(content['provenance']['settings']['initial_weights.sha256'])
    cfg = Config.fromfile(work_dir / 'tiny_from_weights.py')
    assert cfg.initial_weights.sha256 == sha256 and len(sha256) == 64
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['config'] == 'tiny_from_weights'
    # The stored config starts from the same file, but not from a changed one.
    call_tool('train.py', work_dir / 'tiny_from_weights.py', '--work-dir', 'again')
    again = torch.load(tmp_path / 'again/epoch_1.pth', weights_only=False)
    assert_same_parameters(backbone, again['state_dict'])
    assert (
        again['provenance']['config_sha256'] == content['provenance']['config_sha256']
    )
    torch.save(dict(state_dict={'a': torch.ones(1)}), path)
    stored = work_dir / 'tiny_from_weights.py'
    said = call_tool('train.py', stored, '--work-dir', 'third', code=1)
    assert 'has changed since' in said
    assert not Path('third').exists()
    said = call_tool('train.py', config, '--init', path, '--work-dir', 'x', code=1)
    assert 'do not fit model.backbone' in said and not Path('x').exists()


def test_clean_starts_from_it(source, config, tmp_path, monkeypatch):
    path, backbone = source
    monkeypatch.chdir(tmp_path)
    hook = {
        **STEPS,
        'type': 'GAAVEHook',
        'split': False,
        'fit': 'full',
        'attack': dict(steps=1),
    }
    config.write_text(f'{config.read_text()}\ncustom_hooks = [{hook}]\n')
    call_tool('clean_labels.py', config, '--out', 'cleaned', '--init', path)
    log = next(Path('cleaned').glob('*/*.log')).read_text()
    assert '--init' in log
    models = list(Path('cleaned').rglob('model/*.pth'))
    # A base model, and an annotator if there are candidates.
    assert models
    for model in models:
        state = torch.load(model, weights_only=False)['state_dict']
        assert_same_parameters(backbone, state)
