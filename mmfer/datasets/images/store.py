"""Store of decoded images: memory-mapped pixels that processes and runs share."""

import logging
import mmap
import operator
import os.path as osp
from typing import Any, Optional, Sequence

import numpy as np
from mmengine.logging import print_log
from numpy.typing import ArrayLike

from mmfer.utils.cache import (
    Cache,
    CacheUnavailableError,
    Lease,
    Partial,
    cache_budget,
    open_private,
)

from .state import stamp_files
from .store_building import Read, build_store, check_pixels_of
from .store_files import (
    DAMAGED,
    PIXELS,
    RECORD,
    Shape,
    common_shape,
    crc32_of,
    is_whole,
    map_file,
    path_of,
    read_index,
    shape_of,
    store_key,
)

# Kind of the entries in the cache.
KIND = 'images'
# States of an image in this process.
_UNKNOWN, _INTACT, _DAMAGED = 0, 1, 2


def open_store(
    paths: Sequence[str], read: Read, recipe: str, name: str, build: bool = True
) -> Optional['ImageStore']:
    """Return the store of decoded images, which is built if there is none.

    Args:
        paths (Sequence[str]): Image files, by row; a list, tuple or array.
        read (Callable): Makes a uint8 image, (H, W) or (H, W, C), from a path.
            Several threads call it at the same time. The store keeps it for
            damaged images, so it must be picklable for workers that are
            spawned.
        recipe (str): What determines the pixels besides the files: decoder,
            versions of libraries, options.
        name (str): Name of the data set, for messages and lists.
        build (bool): Build the store if there is none. Defaults to True.

    Returns:
        ImageStore | None: None if there can be no store; one warning says why
        and what to do. If the cache is switched off, there is no warning.

    Raises:
        UnreadableImageError: ``read`` raised it. Other errors of ``read`` are
            passed on, too. The store is then neither visible nor half built.
        ValueError: ``paths`` is empty, or ``MMFER_CACHE_GB`` is not a size.
    """
    if not len(paths):
        raise ValueError(f'{name}: an image store needs at least one image.')
    if not cache_budget():
        print_log(
            f'{name}: decoded images are not stored, because MMFER_CACHE_GB=0.',
            'current',
            level=logging.DEBUG,
        )
        return None
    try:
        stamps = _stamps(paths, read)

        def is_valid(folder: str, header: dict) -> bool:
            return is_whole(folder, header, len(paths))

        def fill(partial: Partial) -> dict:
            if not build:
                raise CacheUnavailableError(
                    'the store was removed, or an image file was changed, after '
                    'the start. Start again'
                )
            return build_store(partial, paths, stamps, read)

        key = store_key(paths, stamps, recipe)
        return ImageStore.from_lease(
            Cache().obtain(KIND, key, name, is_valid, fill), read, name
        )
    except CacheUnavailableError as error:
        print_log(
            f'{name}: decoded images are not stored, and each image is decoded '
            f'whenever it is used, because {error}.',
            'current',
            level=logging.WARNING,
        )
        return None


def _stamps(paths: Sequence[str], read: Read) -> np.ndarray:
    """Return the stamp of each file; a missing file is left to ``read``."""
    try:
        return stamp_files(paths)
    except OSError as error:
        # The error is then the same as without a store.
        read(error.filename)
        raise CacheUnavailableError(
            f'{error.filename!r} is not a file whose time can be read '
            f'({error.strerror}). Put the images on a disk of this machine'
        ) from error


