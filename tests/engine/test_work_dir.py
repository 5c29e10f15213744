"""One training per work dir, and nothing of earlier ones is lost."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers import Stop, StopAt, environment, tiny_config, train
from mmengine.config import Config
from mmengine.hooks import Hook

from mmfer.cli.common import build_runner
from mmfer.engine import work_dir as module
from mmfer.engine.work_dir import (
    WorkDirBusyError,
    claimed_work_dir,
    earlier_results,
    leave_work_dir,
    take_work_dir,
)
from mmfer.utils.leftovers import create_temporary

OWNER = """
import sys
from mmfer.engine.work_dir import take_work_dir
take_work_dir(sys.argv[1])
print('locked', flush=True)
sys.stdin.read()
"""
ONE_EPOCH = dict(train_cfg__max_epochs=1)


@pytest.fixture
def owner(tmp_path):
    """Another process that trains in ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, '-c', OWNER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout.readline() == 'locked\n'
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


# -- lock ----------------------------------------------------------------------
def test_a_second_training_is_refused(owner, tmp_path):
    text = f'{tmp_path} .process {owner.pid} on .*another --work-dir'
    with pytest.raises(WorkDirBusyError, match=text):
        take_work_dir(str(tmp_path))
    # The same folder by another name.
    link = tmp_path.parent / f'{tmp_path.name}_link'
    link.symlink_to(tmp_path)
    with pytest.raises(WorkDirBusyError):
        train(tiny_config(link, 'ce/ce_r18_synthfaces', **ONE_EPOCH))
    assert not list(tmp_path.glob('*.pth'))
    # The operating system ends the lock.
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    key = take_work_dir(str(tmp_path))
    assert json.loads((tmp_path / 'run.lock').read_text())['pid'] == os.getpid()
    leave_work_dir(key)
    assert not (tmp_path / 'run.lock').exists()


def test_trainings_of_one_process_share_the_lock(tmp_path):
    """A training that has failed may not have given its lock back."""
    first, second = take_work_dir(str(tmp_path)), take_work_dir(f'{tmp_path}/.')
    leave_work_dir(first)
    assert (tmp_path / 'run.lock').exists()
    leave_work_dir(second)
    leave_work_dir(second)
    assert not (tmp_path / 'run.lock').exists()


def test_workers_do_not_keep_the_lock(tmp_path):
    """A worker of a killed training may live for some seconds."""
    key = take_work_dir(str(tmp_path))
    handle = module._LOCKS[key].handle
    context = multiprocessing.get_context('fork')
    started = context.Event()
    worker = context.Process(target=lambda: started.set() or time.sleep(60))
    worker.start()
    assert started.wait(60)
    try:
        # As if this process were killed: the lock is not ended, only closed.
        module._LOCKS.clear()
        os.close(handle)
        leave_work_dir(take_work_dir(str(tmp_path)))
    finally:
        worker.kill()
        worker.join()


def test_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'try_lock', lambda handle: None)
    said = []
    monkeypatch.setattr(module, 'print_log', lambda text, *a, **k: said.append(text))
    key = take_work_dir(str(tmp_path))
    assert len(said) == 1 and 'has no locks' in said[0]
    leave_work_dir(key)


def test_a_removed_work_dir_can_be_left(tmp_path):
    key = take_work_dir(str(tmp_path / 'run'))
    shutil.rmtree(tmp_path / 'run')
    leave_work_dir(key)


def test_only_the_first_process_locks(tmp_path, monkeypatch):
    cfg = Config(dict(work_dir=str(tmp_path), launcher='pytorch'))
    for launcher, name in (
        ('pytorch', 'RANK'),
        ('slurm', 'SLURM_PROCID'),
        ('mpi', 'OMPI_COMM_WORLD_RANK'),
    ):
        monkeypatch.setenv(name, '1')
        with claimed_work_dir(Config(dict(work_dir=str(tmp_path), launcher=launcher))):
            assert not os.listdir(tmp_path)
    monkeypatch.setenv('RANK', '0')
    with claimed_work_dir(cfg):
        assert os.listdir(tmp_path) == ['run.lock']
    assert not os.listdir(tmp_path)


