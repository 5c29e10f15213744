"""Images of a list of paths or of a data set, by row."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List, Optional, Sequence, Union

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.datasets.images import hash_array, read_image
from mmfer.datasets.images.state import absolute_path

# Number of files that a thread hashes before it asks for more, and of the threads.
_TASK = 64
_THREADS = 8
_CHUNK = 1 << 24


class ImageSource:
    """Images by row, from files or from memory.

    Args:
        source (FERDataset | Sequence[str]): A data set, or paths.
    """

    def __init__(self, source: Union[FERDataset, Sequence[str]]):
        self.pixels: Optional[np.ndarray] = None
        self.rows: Any = None
        if isinstance(source, FERDataset):
            source.full_init()
            if source._images is not None:
                self.pixels, self.rows = source._images, source.sample_ids
            source = source.image_paths
        self.paths = source

    def __len__(self) -> int:
        return len(self.paths if self.pixels is None else self.rows)

    def read(self, row: int) -> np.ndarray:
        """Return one image, uint8 BGR (H, W, 3).

        Raises:
            OSError, ValueError: It cannot be read; the message names the file.
        """
        if self.pixels is not None:
            return read_image(self.pixels[self.rows[row]])
        return read_image(self.paths[row])

    def fingerprint(self) -> str:
        """Return a hash of the contents of all images, in order.

        What cannot be read counts by its path.
        """
        if self.pixels is not None:
            return hash_array(self.pixels, self.rows)
        total = hashlib.sha256(b'%d images ' % len(self))
        paths = [self.paths[row] for row in range(len(self))]
        tasks = [paths[i : i + _TASK] for i in range(0, len(paths), _TASK)]
        with ThreadPoolExecutor(_THREADS) as pool:
            for digests in pool.map(_hash_files, tasks):
                total.update(b''.join(digests))
        return total.hexdigest()


def _hash_files(paths: Sequence[str]) -> List[bytes]:
    """Return the SHA-256 of the contents of files, 32 bytes each."""
    return [_hash_file(absolute_path(path)) for path in paths]


def _hash_file(path: str) -> bytes:
    """Return the SHA-256 of the contents of a file, or of the path if unreadable."""
    digest = hashlib.sha256()
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, 'O_BINARY', 0))
        try:
            while data := os.read(handle, _CHUNK):
                digest.update(data)
        finally:
            os.close(handle)
    except OSError as error:
        return hashlib.sha256(os.fsencode(f'{error.errno} {path}')).digest()
    return digest.digest()
