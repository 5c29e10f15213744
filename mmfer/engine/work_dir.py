"""One training per work dir, which loses nothing of the trainings before it."""

import json
import os
import os.path as osp
import re
import socket
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional
from unittest import mock
from weakref import WeakSet

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmfer.utils.checkpoint_content import inspect_checkpoint
from mmfer.utils.checkpoint_names import CHECKPOINT_NAME, LAST
from mmfer.utils.files import write_atomic
from mmfer.utils.full_disk import DiskFullError
from mmfer.utils.json_files import read_json
from mmfer.utils.leftovers import is_at, try_lock

from .checkpoint_files import checkpoint_folder, name_intact

RESULTS = (
    'summary.json',
    'sample_scores.csv',
    'predictions.npz',
    'rejection_curve.png',
    'label_noise.json',
    'history.json',
)
"""Files in the work dir that belong to one run."""

PREVIOUS = 'previous'
"""Folder in the work dir with the results of earlier runs, by time."""

LOCK = 'run.lock'
"""File in the work dir that a training locks."""

# Checkpoints that CheckpointHook writes beside those that are numbered.
_BEST = re.compile(r'best_.*\.pth')


# Environment variables with the number of a process, by launcher.
_RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


class WorkDirBusyError(RuntimeError):
    """Error for a work dir in which another process trains."""


# -- lock ----------------------------------------------------------------------
class WorkDirLock:
    """Lock of a work dir, shared by all trainings of this process.

    The operating system ends the lock with the process, even if that is killed.
    Forked processes, such as workers of data loaders, do not hold it.

    Args:
        handle (int, optional): Descriptor with the lock; None without locks.
        path (str): The locked file.
    """

    def __init__(self, handle: Optional[int], path: str):
        self.handle, self.path = handle, path
        self.users = 0


# Locks of this process by the real path of the work dir.
_LOCKS: Dict[str, WorkDirLock] = {}


def take_work_dir(folder: str) -> str:
    """Lock a work dir for a training of this process.

    Where the file system has no locks, this only warns.

    Args:
        folder (str): The work dir; it is created.

    Returns:
        str: Key for :func:`leave_work_dir`.

    Raises:
        WorkDirBusyError: Another process trains in the folder.
    """
    os.makedirs(folder, exist_ok=True)
    key = osp.realpath(folder)
    if key not in _LOCKS:
        path = osp.join(folder, LOCK)
        _LOCKS[key] = WorkDirLock(_lock(path, folder), path)
    _LOCKS[key].users += 1
    return key


def leave_work_dir(key: str) -> None:
    """Give the lock of a work dir back; the last training of it removes the file."""
    lock = _LOCKS.get(key)
    if lock is None:
        return
    lock.users -= 1
    if lock.users > 0:
        return
    del _LOCKS[key]
    if lock.handle is None:
        return
    try:
        # Whoever waits for the lock of this file then finds that it is gone.
        if is_at(lock.handle, lock.path):
            os.remove(lock.path)
    except OSError:
        # The folder may have been removed.
        pass
    os.close(lock.handle)