def test_the_lock_is_held_during_the_training(tmp_path):
    seen = []

    class Look(Hook):
        def after_train(self, runner):
            seen.append((tmp_path / 'run.lock').exists())

    train(tiny_config(tmp_path, 'ce/ce_r18_synthfaces', **ONE_EPOCH), Look())
    assert seen == [True] and not (tmp_path / 'run.lock').exists()


def test_temporary_files_of_killed_runs_are_removed(tmp_path):
    """Also those of files that this run does not write."""
    out = tmp_path / 'out/run'
    out.mkdir(parents=True)
    (tmp_path / 'run').mkdir()
    left = [
        tmp_path / 'run/.epoch_9.pth.abcd1234.tmp',
        out / '.iter_7.pth.abcd1234.tmp',
    ]
    for path in left:
        path.write_bytes(b'half')
    handle, written = create_temporary(str(tmp_path / 'run/epoch_8.pth'))
    options = dict(ONE_EPOCH, default_hooks__checkpoint__out_dir=str(tmp_path / 'out'))
    train(tiny_config(tmp_path / 'run', 'ce/ce_r18_synthfaces', **options))
    assert not any(path.exists() for path in left)
    # That one is being written.
    assert os.path.exists(written)
    os.close(handle)


# -- earlier results -----------------------------------------------------------
def files_of(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name != 'run.lock'
    }


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    train(tiny_config(folder, 'ce/ce_r18_synthfaces_noise30', **ONE_EPOCH))
    return folder


@pytest.fixture
def again(finished, tmp_path):
    folder = tmp_path / 'again'
    shutil.copytree(finished, folder)
    return folder


def test_results_are_moved_aside(again):
    before = files_of(again)
    options = dict(ONE_EPOCH, optim_wrapper__optimizer__lr=1e-4)
    train(tiny_config(again, 'ce/ce_r18_synthfaces', **options))
    (folder,) = (again / 'previous').iterdir()
    config = 'ce_r18_synthfaces_noise30.py'
    kept = files_of(folder)
    assert {*kept} == {*earlier_results(str(folder)), config}
    assert {
        'summary.json',
        'history.json',
        'sample_scores.csv',
        'predictions.npz',
        'label_noise.json',
        'epoch_1.pth',
        'last_checkpoint',
        config,
    } == {*kept}
    assert kept == {name: before[name] for name in kept}
    # The new run has none of the old files.
    assert not (again / 'label_noise.json').exists()
    assert not (again / config).exists()
    assert files_of(again)['summary.json'] != before['summary.json']
    # The folder is a work dir.
    train(
        tiny_config(
            folder, 'ce/ce_r18_synthfaces_noise30', resume=True, train_cfg__max_epochs=2
        )
    )
    assert (folder / 'epoch_2.pth').exists()


def test_an_earlier_config_of_the_same_name_is_kept(again):
    """A runner overwrites it before any hook is called."""
    before = files_of(again)['ce_r18_synthfaces_noise30.py']
    options = dict(ONE_EPOCH, optim_wrapper__optimizer__lr=1e-4)
    train(tiny_config(again, 'ce/ce_r18_synthfaces_noise30', **options))
    (folder,) = (again / 'previous').iterdir()
    kept = (folder / 'ce_r18_synthfaces_noise30.py').read_bytes()
    assert kept.strip() == before.strip()
    assert b'lr=0.0001' in (again / 'ce_r18_synthfaces_noise30.py').read_bytes()


def test_the_tools_keep_the_config_until_a_training_begins(again):
    """A test, or a refused training, does not change what FERInferencer reads."""
    before, name = files_of(again), 'ce_r18_synthfaces_noise30.py'
    options = dict(ONE_EPOCH, optim_wrapper__optimizer__lr=1e-4)
    build_runner(tiny_config(again, 'ce/ce_r18_synthfaces'))
    runner = build_runner(tiny_config(again, f'ce/{name[:-3]}', **options))
    assert files_of(again) == before
    runner.train()
    (folder,) = (again / 'previous').iterdir()
    assert files_of(folder)[name].strip() == before[name].strip()
    assert b'lr=0.0001' in files_of(again)[name]
    # A run that goes on writes its config, too.
    options = dict(options, resume=True, train_cfg__max_epochs=2)
    runner = build_runner(tiny_config(again, f'ce/{name[:-3]}', **options))
    assert b'max_epochs=1' in files_of(again)[name]
    runner.train()
    assert b'max_epochs=2' in files_of(again)[name]
    # In a work dir without results, it is there from the start.
    new = again / 'new'
    build_runner(tiny_config(new, f'ce/{name[:-3]}'))
    assert (new / name).exists()