class ImageStore:
    """Decoded images by row, uint8, of one size or of different sizes.

    Pixels and index are read-only memory maps: all processes share them, and the
    system reads and drops their pages as it needs. Besides them, a store takes 1
    byte per image, which forked workers share. The index has 24 bytes per image.

    The checksum of each image is compared at its first use. A damaged image is
    read from its file.

    Make one with :func:`open_store` or :meth:`from_array`. Copies made by
    ``fork`` or ``pickle`` read the same files.

    Args:
        pixels (np.ndarray): uint8 (bytes,), all images one after the other.
        index (np.ndarray): ``RECORD`` (N,), where they are.

    Attributes:
        shape (tuple[int, int, int] | None): (H, W, C) of all images, None if
            they have different ones. Images of shape (H, W) count as
            (H, W, 1).
    """

    def __init__(self, pixels: np.ndarray, index: np.ndarray):
        self._pixels = pixels
        self._index = index
        self.shape: Optional[Shape] = common_shape(index)
        self._images: Optional[np.ndarray] = None
        if self.shape is not None:
            self._images = pixels.reshape(len(index), *self.shape)
        # Forked workers share these bytes. Each image is checked once in all of
        # them together, and only one of them warns.
        shared = np.frombuffer(mmap.mmap(-1, len(index) + 1), np.uint8)
        self._states, self._warned = shared[:-1], shared[-1:]
        self._lease: Optional[Lease] = None
        self._read: Any = None
        self._name = ''

    @classmethod
    def from_lease(cls, lease: Lease, read: Read, name: str) -> 'ImageStore':
        """Return the store in an entry of the cache."""
        store = cls(map_file(osp.join(lease.folder, PIXELS)), read_index(lease.folder))
        store._lease, store._read, store._name = lease, read, name
        return store

    @classmethod
    def from_array(cls, images: np.ndarray) -> 'ImageStore':
        """Return a store of images in memory, without files.

        Args:
            images (np.ndarray): uint8 (N, H, W) or (N, H, W, C). It is not
                copied if it is contiguous.
        """
        if images.ndim not in (3, 4) or images.dtype != np.uint8 or not images.size:
            raise TypeError(
                'ImageStore: images must be uint8 of shape (N, H, W) or '
                f'(N, H, W, C) and not empty, got {images.dtype} {images.shape}.'
            )
        index = np.zeros(len(images), RECORD)
        index['start'] = np.arange(len(images)) * images[0].nbytes
        index['height'], index['width'] = images.shape[1:3]
        index['channels'] = 0 if images.ndim == 3 else images.shape[3]
        return _from_memory(np.ascontiguousarray(images).reshape(-1), index)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Number of bytes of all pixels."""
        return self._pixels.nbytes

    # -- images ------------------------------------------------------------
    def read(self, rows: ArrayLike) -> np.ndarray:
        """Return images of one size as a new array.

        Args:
            rows (ArrayLike): int (B,), rows of the images.

        Returns:
            np.ndarray: uint8 (B, H, W, C).

        Raises:
            ValueError: The images have different sizes.
            IndexError: There is no such row.
        """
        if self._images is None:
            raise ValueError(
                f'{self._name or "ImageStore"}: the images have different sizes, '
                'so they cannot be read as one array. Resize them before they are '
                'stored, or read them one by one with image(row).'
            )
        rows = np.asarray(rows)
        images = self._images[rows]
        for position in np.flatnonzero(self._states[rows] != _INTACT):
            row = int(rows[position]) % len(self)
            if not self._is_intact(row, images[position]):
                images[position] = self._from_file(row).reshape(self.shape)
        return images

    def image(self, row: int) -> np.ndarray:
        """Return a copy of one image, uint8 (H, W) or (H, W, C).

        Raises:
            IndexError: There is no such row.
        """
        row = operator.index(row)
        record = self._index[row]
        row %= len(self)
        shape, start = shape_of(record), int(record['start'])
        end = start + int(np.prod(shape))
        image = self._pixels[start:end].reshape(shape).copy()
        return image if self._is_intact(row, image) else self._from_file(row)

    # -- damage ------------------------------------------------------------
    def _is_intact(self, row: int, image: np.ndarray) -> bool:
        """Return whether the pixels of an image are those that were stored."""
        if self._states[row] == _UNKNOWN:
            intact = crc32_of(image) == self._index['crc32'][row]
            self._states[row] = _INTACT if intact else _DAMAGED
            if not intact:
                self._report_damage(row)
        return bool(self._states[row] == _INTACT)

    def _from_file(self, row: int) -> np.ndarray:
        """Read a damaged image from its file."""
        assert self._lease is not None
        path = path_of(self._lease.folder, row)
        image = check_pixels_of(self._read(path), path)
        expected = shape_of(self._index[row])
        if image.shape != expected:
            raise ValueError(
                f'{path!r} has changed since it was stored: it gives an image of '
                f'shape {image.shape} instead of {expected}. Start again; the images '
                'are then decoded again.'
            )
        return image

    def _report_damage(self, row: int) -> None:
        """Mark the entry, so that it is built again, and warn once."""
        assert self._lease is not None
        folder = self._lease.folder
        try:
            open_private(osp.join(folder, DAMAGED), 'ab').close()
        except OSError:
            # The cache is read-only. The warning says what to do.
            pass
        if not self._warned[0]:
            self._warned[0] = 1
            print_log(
                f'{self._name}: the stored image {row} is damaged, so it is read '
                f'from {path_of(folder, row)!r}, as other damaged ones are. The next '
                'start decodes all images again. If this happens again, check the '
                f'disk of {folder}.',
                'current',
                level=logging.WARNING,
            )

    # -- copies ------------------------------------------------------------
    def __reduce__(self):
        """Pickle the place of the entry, or the pixels of a store in memory."""
        if self._lease is None:
            return _from_memory, (self._pixels, self._index)
        return ImageStore.from_lease, (self._lease, self._read, self._name)


def _from_memory(pixels: np.ndarray, index: np.ndarray) -> ImageStore:
    """Return a store of pixels in memory, which need no check."""
    store = ImageStore(pixels, index)
    store._states[:] = _INTACT
    return store
