"""Temporary files: their names, and removing those of killed processes.

A process holds a lock on each temporary file that it writes. The operating system
ends the lock with the process, even if that is killed. So a temporary file without a
lock belongs to nobody.
"""

import os
import os.path as osp
import re
import tempfile
import time
from typing import Any, List, Optional, Tuple

from mmengine.logging import print_log

fcntl: Any
try:
    import fcntl
except ImportError:
    # Windows has no such locks.
    fcntl = None
HAS_LOCKS = fcntl is not None

# Names that create_temporary gives.
_TEMPORARY = re.compile(r'\..*\.[a-z0-9_]{8}\.tmp')
# Names that mmfer 0.1 gave. It held no lock, and other programs may have hidden files
# of this form, so only the files of a run are named.
_OLD_TEMPORARY = re.compile(
    r'\.((epoch|iter)_\d+\.pth|best_.*\.pth|peak\.pth|last_checkpoint|result\.npz'
    r'|(history|summary|settings|label_noise)\.json|sample_scores\.csv)\.[a-z0-9_]{8}'
)
# Seconds after which a temporary file is taken as left over, if locks cannot tell.
_OLD_AGE, _AGE_WITHOUT_LOCKS = 3600, 24 * 3600


def create_temporary(path: str) -> Tuple[int, str]:
    """Create a temporary file beside a file, and lock it.

    Args:
        path (str): The file that will replace it.

    Returns:
        tuple[int, str]: The open descriptor, which holds the lock, and the path.
    """
    folder, name = osp.split(osp.abspath(path))
    while True:
        # File names are limited to 255 bytes, so the name is cut.
        handle, temporary = tempfile.mkstemp('.tmp', f'.{name[:40]}.', folder)
        # A clean-up may have found the file before it was locked.
        if try_lock(handle) is not False and is_at(handle, temporary):
            return handle, temporary
        os.close(handle)
        _remove(temporary)


def try_lock(handle: int) -> Optional[bool]:
    """Lock an open file if nobody else has.

    Args:
        handle (int): Descriptor of the file.

    Returns:
        bool, optional: True if it is locked now, False if another process or
        descriptor has the lock, None if the file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_at(handle: int, path: str) -> bool:
    """Return whether an open file is the one at ``path``."""
    try:
        return osp.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def remove_leftovers(folder: str) -> List[str]:
    """Remove temporary files of killed processes, and log their names.

    Files that a living process writes are kept, also those of other machines.

    Args:
        folder (str): Folder, without those inside it. It may be missing.

    Returns:
        list[str]: Names of the files that were removed.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _is_temporary(entry.name))
    except OSError:
        return []
    removed = [name for name in names if _remove_if_left(osp.join(folder, name))]
    if removed:
        print_log(
            f'Removed {len(removed)} temporary file(s) that a killed process left in '
            f'{folder}: {", ".join(removed[:5])}{", ..." if removed[5:] else ""}',
            'current',
        )
    return removed


def _is_temporary(name: str) -> bool:
    """Return whether a file has the name of a temporary one."""
    return bool(_TEMPORARY.fullmatch(name) or _OLD_TEMPORARY.fullmatch(name))


def _remove_if_left(path: str) -> bool:
    """Remove a temporary file if no process writes it; return whether it did."""
    try:
        handle = os.open(path, os.O_RDWR | getattr(os, 'O_NOFOLLOW', 0))
    except OSError:
        # It is gone, or belongs to another user.
        return False
    try:
        locked = try_lock(handle)
        if locked is False or not is_at(handle, path):
            return False
        age = time.time() - os.fstat(handle).st_mtime
        if locked is None and age < _AGE_WITHOUT_LOCKS:
            return False
        if age < _OLD_AGE and not _TEMPORARY.fullmatch(osp.basename(path)):
            return False
        return _remove(path)
    finally:
        os.close(handle)


def _remove(path: str) -> bool:
    """Remove a file; return whether it was there."""
    try:
        os.remove(path)
    except OSError:
        return False
    return True
