"""Split a long job into stages, and reuse the results of finished stages."""

import hashlib
import io
import json
import logging
import os
import os.path as osp
import zipfile
from contextlib import ExitStack
from typing import Any, Callable, Dict, Optional

import numpy as np
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.logging import print_log

from mmfer.utils.files import file_lock, write_atomic

from .provenance import package_versions

RESULT, SETTINGS, LOCK = 'result.npz', 'settings.json', 'lock'
CHECK, VERSIONS = 'stage_sha256', 'stage_versions'
"""Arrays of a result that say whether it is whole, and which versions made it.

Results of version 0.1 lack both.
"""


class DamagedResultError(ValueError):
    """Error for a stored result that is not what a stage has written."""


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
    - A result is written in one step, so it is complete or absent. A result that was
      damaged later is computed again, with a warning.
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
        key = fingerprint(settings)
        folder = osp.join(self.root, f'{name}-{key[:12]}')
        path = osp.join(folder, RESULT)
        found = self._stored(path, key, warn=False)
        if found is not None:
            return found
        with ExitStack() as stack:
            if is_main_process():
                os.makedirs(folder, exist_ok=True)
                # Another run may share the folder and compute this stage now.
                stack.enter_context(file_lock(osp.join(folder, LOCK)))
                text = json.dumps(settings, indent=1, default=describe)
                write_atomic(osp.join(folder, SETTINGS), text.encode())
            found = self._stored(path, key, warn=True)
            if found is None:
                result = compute(folder)
                if is_main_process():
                    save_result(path, result, key)
            barrier()
        return load_result(path, key) if found is None else found

    @staticmethod
    def _stored(path: str, key: str, warn: bool) -> Optional[Dict[str, np.ndarray]]:
        """Return the stored result if the first process can read it.

        Args:
            path (str): File of the result.
            key (str): Fingerprint of the settings.
            warn (bool): Log a warning if the file is damaged, and a message if other
                versions of packages made it.
        """
        found: Optional[Dict[str, np.ndarray]] = None
        if is_main_process() and osp.lexists(path):
            try:
                found = load_result(path, key)
            except DamagedResultError as error:
                if warn:
                    print_log(
                        f'{error} It is computed again.', 'current', logging.WARNING
                    )
        done = [found is not None]
        broadcast_object_list(done)
        if not done[0]:
            return None
        return load_result(path, key) if found is None else found


def describe(value: Any) -> str:
    """Describe a value that JSON does not know, for a settings file."""
    if isinstance(value, np.ndarray):
        return f'{value.dtype} {value.shape}, sha256 {fingerprint(value)}'
    return repr(value)


def save_result(path: str, arrays: Dict[str, np.ndarray], key: str) -> None:
    """Write an ``.npz`` file in one step, with a check of its contents.

    Args:
        path (str): File to write.
        arrays (dict[str, np.ndarray]): Arrays without Python objects.
        key (str): Fingerprint of the settings that gave them.
    """
    buffer = io.BytesIO()
    extra = {
        CHECK: np.array(_check(arrays, key)),
        VERSIONS: np.array(json.dumps(package_versions())),
    }
    # The check stands first: a wrong length in the directory of the archive can hide
    # all entries after it.
    # numpy's type stub takes any keyword for the option allow_pickle.
    np.savez_compressed(buffer, **extra, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def load_result(path: str, key: str) -> Dict[str, np.ndarray]:
    """Read a result without Python objects, and check that it is whole.

    Args:
        path (str): File of :func:`save_result`, or of version 0.1.
        key (str): Fingerprint of the settings that must have given it.

    Raises:
        DamagedResultError: The file is incomplete, changed, or of another stage.
        PermissionError: The file may not be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # A damaged end of the archive can hide entries, or all of them.
            if len(archive.infolist()) != _entries_of(path):
                raise ValueError('its directory lacks entries')
            # numpy stops reading before the checksum of an array is compared.
            wrong = archive.testzip()
        if wrong is not None:
            raise ValueError(f'the checksum of {wrong} is wrong')
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        check = arrays.pop(CHECK, None)
        versions = arrays.pop(VERSIONS, None)
        if (check is None) != (versions is None):
            raise ValueError('an array is missing')
        if check is not None and str(check) != _check(arrays, key):
            raise ValueError('its arrays are not those that this stage has written')
    except PermissionError:
        raise
    except Exception as error:
        # A damaged archive leads to errors of ten types, from zipfile to tokenize.
        reason = str(error) or type(error).__name__
        raise DamagedResultError(
            f'{path}: this stored result is damaged ({reason}).'
        ) from error
    _report_versions(path, versions)
    return arrays


def _entries_of(path: str) -> int:
    """Return the number of entries that the end of a zip archive states.

    Raises:
        ValueError: It states none, or the file ends with something else.
    """
    with open(path, 'rb') as file:
        file.seek(-22, os.SEEK_END)
        end = file.read()
    count = int.from_bytes(end[10:12], 'little')
    if not end.startswith(b'PK\5\6') or not count:
        raise ValueError('its end is damaged')
    return count


def _check(arrays: Dict[str, np.ndarray], key: str) -> str:
    """Return a hash of the arrays of a result and of the settings that gave them."""
    return fingerprint(
        dict(settings=key, arrays={k: np.asarray(v) for k, v in arrays.items()})
    )


def _report_versions(path: str, versions: Optional[np.ndarray]) -> None:
    """Log that a stored result is from other versions of packages, if it is."""
    if versions is None:
        return
    now = package_versions()
    changed = [
        f'{name} {version} (now {now.get(name, "not installed")})'
        for name, version in json.loads(str(versions)).items()
        if now.get(name) != version
    ]
    if changed:
        print_log(
            f'{osp.dirname(path)}: this stored result was computed with '
            f'{", ".join(changed)}. To compute it again, delete this folder.',
            'current',
        )
