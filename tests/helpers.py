"""A training that takes seconds, for tests."""

import importlib.util
import io
import itertools
import json
import os
import os.path as osp
import shutil
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.cli import run_tool
from mmfer.datasets.base import FERDataset
from mmfer.models import DualNetwork
from mmfer.models.sample_state import TrainingFacts, followers
from mmfer.utils.files import file_lock

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))
CONFIGS = osp.join(ROOT, 'configs')
_COUNTER = itertools.count()
# Bits repeat on a GPU only if they are asked for; see docs/reproducibility.md.
DETERMINISTIC = torch.cuda.is_available()
# GAAVE as in the paper: head and tail, and candidates by thresholds on k. Its defaults
# are others.
STEPS = dict(split=True, criterion='steps', evidence=None)
# For models of several networks.
TINY_CLASSIFIER = dict(
    type='FERClassifier',
    backbone=dict(type='ResNetSmallStem', depth=18, stem_channels=4, base_channels=4),
    neck=dict(type='FeaturePooling'),
    head=dict(type='CEHead'),
)


def environment(**variables) -> dict:
    """Environment of a program that a test starts: one thread, this mmfer.

    Args:
        **variables: Further variables.
    """
    path = os.pathsep.join(filter(None, [ROOT, os.environ.get('PYTHONPATH')]))
    return dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1', **variables)


def load_tool(path: str):
    """A script as a module.

    Args:
        path (str): Below ``tools/``.
    """
    path = osp.join(ROOT, 'tools', path)
    name = osp.splitext(osp.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = module
    # Scripts import what lies beside them.
    sys.path.insert(0, osp.dirname(path))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def call_tool(path: str, *arguments, code: int = 0) -> str:
    """Run a tool in this process; starting another takes seconds.

    Args:
        path (str): Below ``tools/``.
        *arguments: Of the command line.
        code (int): The exit code that it should have.

    Returns:
        str: What it says: its standard output, or its error.
    """
    tool = load_tool(path)
    said = io.StringIO()
    line = [path, *map(str, arguments)]
    try:
        with mock.patch.object(sys, 'argv', line), redirect_stdout(said):
            run_tool(tool.main)
    except SystemExit as error:
        assert code == (1 if error.code else 0), error.code
        return str(error.code) if error.code else said.getvalue()
    assert code == 0, said.getvalue()
    return said.getvalue()


def tiny_config(
    work_dir, name: str = 'alum/alum_r18_synthfaces_noise30', **options
) -> Config:
    """A synthfaces config shrunk to a few hundred small faces.

    Args:
        work_dir (Path): Work dir.
        name (str): Config below ``configs/``, on synthfaces.
        **options: Overrides, with ``__`` for dots.
    """
    cfg = Config.fromfile(osp.join(CONFIGS, f'{name}.py'))
    network = 'model.network1' if 'network1' in cfg.model else 'model'
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            # Runners of one process share message hubs by this name.
            'experiment_name': f'test_{next(_COUNTER)}',
            f'{network}.backbone.stem_channels': 8,
            f'{network}.backbone.base_channels': 8,
            'data_preprocessor.input_shape': (1, 32, 32),
            'image_size': (36, 36),
            'train_dataloader.dataset.num_samples': 96,
            'train_dataloader.dataset.size': 36,
            'train_dataloader.batch_size': 32,
            'val_dataloader.dataset.num_samples': 50,
            'val_dataloader.dataset.size': 36,
            'train_cfg.max_epochs': 3,
            'optim_wrapper.dtype': 'float32',
            'randomness.deterministic': DETERMINISTIC,
            'param_scheduler.milestones': [2],
        }
    )
    for loader in ('train_dataloader', 'val_dataloader'):
        for step in cfg[loader].dataset.pipeline:
            if step.type == 'Resize':
                step.scale = (36, 36)
            if step.type == 'CenterCrop':
                step.crop_size = 32
        cfg[loader].collate_fn = dict(type='default_collate')
    cfg.merge_from_dict(
        {key.replace('__', '.'): value for key, value in options.items()}
    )
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


# Options of models and heads that count epochs, which short runs would not reach.
SCHEDULES = ('relabel_epoch', 'ramp_epochs', 'warmup_epochs', 'truncate_from')


def shorten_schedules(cfg: Config) -> Config:
    """Let each part of a schedule that a config states begin after one epoch.

    Args:
        cfg (Config): Training config; it is changed.
    """
    for part in (cfg.model, cfg.model.get('head', {})):
        part.update({name: 1 for name in SCHEDULES if part.get(name) is not None})
    return cfg


# An epoch after the warm-up of any method.
LATE = 9_999


