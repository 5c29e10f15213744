"""Say what a full disk has prevented, and what is left intact."""

import errno
import os.path as osp
import shutil
from contextlib import contextmanager
from typing import Iterator, Optional

# No space left, and no space left for this user.
FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFullError(OSError):
    """Error for a file that did not fit on its disk.

    Args:
        path (str): File that could not be written.
        need (int, optional): Bytes of the file; None if unknown.
        quota (bool): Whether the quota of the user is used up, not the disk.
            Defaults to False.

    Attributes:
        path (str): See above.
        need (int, optional): See above.
        free (int, optional): Bytes that are free on the disk; None if unknown.
        intact (str): Sentence that says which data is unchanged. Callers that know
            more may replace it.
        advice (str): Sentence on what to do.
    """

    def __init__(self, path: str, need: Optional[int] = None, quota: bool = False):
        super().__init__(errno.EDQUOT if quota else errno.ENOSPC, 'disk full')
        self.path, self.need, self.quota = path, need, quota
        self.free = free_bytes(path)
        self.advice = 'Free some space, then start again.'
        self.intact = (
            f'The file {osp.basename(path)} that was there before is unchanged.'
            if osp.exists(path)
            else f'No unfinished {osp.basename(path)} was left behind.'
        )

    def __reduce__(self):
        return _unpickled, (self.path, self.need, self.quota, self.__dict__)

    def __str__(self) -> str:
        what = 'your disk quota is used up' if self.quota else 'the disk is full'
        need = '' if self.need is None else f'It needs {format_bytes(self.need)}. '
        free = (
            ''
            if self.free is None
            else f'{format_bytes(self.free)} are free in '
            f'{osp.dirname(osp.abspath(self.path))}. '
        )
        return (
            f'{self.path} could not be written: {what}. {need}{free}{self.intact} '
            f'{self.advice}'
        )


def _unpickled(
    path: str, need: Optional[int], quota: bool, state: dict
) -> DiskFullError:
    """Rebuild an error that came from another process."""
    error = DiskFullError(path, need, quota)
    error.__dict__.update(state)
    return error


@contextmanager
def full_disk_explained(path: str, need: Optional[int] = None) -> Iterator[None]:
    """Raise :class:`DiskFullError` where the block finds the disk full.

    Args:
        path (str): File that the block writes.
        need (int, optional): Bytes that it writes. Defaults to None: unknown.
    """
    try:
        yield
    except DiskFullError:
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        quota = error.errno == errno.EDQUOT
        raise DiskFullError(str(path), need, quota) from error


def free_bytes(path: str) -> Optional[int]:
    """Return how many bytes are free where a file lies; None if unknown.

    Args:
        path (str): The file. It and its folders may be missing.
    """
    folder = osp.abspath(path)
    while not osp.isdir(folder) and folder != osp.dirname(folder):
        folder = osp.dirname(folder)
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def format_bytes(size: int) -> str:
    """Return a number of bytes for people, such as ``45.2 MB``."""
    if size < 1000:
        return f'{size} bytes'
    value = float(size)
    for unit in ('kB', 'MB', 'GB', 'TB'):
        value /= 1000
        if value < 999.95 or unit == 'TB':
            break
    return f'{value:.1f} {unit}'