def _lock(path: str, folder: str) -> Optional[int]:
    """Return the descriptor of a locked file; None without locks."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            _warn_without_lock(folder, error.strerror or str(error))
            return None
        locked = try_lock(handle)
        # The last owner may have removed the file since it was opened.
        if locked and not is_at(handle, path):
            os.close(handle)
            continue
        break
    if locked is False:
        owner = _read_owner(path)
        os.close(handle)
        raise WorkDirBusyError(
            f'another training works in {folder} ({owner}). Two trainings would mix '
            'their files. Choose another --work-dir, or wait until it has ended; to '
            'end it, stop that process.'
        )
    if locked is None:
        os.close(handle)
        _warn_without_lock(folder, 'its file system has no locks')
        return None
    text = json.dumps(dict(host=socket.gethostname(), pid=os.getpid()))
    try:
        os.ftruncate(handle, 0)
        os.write(handle, text.encode())
    except OSError:
        # The disk is full. The lock holds all the same.
        pass
    return handle


def _warn_without_lock(folder: str, reason: str) -> None:
    """Warn that nothing keeps a second training out."""
    print_log(
        f'{folder} cannot be locked ({reason}). Take care that no other training '
        'uses it at the same time.',
        'current',
        level=30,
    )


def _read_owner(path: str) -> str:
    """Return who holds the lock, for a message."""
    try:
        owner = read_json(path, dict)
        return f'process {int(owner["pid"])} on {owner["host"]}'
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return 'an unknown process'


def _forget_locks() -> None:
    """Close the descriptors in a forked process, which must not keep the locks."""
    for lock in _LOCKS.values():
        if lock.handle is not None:
            os.close(lock.handle)
    _LOCKS.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_locks)


@contextmanager
def claimed_work_dir(cfg: Config) -> Iterator[None]:
    """Lock the work dir of a config before a runner writes into it.

    Of several processes, only the first one locks it.

    Args:
        cfg (Config): Config with a ``work_dir``.

    Raises:
        WorkDirBusyError: Another process trains in the folder.
    """
    variable = _RANKS.get(cfg.get('launcher', 'none'))
    if variable is not None and os.environ.get(variable, '0') != '0':
        yield
        return
    key = take_work_dir(cfg.work_dir)
    try:
        yield
    except DiskFullError as error:
        name_intact(error, cfg.work_dir)
        raise
    finally:
        leave_work_dir(key)


# -- results of earlier runs ---------------------------------------------------
# Runners that have begun to write results of their own.
_STARTED: 'WeakSet[Runner]' = WeakSet()
# Runners whose config waits, because that of an earlier run is in the work dir.
_WITHOUT_CONFIG: 'WeakSet[Runner]' = WeakSet()


@contextmanager
def config_of_earlier_run_kept() -> Iterator[None]:
    """Let runners that are built inside the block keep the config of an earlier run.

    mmengine writes the config into the work dir when a runner is built. A test, or a
    training that is refused, would so replace the config of a run that has results
    there. In such a work dir, the config is written by :func:`keep_earlier_results`.
    """
    write: Callable[[Runner], None] = Runner.dump_config

    def dump_config(runner: Runner) -> None:
        if earlier_results(runner.work_dir):
            _WITHOUT_CONFIG.add(runner)
        else:
            write(runner)

    with mock.patch.object(Runner, 'dump_config', dump_config):
        yield


def _write_config(runner: Runner) -> None:
    """Write the config of a runner, if this had to wait."""
    if runner in _WITHOUT_CONFIG:
        _WITHOUT_CONFIG.discard(runner)
        runner.dump_config()


def keep_earlier_results(runner: Runner) -> Optional[str]:
    """Move the results of an earlier run aside, once, before new ones are written.

    A run that resumes keeps them. Files are renamed one after the other, so a kill
    leaves each in exactly one place. Then the config of the run is written, if it had
    to wait.

    Args:
        runner (Runner): Runner in its first iterations.

    Returns:
        str, optional: Folder with the earlier results; None if nothing was moved.
    """
    if runner in _STARTED:
        return None
    _STARTED.add(runner)
    if not is_main_process():
        return None
    folder = None if _has_resumed(runner) else _move_earlier_results(runner)
    _write_config(runner)
    return folder


def _move_earlier_results(runner: Runner) -> Optional[str]:
    """Move the results of an earlier run aside; see :func:`keep_earlier_results`."""
    time_text = time.strftime('%Y%m%d_%H%M%S')
    moved: List[str] = []
    for folder in dict.fromkeys([runner.work_dir, checkpoint_folder(runner)]):
        names = earlier_results(folder)
        if not names:
            continue
        target = _new_folder(osp.join(folder, PREVIOUS, time_text))
        _keep_config(runner, folder, names, target)
        for name in names:
            os.rename(osp.join(folder, name), osp.join(target, name))
        moved.append(target)
    if not moved:
        return None
    runner.logger.warning(
        f'{runner.work_dir} had results of an earlier run. They were moved to '
        f'{" and ".join(moved)}.'
    )
    return moved[0]


def resumed_folder(runner: Runner) -> Optional[str]:
    """Return the folder of the checkpoint that a runner goes on from, if it does."""
    if not runner._resume or runner._load_from is None:
        return None
    return osp.realpath(osp.dirname(osp.abspath(runner._load_from)))


def _has_resumed(runner: Runner) -> bool:
    """Return whether a runner goes on with the run whose results are there."""
    own = {osp.realpath(runner.work_dir), osp.realpath(checkpoint_folder(runner))}
    return resumed_folder(runner) in own


def earlier_results(folder: str) -> List[str]:
    """Return the names of files that a training has left in a folder.

    ``last_checkpoint`` is the first, so that no reader finds a name without a file.

    Args:
        folder (str): A work dir, or a folder of checkpoints.
    """
    if not osp.isdir(folder):
        return []
    names = sorted(os.listdir(folder), key=lambda name: (name != LAST, name))
    return [name for name in names if _is_result(name)]


def _is_result(name: str) -> bool:
    """Return whether a training writes a file of this name."""
    return (
        name in (*RESULTS, LAST)
        or CHECKPOINT_NAME.fullmatch(name) is not None
        or _BEST.fullmatch(name) is not None
    )


def _new_folder(path: str) -> str:
    """Create a folder of this name, or of this name with a number."""
    number = 1
    while True:
        name = path if number == 1 else f'{path}_{number}'
        try:
            os.makedirs(name)
            return name
        except FileExistsError:
            number += 1


def _keep_config(runner: Runner, folder: str, names: List[str], target: str) -> None:
    """Put the config of an earlier run beside its results.

    A runner writes its own config when it is built. Where both have the same name,
    the earlier one is taken from a checkpoint.
    """
    texts = (_config_in(osp.join(folder, name)) for name in names)
    text = next(filter(None, texts), '')
    own = osp.basename(runner.cfg.filename or f'{runner.timestamp}.py')
    for name in sorted(os.listdir(folder)):
        if name.endswith('.py') and name != own and text:
            with open(osp.join(folder, name), encoding='utf-8') as file:
                found = file.read()
            if found.strip() == text.strip():
                os.rename(osp.join(folder, name), osp.join(target, name))
                return
    if text:
        write_atomic(osp.join(target, own), text.encode())


def _config_in(path: str) -> str:
    """Return the text of the config in a checkpoint, or ''."""
    if not path.endswith('.pth'):
        return ''
    content: Any = inspect_checkpoint(path, checksums=False).content
    meta = content.get('meta') if isinstance(content, dict) else None
    text = meta.get('cfg') if isinstance(meta, dict) else None
    return text if isinstance(text, str) else ''


def refuse_to_overwrite(runner: Runner, option: str, path: Optional[str]) -> None:
    """Refuse a run whose own results would replace a file that it reads.

    Args:
        runner (Runner): Runner before its training.
        option (str): Option of the training set that names the file.
        path (str, optional): The file; None or '' if none is named.

    Raises:
        ValueError: The file is one of :data:`RESULTS` in the work dir.
    """
    results = {osp.realpath(osp.join(runner.work_dir, name)) for name in RESULTS}
    if path and osp.realpath(path) in results:
        raise ValueError(
            f'train_dataloader.dataset.{option}={path} lies in the work dir of this '
            f'run, whose own {osp.basename(path)} would replace it. Choose another '
            '--work-dir.'
        )
