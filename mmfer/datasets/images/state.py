"""State of image files: whether they are still the same.

Two functions answer this question:

- :func:`stamp_files` reads no file. It serves the image store, which can be built
  again in minutes. Copied files have new stamps.
- :func:`hash_files` reads every file. It serves results that took hours. Copied,
  moved and touched files have the same hash.
"""

import hashlib
import os
import os.path as osp
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

# Number of paths that are handled at once.
_BLOCK = 8192
# Number of files that a thread reads before it asks for more.
_TASK = 64
# Threads that read files. More of them help only if the disk is slow.
_THREADS = 8
# Bytes that are read at once.
_CHUNK = 1 << 24


def absolute_path(path: str) -> str:
    """Return an absolute path; ``~`` is the home folder, as in ``read_file``."""
    return path if path[:1] == '/' else osp.abspath(osp.expanduser(path))


def stamp_files(paths: Sequence[str]) -> np.ndarray:
    """Return the stamps of files, int64 (N, 3).

    A stamp has the size in bytes, the time of modification and the time of the last
    change of contents or attributes (ns). Archives can set the second time to the
    same value for all versions of a file, but no program can set the third one.

    Args:
        paths (Sequence[str]): (N,) paths.

    Raises:
        OSError: There is no such file; ``filename`` of the error is its path.
    """
    stamps = np.empty((len(paths), 3), np.int64)
    for first in range(0, len(paths), _BLOCK):
        found = [os.stat(absolute_path(path)) for path in paths[first : first + _BLOCK]]
        rows = slice(first, first + _BLOCK)
        stamps[rows, 0] = [state.st_size for state in found]
        stamps[rows, 1] = [state.st_mtime_ns for state in found]
        stamps[rows, 2] = [state.st_ctime_ns for state in found]
    return stamps


def hash_files(paths: Sequence[str]) -> Tuple[str, List[str]]:
    """Return a hash of the contents of files, and the paths that are no files.

    The hash depends on the order of the files. It does not depend on their names,
    folders and times. Only what is no file counts by its path.

    Args:
        paths (Sequence[str]): (N,) paths.

    Returns:
        tuple[str, list[str]]: SHA-256 as 64 hex digits, and the paths.

    Raises:
        OSError: A file cannot be read.
    """
    total = hashlib.sha256(b'%d images ' % len(paths))
    missing: List[str] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(paths), _BLOCK):
            block = list(paths[first : first + _BLOCK])
            tasks = [block[i : i + _TASK] for i in range(0, len(block), _TASK)]
            found = chain.from_iterable(pool.map(_file_hashes, tasks))
            for path, digest in zip(block, found):
                if digest is None:
                    missing.append(path)
                    digest = hashlib.sha256(b'path ' + os.fsencode(path)).digest()
                total.update(digest)
    return total.hexdigest(), missing


def _file_hashes(paths: Sequence[str]) -> List[Optional[bytes]]:
    """Return the SHA-256 of files; None where there is no such file."""
    return [_file_hash(path) for path in paths]


def _file_hash(path: str) -> Optional[bytes]:
    """Return the SHA-256 of a file, 32 bytes; None if there is no such file."""
    try:
        # Python's own file objects take five times as long for small files.
        handle = os.open(absolute_path(path), os.O_RDONLY | getattr(os, 'O_BINARY', 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        digest = hashlib.sha256()
        while data := os.read(handle, _CHUNK):
            digest.update(data)
        return digest.digest()
    except IsADirectoryError:
        return None
    finally:
        os.close(handle)


def hash_array(images: np.ndarray, rows: Optional[np.ndarray] = None) -> str:
    """Return a hash of images in memory, 64 hex digits.

    Args:
        images (np.ndarray): uint8, (N, ...).
        rows (np.ndarray, optional): Images that count, in this order, int64 (n,).
            Defaults to None: all images. The result is that of ``images[rows]``,
            which is never copied as a whole.
    """
    count = len(images) if rows is None else len(rows)
    digest = hashlib.sha256(f'{images.dtype} {(count, *images.shape[1:])} '.encode())
    for first in range(0, count, _BLOCK):
        part: Any = slice(first, first + _BLOCK)
        block = images[part if rows is None else rows[part]]
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()