@pytest.mark.parametrize('point', ['before_train', 'before_train_iter'])
def test_a_run_that_fails_early_has_moved_nothing(again, point):
    before = files_of(again)
    cfg = tiny_config(again, 'ce/ce_r18_synthfaces', **ONE_EPOCH)
    with pytest.raises(Stop):
        train(cfg, StopAt(point, 0))
    after = files_of(again)
    after.pop('ce_r18_synthfaces.py')
    assert before == after


@pytest.mark.parametrize('calls', range(0, 6, 2))
def test_a_kill_while_moving(again, monkeypatch, calls):
    """Each file is in exactly one place, and the next run moves the rest."""
    before = files_of(again)
    rename, done = os.rename, []

    def killed(source, target):
        if len(done) == calls:
            raise KeyboardInterrupt
        done.append(source)
        rename(source, target)

    cfg = tiny_config(again, 'ce/ce_r18_synthfaces_noise30', **ONE_EPOCH)
    with monkeypatch.context() as patch:
        patch.setattr(module.os, 'rename', killed)
        with pytest.raises(KeyboardInterrupt):
            train(cfg)
    (folder,) = (again / 'previous').iterdir()
    parts = [files_of(again), files_of(folder)]
    for name in earlier_results(str(again)) + earlier_results(str(folder)):
        assert sum(name in part for part in parts) == 1
        assert before[name] in (parts[0].get(name), parts[1].get(name))
    train(tiny_config(again, 'ce/ce_r18_synthfaces_noise30', **ONE_EPOCH))
    found = {}
    for folder in (again / 'previous').iterdir():
        found.update(files_of(folder))
    assert {name: found.get(name) for name in before if not name.endswith('.py')} == {
        name: value for name, value in before.items() if not name.endswith('.py')
    }


def test_other_files_stay(again):
    for name in ('notes.txt', 'script.py', 'weights.pth', 'epoch_x.pth'):
        (again / name).write_text('mine')
    train(tiny_config(again, 'ce/ce_r18_synthfaces_noise30', **ONE_EPOCH))
    for name in ('notes.txt', 'script.py', 'weights.pth', 'epoch_x.pth'):
        assert (again / name).read_text() == 'mine'


def test_a_folder_of_checkpoints_elsewhere(tmp_path):
    """mmengine puts them into a folder named after the work dir."""
    options = dict(ONE_EPOCH, default_hooks__checkpoint__out_dir=str(tmp_path / 'out'))
    for seed in (0, 1):
        train(
            tiny_config(
                tmp_path / 'run',
                'ce/ce_r18_synthfaces',
                randomness__seed=seed,
                **options,
            )
        )
    (folder,) = (tmp_path / 'out/run/previous').iterdir()
    assert [path.name for path in folder.glob('*.pth')] == ['epoch_1.pth']
    (folder,) = (tmp_path / 'run/previous').iterdir()
    assert (folder / 'summary.json').exists()
    options.update(train_cfg__max_epochs=2, resume=True, randomness__seed=1)
    runner = train(tiny_config(tmp_path / 'run', 'ce/ce_r18_synthfaces', **options))
    assert runner.iter == 6 and not len(list((tmp_path / 'run/previous').iterdir())) > 1


def test_a_table_that_the_run_would_replace(again):
    table = again / 'sample_scores.csv'
    before = table.read_bytes()
    cfg = tiny_config(
        again,
        'ce/ce_r18_synthfaces_noise30',
        train_dataloader__dataset__decisions=str(table),
        **ONE_EPOCH,
    )
    with pytest.raises(ValueError, match='would replace it. Choose another --work-dir'):
        train(cfg)
    assert table.read_bytes() == before
