"""A full disk ends a run with a message, and the run can go on."""

import errno
import logging
import os
import shutil

import pytest
from helpers import mounted_disk, results, tiny_config, train
from mmpretrain.visualization import UniversalVisualizer

from mmfer.cli import run_training_tool
from mmfer.engine.hooks.work_dir import report_full_disk_once
from mmfer.engine.work_dir import claimed_work_dir
from mmfer.utils.full_disk import DiskFullError

NAME = 'ce/ce_r18_synthfaces_noise30'


def claimed(cfg):
    """Train as the tools do."""
    with claimed_work_dir(cfg):
        return train(cfg)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    train(tiny_config(folder, NAME))
    return folder


@pytest.mark.parametrize(
    'name, count',
    [
        ('epoch_2.pth', 1),
        ('last_checkpoint', 2),
        ('history.json', 3),
        ('label_noise.json', 1),
        ('sample_scores.csv', 1),
        ('summary.json', 1),
    ],
)
def test_the_run_goes_on_when_there_is_space(tmp_path, monkeypatch, whole, name, count):
    """Whatever could not be written, the result is that of a run without a stop."""
    replace, calls = os.replace, []

    def full(source, target):
        if os.path.basename(target) == name:
            calls.append(target)
            if len(calls) >= count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', full)
        with pytest.raises(DiskFullError) as error:
            claimed(tiny_config(tmp_path, NAME))
    text = str(error.value)
    assert text.startswith(f'{tmp_path / name} could not be written: the disk is full.')
    assert 'It needs ' in text and ' are free in ' in text
    first = name == 'label_noise.json'
    assert (
        'is intact. Free some space, then start again; a training goes on' in text
    ) != first
    assert not list(tmp_path.glob('.*'))
    claimed(tiny_config(tmp_path, NAME, resume=True))
    assert results(tmp_path) == results(whole)


def test_a_small_disk(tmp_path):
    """The third checkpoint does not fit."""
    with mounted_disk(tmp_path / 'disk', '6m') as disk:
        cfg = tiny_config(disk / 'run', NAME, default_hooks__logger__interval=1)
        with pytest.raises(SystemExit) as error:
            run_training_tool(lambda: claimed(cfg))
        assert 'epoch_2.pth, is intact. Free some space' in str(error.value)
        assert sorted(path.name for path in (disk / 'run').glob('*.pth')) == [
            'epoch_1.pth',
            'epoch_2.pth',
        ]
        shutil.copytree(disk / 'run', tmp_path / 'larger')
    claimed(tiny_config(tmp_path / 'larger', NAME, resume=True))
    assert results(tmp_path / 'larger')[1]['epochs'] == 3


def test_an_error_without_a_name():
    """Libraries may raise a bare OSError."""

    def fail():
        raise OSError(errno.ENOSPC, 'No space left on device')

    with pytest.raises(SystemExit, match='A file could not be written: the disk'):
        run_training_tool(fail)


def test_a_log_on_a_full_disk(tmp_path, capsys):
    """It is said once; a training does not end because of its log."""
    logger = logging.Logger('test')
    handler = logging.FileHandler(tmp_path / 'run.log')
    logger.addHandler(handler)
    report_full_disk_once(logger)
    codes = [errno.ENOSPC, errno.ENOSPC, errno.EIO]

    def write(text):
        raise OSError(codes.pop(0), 'no')

    handler.stream.close()
    handler.stream = type('Stream', (), dict(write=staticmethod(write)))()
    for _ in range(2):
        logger.warning('text')
    said = capsys.readouterr().err
    assert said.count('run.log: the disk is full') == 1 and 'Traceback' not in said
    # Other errors are shown as Python does.
    logger.warning('text')
    assert 'Traceback' in capsys.readouterr().err


def test_values_for_plots_on_a_full_disk(tmp_path, monkeypatch, caplog):
    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, 'no')

    monkeypatch.setattr(UniversalVisualizer, 'add_scalars', full)
    said = []
    monkeypatch.setattr(
        'mmfer.engine.visualizer.print_log', lambda text, *a, **k: said.append(text)
    )
    train(tiny_config(tmp_path, NAME, train_cfg__max_epochs=1))
    assert len(said) == 1 and 'The disk is full' in said[0]
    assert (tmp_path / 'summary.json').exists()
