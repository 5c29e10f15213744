"""Split a long job into stages, and reuse the results of finished stages."""

import hashlib
import io
import json
import os
import os.path as osp
from contextlib import ExitStack
from typing import Any, Callable, Dict

import numpy as np
from mmengine.dist import barrier, broadcast_object_list, is_main_process

from mmfer.utils.files import file_lock, write_atomic

RESULT, SETTINGS, LOCK = 'result.npz', 'settings.json', 'lock'


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of nested dicts, lists, plain values and numpy arrays."""

    def plain(value):
        if isinstance(value, np.ndarray):
            # Equal arrays need equal hashes, whatever their memory order and
            # the byte order of the machine.
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
    """Results of stages, each in a folder named after its settings.

    - If an earlier run had the same settings and inputs, its result is read.
      Any change leads to another folder.
    - A result is written in one step, so it is complete or absent.
    - If two runs reach the same stage, one computes it and the other waits.
    - If there are several processes, all of them compute. The first one writes
      the result, and all continue with the written result.

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
        """Return the result of a stage; compute it if it is not stored.

        Args:
            name (str): Name of the stage; the name of its folder begins with it.
            settings (dict): Everything that determines the result: options
                and input arrays.
            compute (Callable): Function that gets the folder of the stage and
                returns arrays. It may keep files in the folder, to continue
                from them after it was killed.

        Returns:
            dict[str, np.ndarray]: Arrays that ``compute`` returned, now or in
            an earlier run.
        """
        folder = osp.join(self.root, f'{name}-{fingerprint(settings)[:12]}')
        path = osp.join(folder, RESULT)
        if self._is_done(path):
            return load_arrays(path)
        with ExitStack() as stack:
            if is_main_process():
                os.makedirs(folder, exist_ok=True)
                # Another run may share the folder and compute this stage now.
                stack.enter_context(file_lock(osp.join(folder, LOCK)))
                text = json.dumps(settings, indent=1, default=describe)
                write_atomic(osp.join(folder, SETTINGS), text.encode())
            if not self._is_done(path):
                result = compute(folder)
                if is_main_process():
                    save_arrays(path, result)
            barrier()
        return load_arrays(path)

    @staticmethod
    def _is_done(path: str) -> bool:
        """Return whether the first process sees the result."""
        done = [osp.isfile(path)]
        broadcast_object_list(done)
        return done[0]


def describe(value: Any) -> str:
    """Describe a value that JSON does not know, for a settings file."""
    if isinstance(value, np.ndarray):
        return f'{value.dtype} {value.shape}, sha256 {fingerprint(value)}'
    return repr(value)


def save_arrays(path: str, arrays: Dict[str, np.ndarray]) -> None:
    """Write an ``.npz`` file in one step."""
    buffer = io.BytesIO()
    # numpy's type stub takes any keyword for the option allow_pickle.
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def load_arrays(path: str) -> Dict[str, np.ndarray]:
    """Read an ``.npz`` file that holds no Python objects."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
