"""Open files of users that must be plain files of a bounded size."""

import os
import stat
from contextlib import contextmanager
from typing import BinaryIO, Iterator

from .limits import LIMITS, Limits, PickleError


@contextmanager
def open_plain(path: str, limits: Limits = LIMITS) -> Iterator[BinaryIO]:
    """Open a file for reading if it is a plain file within the limits.

    Raises:
        OSError: The file cannot be read.
        PickleError: It is not a plain file, or is too large.
    """
    # Opening a named pipe would wait for ever.
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):
        raise PickleError(f'{path} is not a file')
    if state.st_size > limits.file_size:
        raise PickleError(
            f'{path} has {state.st_size} bytes; at most {limits.file_size} are read'
        )
    with open(path, 'rb') as file:
        yield file


def read_bytes(path: str, limits: Limits = LIMITS) -> bytes:
    """Read a plain file; see :func:`open_plain`."""
    with open_plain(path, limits) as file:
        return file.read()
