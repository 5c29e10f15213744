"""Events inside a run at which it can be killed.

A run that is watched writes a line for each event to a log. The log of a run that
is not killed tells which events there are, and the last line of another log tells
how far a killed run came.
"""

import os
import os.path as osp
import re
import signal
from functools import wraps
from types import ModuleType
from typing import Any, Callable, Iterator, NamedTuple, Optional
from unittest import mock

from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.engine import scoring
from mmfer.methods.gaave import algorithm, subset_training
from mmfer.methods.gaave.attack import PGD
from mmfer.utils import files

PHASES = ('empty', 'half', 'unsynced', 'synced', 'renamed')
"""Points inside a file write.

The temporary file exists but is empty; half of it is written; all of it; it is on the
disk; it has the name of the file. After ``renamed`` nothing else was done.
"""
WRITE = 'write'
"""Kind of the events that are file writes; their detail is :func:`file_kind`."""


class Order(NamedTuple):
    """Where a run gets a signal.

    Attributes:
        kind (str): Kind of the event.
        number (int): Number of the event among those with the same kind, and for
            file writes the same kind of file; 1-based.
        signum (int): Signal to send.
        detail (str): Kind of the file, for file writes.
        phase (str): One of :data:`PHASES`, for file writes.
        alone (bool): Whether only this process gets the signal, not the others of
            the run.
    """

    kind: str
    number: int
    signum: int = signal.SIGKILL
    detail: str = ''
    phase: str = ''
    alone: bool = False


class Watch:
    """Log the events of this process, and send a signal at one of them.

    Args:
        log (str): File to append a line to for each event.
        order (Order, optional): Where to send a signal. None: nowhere.
    """

    def __init__(self, log: str, order: Optional[Order]):
        # Unbuffered, because the process may be killed at any time.
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.order = order
        self.seen = 0

    def happen(self, kind: str, detail: object) -> bool:
        """Log an event, and obey the order if it is for this one.

        Returns:
            bool: Whether the order is for a phase of this event.
        """
        os.write(self.log, f'{kind} {detail}\n'.encode())
        order = self.order
        if order is None or kind != order.kind:
            return False
        if kind == WRITE and detail != order.detail:
            return False
        self.seen += 1
        if self.seen != order.number:
            return False
        if kind != WRITE:
            self.send()
        return True

    def send(self) -> None:
        """Send the signal of the order."""
        assert self.order is not None
        if self.order.alone:
            os.kill(os.getpid(), self.order.signum)
        else:
            os.killpg(0, self.order.signum)


def watch(log: str, order: Optional[Order]) -> None:
    """Watch the rest of this process; see :class:`Watch`."""
    watcher = Watch(log, order)
    _watch_hooks(watcher)
    _watch_passes(watcher)
    _watch_cleaning(watcher)
    # Only write_atomic uses this name of the module.
    files.os = WatchedOS(watcher)  # type: ignore[assignment]


def _watch_hooks(watcher: Watch) -> None:
    """Watch iterations that do not end an epoch, and batches of validations."""
    call_hook = Runner.call_hook

    def call(runner: Runner, fn_name: str, **options: Any) -> None:
        call_hook(runner, fn_name, **options)
        inner = 'cleaning' in runner.work_dir.split(os.sep)
        if fn_name == 'after_train_iter':
            batch = options['batch_idx'] + 1
            by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
            if not by_epoch or batch < len(runner.train_dataloader):
                # The Runner counts the iteration after its hooks.
                step = runner.iter + 1
                watcher.happen('inner' if inner else 'iteration', step)
        elif fn_name == 'after_val_iter' and not inner:
            watcher.happen('validation', f'{runner.epoch} {options["batch_idx"]}')

    Runner.call_hook = call


def _watch_passes(watcher: Watch) -> None:
    """Watch the batches of passes over the training set."""
    in_order = scoring.batches_in_order

    def watched(*args: Any, **options: Any) -> Iterator[Any]:
        for index, batch in enumerate(in_order(*args, **options)):
            watcher.happen('scores', index)
            yield batch

    scoring.batches_in_order = watched


def _watch_cleaning(watcher: Watch) -> None:
    """Watch the steps of GAAVE's attack, and the splits, thresholds and decisions."""

    def before(owner: Any, name: str, kind: str, detail: object) -> None:
        function: Callable = getattr(owner, name)

        @wraps(function)
        def watched(*args: Any, **options: Any) -> Any:
            watcher.happen(kind, detail)
            return function(*args, **options)

        mock.patch.object(owner, name, watched).start()

    before(PGD, 'step', 'attack', 'step')
    before(subset_training, 'draw_of_each_class', 'splitting', 'held-out')
    for name in ('split_classes', 'refactor_subsets', 'choose_threshold', 'decide'):
        before(algorithm, name, 'splitting', name)


def file_kind(path: str) -> str:
    """Return the name of a file without numbers; of GAAVE's after ``cleaning/``."""
    name = re.sub(r'\d+', '*', osp.basename(path))
    inside = 'cleaning' in osp.abspath(path).split(os.sep)
    return f'cleaning/{name}' if inside else name


class WatchedOS(ModuleType):
    """Module ``os`` for :func:`mmfer.utils.files.write_atomic`, which is watched.

    Args:
        watcher (Watch): Gets an event for each write.
    """

    def __init__(self, watcher: Watch):
        super().__init__('os')
        self._watcher = watcher
        # Phase at which the process gets a signal. None: this write goes on.
        self._target: Optional[str] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _reach(self, phase: str) -> None:
        if self._target == phase:
            self._target = None
            self._watcher.send()

    def fdopen(self, handle: int, *args: Any) -> Any:
        """Open the temporary file."""
        folder, temporary = osp.split(os.readlink(f'/proc/self/fd/{handle}'))
        # See create_temporary: .NAME.8 letters.tmp
        path = osp.join(folder, temporary[1:-13])
        order = self._watcher.order
        if self._watcher.happen(WRITE, file_kind(path)) and order is not None:
            self._target = order.phase
        self._reach('empty')
        file = os.fdopen(handle, *args)
        if self._target == 'half':
            write = file.write

            def half(data: bytes) -> None:
                write(data[: len(data) // 2])
                file.flush()
                self._reach('half')
                write(data[len(data) // 2 :])

            return _Half(file, half)
        return file

    def fsync(self, handle: int) -> None:
        """Put the file on the disk."""
        self._reach('unsynced')
        os.fsync(handle)
        self._reach('synced')

    def replace(self, source: str, target: str) -> None:
        """Give the file its name."""
        os.replace(source, target)
        self._reach('renamed')


class _Half:
    """File whose ``write`` is another function."""

    def __init__(self, file: Any, write: Callable[[bytes], None]):
        self._file, self.write = file, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> '_Half':
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()
