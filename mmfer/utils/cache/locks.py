"""File locks of the cache: one builder for an entry, and leases of its users."""

import os
import os.path as osp
import time
import weakref
from contextlib import contextmanager
from typing import Any, Iterator, Optional

from mmengine.logging import print_log

from .errors import CacheUnavailableError

fcntl: Any
try:
    import fcntl
except ImportError:
    # Windows has no such locks.
    fcntl = None

# File inside of an entry on which its users hold a shared lock. Its time of
# modification is the last use of the entry.
USE_LOCK = 'lock'
# Seconds in which an entry that is being replaced is looked for again.
_PATIENCE = 2.0


def require_locks() -> None:
    """Raise ``CacheUnavailableError`` if the operating system has no file locks."""
    if fcntl is None:
        raise CacheUnavailableError(
            'this operating system has no file locks (flock), without which '
            'processes cannot share files. Use Linux or macOS'
        )


def take_lock(
    path: str, shared: bool = False, wait: bool = True, message: str = ''
) -> Optional[int]:
    """Lock a file, and return its open descriptor.

    :func:`release` ends the lock. The operating system ends it with the process,
    even if that is killed. Forked processes share the lock.

    Args:
        path (str): File to lock. An exclusive lock creates it.
        shared (bool): Let others have a shared lock, too. Defaults to False.
        wait (bool): Wait for other processes. Defaults to True.
        message (str): Text to log if the process has to wait. Defaults to ''.

    Returns:
        int | None: The descriptor; None if another process has the lock and
        ``wait`` is False.

    Raises:
        FileNotFoundError: A file for a shared lock does not exist.
        CacheUnavailableError: This file system has no locks.
    """
    flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
    while True:
        handle = os.open(path, flags, 0o600)
        try:
            locked = _flock(handle, shared, wait, message)
            # The last owner of the lock may have removed the file or moved it
            # away. A lock on the old file would exclude nobody.
            current = locked and _is_at(handle, path)
        except BaseException:
            os.close(handle)
            raise
        if current:
            return handle
        os.close(handle)
        if not locked:
            return None


def release(handle: int) -> None:
    """End an exclusive lock from :func:`take_lock`.

    Unlike ``os.close``, this also ends it if another thread has forked a process in
    the meantime.
    """
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


@contextmanager
def exclusive(path: str, message: str = '') -> Iterator[None]:
    """Let one process at a time run the block; see :func:`take_lock`."""
    handle = take_lock(path, message=message)
    assert handle is not None
    try:
        yield
    finally:
        release(handle)


def _flock(handle: int, shared: bool, wait: bool, message: str) -> bool:
    """Lock an open file; return False if another process has the lock."""
    require_locks()
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        try:
            fcntl.flock(handle, operation | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not wait:
                return False
        if message:
            print_log(message, 'current')
        fcntl.flock(handle, operation)
        return True
    except OSError as error:
        raise CacheUnavailableError(
            f'the file system of the cache has no file locks ({error.strerror}), '
            'as some network folders. Set MMFER_CACHE_DIR to a folder on a '
            'local disk'
        ) from error


def _is_at(handle: int, path: str) -> bool:
    """Return whether an open file is still the one at ``path``."""
    try:
        return osp.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


class Lease:
    """Right to use an entry of the cache, which is not evicted meanwhile.

    A lease ends with :meth:`close`, with the object, or with the process.
    Pickled copies take a lease of their own.

    Args:
        folder (str): Folder of the entry.

    Raises:
        FileNotFoundError: There is no such entry.
        CacheUnavailableError: This file system has no locks.
    """

    def __init__(self, folder: str):
        handle = take_lock(osp.join(folder, USE_LOCK), shared=True)
        assert handle is not None
        self.folder = folder
        self._close = weakref.finalize(self, os.close, handle)
        try:
            os.utime(handle)
        except OSError:
            # An entry in a read-only folder can be used all the same.
            pass

    def close(self) -> None:
        """End the lease; do so again without effect."""
        self._close()

    def __reduce__(self):
        """Pickle the folder; the lock belongs to this process."""
        return _lease_again, (self.folder,)


def _lease_again(folder: str) -> Lease:
    """Take the lease of an unpickled copy."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return Lease(folder)
        except FileNotFoundError:
            # Another process may be putting a new entry in place of a damaged
            # one. For a moment there is none.
            if time.monotonic() > end:
                raise FileNotFoundError(
                    f'{folder}: this entry of the cache was removed after it was '
                    'pickled. Keep the object that was pickled until its copies '
                    'are loaded, or build it again.'
                ) from None
            time.sleep(0.05)
