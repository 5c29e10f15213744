"""Signals that ask a program to end, held back until it is at a safe point."""

import os
import signal
import threading
import time
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Callable, Dict, Optional, Type

# What a cluster, a shell and a user at a keyboard send.
SIGNALS = (signal.SIGTERM, signal.SIGINT)

# Seconds in which the same signal counts once. Clusters, ``timeout`` and Ctrl-C send it
# to all processes of a job, and torchrun or ``timeout`` pass their own one on.
ONCE = 2.0


class Interrupted(SystemExit):
    """A signal ended the program; its exit code is 128 plus the signal.

    Args:
        signum (int): Number of the signal.

    Attributes:
        name (str): Name of the signal, such as ``'SIGTERM'``.
        reported (bool): Whether the user was told what to do.
    """

    def __init__(self, signum: int):
        super().__init__(128 + signum)
        self.name = signal.Signals(signum).name
        self.reported = False


class DeferredSignals:
    """Hold back SIGTERM and SIGINT inside a ``with`` block.

    Outside of the main thread, Python lets nobody handle signals, so the block has
    no effect there.

    Attributes:
        received (int, optional): Signal that waits; None if there is none.
        deferring (bool): Whether signals wait. False: the first one raises
            :class:`Interrupted` where the program is. The second one always does,
            but the same signal within two seconds is not a second one.
    """

    def __init__(self, deferring: bool = False):
        self.received: Optional[int] = None
        self.deferring = deferring
        self._before: Dict[int, Any] = {}
        # Time of the latest signal that was not a repetition, by number.
        self._times: Dict[int, float] = {}
        self._process = os.getpid()

    def __enter__(self) -> 'DeferredSignals':
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        for number, handler in self._before.items():
            # None: the handler was not set by Python, so it cannot be set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        if os.getpid() != self._process:
            # A forked worker. Its parent ends it with SIGTERM.
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        now = time.monotonic()
        if now - self._times.get(number, -ONCE) < ONCE:
            return
        self._times[number] = now
        waits = self.deferring and self.received is None
        self.received = number
        if not waits:
            raise Interrupted(number)
        # Not print: the signal may have come inside another print.
        name = signal.Signals(number).name
        os.write(
            2,
            f'\n{name} received: a checkpoint is saved after this iteration, then the '
            f'run ends. Send it again after {ONCE:g} s to end at once.\n'.encode(),
        )

    def raise_received(self) -> None:
        """Raise :class:`Interrupted` if a signal waits."""
        if self.received is not None:
            raise Interrupted(self.received)


def outlive_signals(loader: Any) -> None:
    """Let the workers of a loader go on after a SIGTERM or SIGINT to all processes.

    Clusters and shells send the signal to all processes of a job. Without its
    workers, the main process could not finish its iteration and save.

    Args:
        loader (Any): ``DataLoader`` whose workers have not started. Any other
            object is left alone.
    """
    if not getattr(loader, 'num_workers', 0):
        return
    first = getattr(loader.worker_init_fn, 'func', None)
    if first is not start_worker:
        loader.worker_init_fn = partial(start_worker, loader.worker_init_fn)


def start_worker(then: Optional[Callable[[int], None]], worker_id: int) -> None:
    """Let only the parent process end a worker, and call another initialiser.

    In a spawned worker, threads of libraries are older than this call and can still
    get the signal, which ends the worker. A forked worker has no other threads.

    Args:
        then (Callable, optional): Further initialiser, with the number of the worker.
        worker_id (int): Number of the worker.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # macOS does not tell who has sent a signal; SIGTERM ends its workers.
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if then is not None:
        then(worker_id)


def _end_with_parent() -> None:
    """Wait for a SIGTERM of the parent process, which it sends when it ends."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    # To torch, another exit code is a failure of the worker.
    os._exit(0)
