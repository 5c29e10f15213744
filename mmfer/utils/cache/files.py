"""Private files of the cache, and errors of the disk."""

import errno
import json
import os
import os.path as osp
import secrets
import shutil
from contextlib import contextmanager
from typing import IO, Iterator

from .errors import CacheUnavailableError


def open_private(path: str, mode: str) -> IO[bytes]:
    """Open a binary file; a new one can be read by its owner only.

    Args:
        path (str): The file.
        mode (str): A mode of ``open`` that contains ``b``.
    """
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))


def private_folder(path: str) -> None:
    """Create a folder for its owner only, and refuse one of another user.

    A folder that exists keeps its mode: the user may have chosen it.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    # With the slash at its end, a file in this place is an error.
    owner = os.stat(osp.join(path, '')).st_uid
    if owner != os.geteuid():
        raise CacheUnavailableError(
            f'{path} belongs to another user (number {owner}), who could read and '
            'change what is in it. Set MMFER_CACHE_DIR to a folder of your own'
        )


@contextmanager
def cache_errors(folder: str) -> Iterator[None]:
    """Turn errors of files inside the block into ``CacheUnavailableError``.

    Args:
        folder (str): Folder of the cache, for the message.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = (
                f'the disk of {folder} is full. Free some space, or set '
                'MMFER_CACHE_DIR to a folder on another disk'
            )
        else:
            why = error.strerror or str(error)
            if error.errno in (errno.EEXIST, errno.ENOTDIR):
                why = 'a file is in the place of a folder'
            text = (
                f'{error.filename or folder} cannot be written ({why}). Set '
                'MMFER_CACHE_DIR to a folder that you can write to'
            )
        raise CacheUnavailableError(text) from error


def read_json(path: str) -> dict:
    """Return a dict from a file; an empty one if it is missing or damaged."""
    try:
        with open(path, 'rb') as file:
            value = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: str, value: dict) -> None:
    """Write a dict to a private file."""
    with open_private(path, 'wb') as file:
        file.write(json.dumps(value, indent=1).encode())


def folder_size(folder: str) -> int:
    """Return the bytes of the files in a folder; 0 if it does not exist."""
    try:
        with os.scandir(folder) as files:
            return sum(file.stat().st_size for file in files)
    except FileNotFoundError:
        return 0


def remove_file(path: str) -> None:
    """Remove a file, if it exists."""
    try:
        os.remove(path)
    except FileNotFoundError:
        pass


def delete_folder(folder: str) -> None:
    """Delete a folder so that nobody sees a part of it; it may be missing.

    Processes that have mapped its files keep their contents.
    """
    trash = f'{folder}.trash-{secrets.token_hex(4)}'
    try:
        os.rename(folder, trash)
    except FileNotFoundError:
        return
    shutil.rmtree(trash, ignore_errors=True)