def made_once(tmp_path_factory, name: str, make) -> Path:
    """Return a folder that is made once for all processes of pytest-xdist.

    Each of them would make the fixtures of a file again, if it got tests of it.

    Args:
        tmp_path_factory: Fixture of pytest.
        name (str): Name of the folder.
        make (Callable): Function that gets the empty folder.
    """
    root = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        root = root.parent
    folder, done = root / name, root / f'{name}.done'
    with file_lock(str(root / f'{name}.lock')):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def begin_training(model, epoch: int = 0, num_samples: int = 800) -> None:
    """Tell a model what the hooks of a run would tell it.

    Args:
        model: Any model.
        epoch (int): Epoch that begins, 0-based.
        num_samples (int): Samples of the training set.
    """
    for _, part in followers(model):
        part.start_training(TrainingFacts(num_samples, LATE + 1))
        part.start_epoch(epoch)
    if isinstance(model, DualNetwork):
        model.start_epoch(min(epoch, model.warmup_epochs))


def train(cfg: Config, *hooks) -> Runner:
    """Train ``cfg`` with further hooks; returns the runner."""
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def assert_same_state(first: dict, second: dict) -> None:
    """Two state dicts are equal bit for bit."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        # A resumed optimizer may keep its step counts elsewhere.
        assert torch.equal(value.cpu(), second[name].cpu()), name


def poison_clean_labels(monkeypatch) -> None:
    """From here on, every data set has wrong clean labels in its sidecar."""
    load = FERDataset.load_data_list

    def poisoned(self):
        samples = load(self)
        labels = self._labels
        if labels.clean is not None:
            labels.clean = (labels.clean + 3) % self.num_classes
        return samples

    monkeypatch.setattr(FERDataset, 'load_data_list', poisoned)


def patch_training(monkeypatch, train) -> None:
    """From here on, GAAVE trains all its models with another function."""
    for name in ('models', 'subset_training'):
        monkeypatch.setattr(f'mmfer.methods.gaave.{name}.train_classifier', train)


class Stop(Exception):
    """What :class:`StopAt` raises."""


class StopAt(Hook):
    """Stop the training at a hook point of an epoch."""

    def __init__(self, point, epoch):
        self.epoch = epoch
        setattr(self, point, self.stop)

    def stop(self, runner, *args, **kwargs):
        if runner.epoch == self.epoch:
            raise Stop


class StopAfter(Hook):
    """Stop the training after an iteration, before anything is saved for it."""

    priority = 'LOWEST'

    def __init__(self, iterations):
        self.iterations = iterations

    def after_train_iter(self, runner, batch_idx, **kwargs):
        if runner.iter + 1 == self.iterations:
            raise Stop


def copy_work_dir(source, target) -> None:
    """Copy a work dir as a killed run would have left it there.

    Args:
        source (Path): Work dir; files that name the last checkpoint may lie
            in any folder of it.
        target (Path): Folder of the copy.
    """
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in Path(target).rglob('last_checkpoint'):
        path.write_text(path.read_text().replace(str(source), str(target)))


class CopyAt(Hook):
    """Copy the work dir at a hook point of an epoch, for runs to resume there."""

    def __init__(self, point, epoch, target):
        self.epoch, self.target = epoch, target
        setattr(self, point, self.copy)

    def copy(self, runner, *args, **kwargs):
        if runner.epoch == self.epoch:
            copy_work_dir(runner.work_dir, self.target)


@contextmanager
def mounted_disk(folder: Path, size: str):
    """A small disk at a folder; skips the test if this process may not mount one.

    Args:
        folder (Path): It is created.
        size (str): For example ``64k``.
    """
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder)]
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        pytest.skip('there is no program mount')
    if done.returncode:
        pytest.skip('this process may not mount a disk')
    try:
        yield folder
    finally:
        # Files that are still open, such as logs, do not keep it.
        subprocess.run(['umount', '-l', str(folder)], check=True)


def results(work_dir):
    """History, summary and scores of a training, without times."""
    history = json.loads((work_dir / 'history.json').read_text())
    for entry in history:
        del entry['seconds']
    summary = json.loads((work_dir / 'summary.json').read_text())
    for name in ('seconds', 'images_per_second'):
        del summary[name]
    scores = (work_dir / 'sample_scores.csv').read_text()
    return history, summary, scores


def optimizer_state(runner):
    """State of the optimizer as one flat dict of tensors."""
    state = runner.optim_wrapper.optimizer.state_dict()['state']
    return {
        f'{index}.{name}': torch.as_tensor(value)
        for index, entry in state.items()
        for name, value in entry.items()
    }
