"""Long jobs in stages: what is done is found again, not done again."""

import hashlib
import io
import json
import os
import os.path as osp
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict

import numpy as np
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.logging import print_log

from mmfer.utils.files import write_atomic

RESULT, SETTINGS, LOCK = 'result.npz', 'settings.json', 'lock'


def fingerprint(value: Any) -> str:
    """SHA-256 of nested dicts, lists, plain values and numpy arrays."""

    def plain(value):
        if isinstance(value, np.ndarray):
            # Not the memory order, nor the endianness of a machine.
            array = np.ascontiguousarray(value)
            data = array.astype(array.dtype.newbyteorder('<')).tobytes()
            return dict(
                dtype=array.dtype.name,
                shape=array.shape,
                sha256=hashlib.sha256(data).hexdigest(),
            )
        if isinstance(value, np.generic):
            return value.item()
        return repr(value)

    text = json.dumps(value, sort_keys=True, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()


class Stages:
    """Results of stages, each in a folder named after what decides it.

    A stage whose settings and inputs are those of an earlier run is read, not
    run; any change gives it another folder. Results are whole or absent. Of
    two runs that come to the same stage one computes, and the other waits.
    With several processes all compute, the first one writes, and all use
    what it has.

    Args:
        root (str): Folder of the stages.
    """

    def __init__(self, root: str):
        self.root = root

    def run(
        self,
        name: str,
        settings: Dict[str, Any],
        compute: Callable[[str], Dict[str, np.ndarray]],
    ) -> Dict[str, np.ndarray]:
        """The result of a stage.

        Args:
            name (str): Of the stage, for people.
            settings (dict): All that decides the result: options, and arrays
                that come in.
            compute (Callable): Takes the stage's folder, in which it may
                keep what it needs to go on after a kill; returns arrays.

        Returns:
            dict[str, np.ndarray]: What ``compute`` returned, now or earlier.
        """
        folder = osp.join(self.root, f'{name}-{fingerprint(settings)[:12]}')
        path = osp.join(folder, RESULT)
        done = [osp.isfile(path)]
        broadcast_object_list(done)
        if done[0]:
            return load_arrays(path)
        with ExitStack() as stack:
            if is_main_process():
                os.makedirs(folder, exist_ok=True)
                # Another run may share the folder, and be at this stage.
                stack.enter_context(exclusive(osp.join(folder, LOCK)))
                text = json.dumps(settings, indent=1, default=describe)
                write_atomic(osp.join(folder, SETTINGS), text.encode())
            done = [osp.isfile(path)]
            broadcast_object_list(done)
            if not done[0]:
                result = compute(folder)
                if is_main_process():
                    save_arrays(path, result)
            barrier()
        return load_arrays(path)


@contextmanager
def exclusive(path: str):
    """Wait until no other process is in here with the same file.

    The lock ends with the process, however that ends. Where files have no
    locks (Windows, some network disks) nobody waits.

    Args:
        path (str): The file; made if it is not there.
    """
    with open(path, 'a') as file:
        try:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print_log(
                    f'Waiting for another run, which works in {osp.dirname(path)} ...',
                    'current',
                )
                fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield


def describe(value: Any) -> str:
    """Arrays in a settings file: enough to recognise them."""
    if isinstance(value, np.ndarray):
        return f'{value.dtype} {value.shape}, sha256 {fingerprint(value)}'
    return repr(value)


def save_arrays(path: str, arrays: Dict[str, np.ndarray]) -> None:
    """Write an ``.npz`` file in one step."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomic(path, buffer.getvalue())


def load_arrays(path: str) -> Dict[str, np.ndarray]:
    """Read an ``.npz`` file; no Python objects."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
