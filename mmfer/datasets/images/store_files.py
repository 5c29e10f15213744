"""Files of an image store: their layout, their key, and whether they are whole.

An entry of the cache has these files:

| file | contents |
|---|---|
| `pixels.bin` | uint8 pixels of all images, one after the other |
| `index.bin` | one :data:`RECORD` per image: where it starts, its size, its CRC-32 |
| `paths.bin` | absolute paths of the image files, separated by zero bytes |
| `header.json` | version, number of images, bytes, common shape, CRC-32 of the index |
| `damaged` | only in a damaged entry: the next process builds a new one |
"""

import hashlib
import mmap
import os
import os.path as osp
import zlib
from typing import Optional, Sequence, Tuple

import numpy as np

from .state import absolute_path

# Version of this layout.
FORMAT = 1
PIXELS, INDEX, PATHS, DAMAGED = 'pixels.bin', 'index.bin', 'paths.bin', 'damaged'
# Images without a channel axis, (H, W), have 0 channels.
RECORD = np.dtype(
    [
        ('start', '<i8'),
        ('height', '<i4'),
        ('width', '<i4'),
        ('channels', '<i4'),
        ('crc32', '<u4'),
    ]
)
Shape = Tuple[int, int, int]
# Number of paths that are handled at once.
_BLOCK = 8192


# -- key ---------------------------------------------------------------------
def store_key(paths: Sequence[str], stamps: np.ndarray, recipe: str) -> str:
    """Return a hash of all that determines the pixels, 64 hex digits.

    Args:
        paths (Sequence[str]): Image files.
        stamps (np.ndarray): int64 (N, 3), from :func:`~.state.stamp_files`.
        recipe (str): What else determines the pixels.
    """
    digest = hashlib.sha256(f'{FORMAT} {len(paths)} {len(recipe)} {recipe}'.encode())
    for first in range(0, len(paths), _BLOCK):
        digest.update(join_paths(paths[first : first + _BLOCK]))
    digest.update(np.ascontiguousarray(stamps, '<i8').tobytes())
    return digest.hexdigest()


def join_paths(paths: Sequence[str]) -> bytes:
    """Return absolute paths in one string; each ends with a zero byte."""
    return os.fsencode('\0'.join(map(absolute_path, paths))) + b'\0'


def path_of(folder: str, row: int) -> str:
    """Return the path of the image file of a row; it is read from the entry."""
    with open(osp.join(folder, PATHS), 'rb') as file:
        return os.fsdecode(file.read().split(b'\0')[row])


# -- shapes ------------------------------------------------------------------
def shape_of(record: np.void) -> Tuple[int, ...]:
    """Return the shape of an image, (H, W) or (H, W, C)."""
    height, width, channels = (
        int(record[name]) for name in ('height', 'width', 'channels')
    )
    return (height, width, channels) if channels else (height, width)


def sizes_of(index: np.ndarray) -> np.ndarray:
    """Return the bytes of each image, int64 (N,)."""
    return (
        index['height'].astype(np.int64)
        * index['width']
        * np.maximum(index['channels'], 1)
    )


def common_shape(index: np.ndarray) -> Optional[Shape]:
    """Return (H, W, C) if all images have the same shape, otherwise None."""
    first = index[0]
    for name in ('height', 'width', 'channels'):
        if (index[name] != first[name]).any():
            return None
    height, width, channels = (*shape_of(first), 1)[:3]
    return height, width, channels


# -- reading -----------------------------------------------------------------
def crc32_of(data) -> int:
    """Return the CRC-32 of the bytes of a buffer."""
    return zlib.crc32(data)


def map_file(path: str) -> np.ndarray:
    """Map a file into memory, read-only; uint8 (bytes,)."""
    with open(path, 'rb') as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.uint8)


def read_index(folder: str) -> np.ndarray:
    """Map the index of an entry, :data:`RECORD` (N,)."""
    return map_file(osp.join(folder, INDEX)).view(RECORD)


def is_whole(folder: str, header: dict, images: int) -> bool:
    """Return whether an entry is of this version, complete and undamaged.

    The pixels are not read; each image is checked when it is used.

    Args:
        folder (str): Folder of the entry.
        header (dict): Its header.
        images (int): Number of images that it must have.
    """
    try:
        return (
            header.get('format') == FORMAT
            and header.get('images') == images
            and not osp.exists(osp.join(folder, DAMAGED))
            and osp.getsize(osp.join(folder, PIXELS)) == header.get('bytes')
            and osp.getsize(osp.join(folder, INDEX)) == images * RECORD.itemsize
            and osp.getsize(osp.join(folder, PATHS)) == header.get('path_bytes')
            and crc32_of(read_index(folder)) == header.get('index_crc32')
        )
    except OSError:
        return False
