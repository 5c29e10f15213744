"""Start training runs in processes that need not import anything again."""

import ctypes
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Sequence

import torch

from .events import Order, watch

PR_SET_PDEATHSIG = 1
"""Option of prctl: the signal that a process gets when its parent ends."""
GRACE = 90.0
"""Seconds in which the other processes of a run must end after one was killed."""


class Ended(NamedTuple):
    """How the processes of a run ended.

    Attributes:
        codes (list[int]): Exit code of each; negative: the signal that ended it.
        hung (bool): Whether some had to be killed.
        signum (int, optional): Signal that was sent from outside.
        seconds (float): How long the run took.
    """

    codes: List[int]
    hung: bool
    signum: Optional[int]
    seconds: float


def run_script(
    script: str,
    arguments: Sequence[str],
    log: str,
    order: Optional[Order] = None,
    at: Optional[float] = None,
    signum: int = signal.SIGKILL,
    processes: int = 1,
    victim: int = 0,
    timeout: float = 600.0,
) -> Ended:
    """Run a script in forks of this process, and kill them.

    This process must not have computed anything with torch before: threads of a
    computation do not survive a fork.

    Args:
        script (str): Python file.
        arguments (Sequence[str]): Its arguments.
        log (str): Path without ending: ``.events`` gets a line for each event, and
            ``.out`` the output.
        order (Order, optional): Event at which the run gets a signal.
        at (float, optional): Seconds after which the run gets a signal from outside.
        signum (int): This signal.
        processes (int): Number of processes, as of ``torchrun``.
        victim (int): Process that has the order, 0-based.
        timeout (float): Seconds after which a run counts as hung.
    """
    began = time.monotonic()
    port = free_port() if processes > 1 else 0
    pids: List[int] = []
    for rank in range(processes):
        variables = {'OMP_NUM_THREADS': '1'}
        own = list(arguments)
        if processes > 1:
            own += ['--launcher', 'pytorch']
            variables.update(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(processes),
                MASTER_ADDR='127.0.0.1',
                MASTER_PORT=str(port),
            )
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            _child(
                pids[0] if pids else 0,
                script,
                own,
                log if rank == 0 else f'{log}.{rank}',
                order if rank == victim else None,
                variables,
            )
        pids.append(pid)
        # Child and parent both do this, so that nobody comes too late.
        _set_group(pid, pids[0])
    return _wait(pids, began, at, signum, timeout)


def _wait(
    pids: List[int], began: float, at: Optional[float], signum: int, timeout: float
) -> Ended:
    """Wait for the processes of a run; send the signal from outside meanwhile."""
    codes: Dict[int, int] = {}
    sent = None
    deadline = began + timeout
    hung = False
    try:
        while len(codes) < len(pids):
            for pid in pids:
                if pid not in codes:
                    found, status = os.waitpid(pid, os.WNOHANG)
                    if found:
                        codes[pid] = os.waitstatus_to_exitcode(status)
                        if codes[pid]:
                            deadline = min(deadline, time.monotonic() + GRACE)
            now = time.monotonic()
            if at is not None and sent is None and now - began >= at and not codes:
                sent = signum
                os.killpg(pids[0], signum)
            if now > deadline and not hung:
                hung = True
                os.killpg(pids[0], signal.SIGKILL)
            time.sleep(0.002)
    finally:
        # Workers of data loaders, or all if this process was interrupted.
        try:
            os.killpg(pids[0], signal.SIGKILL)
        except ProcessLookupError:
            pass
    return Ended([codes[pid] for pid in pids], hung, sent, time.monotonic() - began)


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _set_group(pid: int, leader: int) -> None:
    try:
        os.setpgid(pid, leader)
    except OSError:
        # The child did it, or has ended.
        pass


def _child(
    leader: int,
    script: str,
    arguments: List[str],
    log: str,
    order: Optional[Order],
    variables: Dict[str, str],
) -> NoReturn:
    """Be the process of a run."""
    code: Any = 1
    try:
        _set_group(0, leader)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.environ.update(variables)
        torch.set_num_threads(1)
        _redirect(f'{log}.out')
        watch(f'{log}.events', order)
        sys.argv = [script, *arguments]
        runpy.run_path(script, run_name='__main__')
        code = 0
    except SystemExit as error:
        code = error.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit, which would go on with the program of the parent.
        os._exit(code)


def _redirect(path: str) -> None:
    """Append all output of this process to a file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout = open(1, 'w', buffering=1, closefd=False)
    sys.stderr = open(2, 'w', buffering=1, closefd=False)
