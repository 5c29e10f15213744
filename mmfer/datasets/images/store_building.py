"""Building of an image store: decode in parallel, write in order, continue.

The index is the journal of the build. Its records are written after the pixels that
they describe, so that everything up to its last record can be kept after a kill.
"""

import os
import os.path as osp
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import IO, Any, Callable, Deque, Dict, Iterator, List, Sequence, Tuple

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.utils import ProgressBar

from mmfer.utils.cache import (
    CacheUnavailableError,
    Partial,
    cache_errors,
    format_size,
    open_private,
)

from .state import stamp_files
from .store_files import (
    FORMAT,
    INDEX,
    PATHS,
    PIXELS,
    RECORD,
    common_shape,
    crc32_of,
    join_paths,
    read_index,
    sizes_of,
)

Read = Callable[[str], np.ndarray]
# Number of images that a thread decodes before it asks for more.
_TASK = 4
# Pixels and records are written when there are so many bytes or images.
_CHUNK_BYTES = 1 << 24
_CHUNK_IMAGES = 256
# Number of images, spread over the set, from which its size is estimated.
_SAMPLES = 16
# Seconds between two lines of the log.
_LOG_SECONDS = 30.0
# Number of paths that are written at once.
_PATHS = 8192


def build_store(
    partial: Partial, paths: Sequence[str], stamps: np.ndarray, read: Read
) -> Dict[str, Any]:
    """Decode all images into the files of an unfinished entry.

    Args:
        partial (Partial): The entry; it may have files of a killed build.
        paths (Sequence[str]): Image files.
        stamps (np.ndarray): Their stamps, from ``stamp_files``.
        read (Callable): Makes a uint8 image from a path. Several threads call
            it at the same time.

    Returns:
        dict: Header of the entry.

    Raises:
        CacheUnavailableError: There is no room, or a file was changed.
    """
    with cache_errors(partial.cache.folder):
        writer = _Writer(partial.folder)
    try:
        with cache_errors(partial.cache.folder):
            done = writer.resume()
        extra = sum(map(len, paths)) + len(paths) * (RECORD.itemsize + 1)
        expected = extra + writer.size + _estimate(paths[done:], read)
        partial.reserve(expected)
        _announce(
            f'{partial.name}: decoding {len(paths) - done} images into the cache '
            f'{partial.cache.folder}, {format_size(expected)}'
            + f'; {done} are there from an earlier start'
            * bool(done)
        )
        progress = _Progress(partial.name, len(paths) - done)
        for image, crc32 in _decode(paths, stamps, read, done):
            with cache_errors(partial.cache.folder):
                written = writer.add(image, crc32)
            if written:
                progress.update(written)
                mean = writer.size / writer.images
                partial.reserve(extra + int(mean * len(paths)))
        with cache_errors(partial.cache.folder):
            progress.update(writer.flush())
            header = writer.finish(paths)
        progress.close()
        return header
    finally:
        writer.close()


def _estimate(paths: Sequence[str], read: Read) -> int:
    """Return the bytes that images will take, from some of them."""
    rows = np.unique(np.linspace(0, len(paths), _SAMPLES, endpoint=False).astype(int))
    if not len(paths):
        return 0
    sizes = [_pixels(read, paths[row]).nbytes for row in rows]
    return int(np.mean(sizes) * len(paths))


# -- decoding ----------------------------------------------------------------
def _decode(
    paths: Sequence[str], stamps: np.ndarray, read: Read, first: int
) -> Iterator[Tuple[np.ndarray, int]]:
    """Yield images from row ``first`` on, in order, with their CRC-32.

    The decoders of OpenCV and Pillow let other threads run meanwhile.
    """

    def work(start: int) -> List[Tuple[np.ndarray, int]]:
        rows = slice(start, start + _TASK)
        images = [_pixels(read, path) for path in paths[rows]]
        now = stamp_files(paths[rows])
        changed = np.flatnonzero((now != stamps[rows]).any(axis=1))
        if changed.size:
            raise CacheUnavailableError(
                f'{paths[start + changed[0]]!r} was changed while the images were '
                'decoded. Start again when the files are complete'
            )
        return [(image, crc32_of(image)) for image in images]

    threads = number_of_cpus()
    pool = ThreadPoolExecutor(threads, 'decode')
    waiting: Deque[Future] = deque()
    try:
        for start in range(first, len(paths), _TASK):
            waiting.append(pool.submit(work, start))
            # More would fill the memory if decoding is faster than writing.
            if len(waiting) > 2 * threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def number_of_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pixels(read: Read, path: str) -> np.ndarray:
    """Read an image; check its type and shape."""
    return check_pixels_of(read(path), path)


def check_pixels_of(image: np.ndarray, path: str) -> np.ndarray:
    """Return an image as a contiguous array if a store can hold it.

    Raises:
        TypeError: It is not a uint8 image of shape (H, W) or (H, W, C).
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, 'dtype', type(image).__name__)
        raise TypeError(
            f'{path!r}: an image store holds uint8 images, got {kind}. Keep steps '
            'that make other numbers, such as a normalisation, out of the store.'
        )
    if image.ndim not in (2, 3) or not image.size:
        raise TypeError(
            f'{path!r}: an image has the shape (H, W) or (H, W, C), got {image.shape}.'
        )
    return np.ascontiguousarray(image)


# -- writing -----------------------------------------------------------------
class _Writer:
    """Writer of pixels and index.

    Args:
        folder (str): Folder of the unfinished entry.
    """

    def __init__(self, folder: str):
        self.folder = folder
        # Opened for appending, so that an earlier build is not overwritten.
        self._pixels = open_private(osp.join(folder, PIXELS), 'ab')
        self._index = open_private(osp.join(folder, INDEX), 'ab')
        self.images = self.size = 0
        self._images: List[np.ndarray] = []
        self._records: List[tuple] = []

    def resume(self) -> int:
        """Keep the whole images of an earlier build; return their number."""
        size = self._pixels.tell()
        count = self._index.tell() // RECORD.itemsize
        if count and size:
            index = read_index_part(self.folder, count)
            kept = _intact_images(osp.join(self.folder, PIXELS), index, size)
            self.images, self.size = kept, int(sizes_of(index[:kept]).sum())
        self._pixels.truncate(self.size)
        self._index.truncate(self.images * RECORD.itemsize)
        return self.images

    def add(self, image: np.ndarray, crc32: int) -> int:
        """Add an image; return how many images were written, mostly 0."""
        height, width, channels = (*image.shape, 0)[:3]
        self._records.append((self.size, height, width, channels, crc32))
        self._images.append(image)
        self.size += image.nbytes
        waiting = self.size - self._records[0][0]
        if len(self._images) >= _CHUNK_IMAGES or waiting >= _CHUNK_BYTES:
            return self.flush()
        return 0

    def flush(self) -> int:
        """Write the images that wait; return their number."""
        count = len(self._images)
        for image in self._images:
            _append(self._pixels, image.data)
        # The records follow the pixels; see the top of this file.
        self._pixels.flush()
        _append(self._index, np.array(self._records, RECORD).tobytes())
        self._index.flush()
        self.images += count
        self._images, self._records = [], []
        return count

    def finish(self, paths: Sequence[str]) -> Dict[str, Any]:
        """Write the paths, wait for the disk, and return the header."""
        with open_private(osp.join(self.folder, PATHS), 'wb') as file:
            for first in range(0, len(paths), _PATHS):
                _append(file, join_paths(paths[first : first + _PATHS]))
            path_bytes = file.tell()
        for written in (self._pixels, self._index):
            # Network folders report a full disk only here.
            os.fsync(written.fileno())
        index = read_index(self.folder)
        shape = common_shape(index)
        sizes = 'of different sizes' if shape is None else f'of shape {shape}'
        return dict(
            format=FORMAT,
            images=self.images,
            bytes=self.size,
            path_bytes=path_bytes,
            index_crc32=crc32_of(index),
            holds=f'{self.images} images {sizes}',
        )

    def close(self) -> None:
        """Close the files."""
        for file in (self._pixels, self._index):
            try:
                file.close()
            except OSError:
                # The disk is full, which was already reported.
                pass


def _append(file: IO[bytes], data: Any) -> None:
    """Write bytes to the end of a file."""
    file.write(data)


def read_index_part(folder: str, count: int) -> np.ndarray:
    """Return the first records of an unfinished index."""
    return np.fromfile(osp.join(folder, INDEX), RECORD, count)


def _intact_images(path: str, index: np.ndarray, size: int) -> int:
    """Return how many images at the beginning of a file are whole.

    After a crash of the system, the disk may have records without their pixels.

    Args:
        path (str): File of the pixels.
        index (np.ndarray): :data:`RECORD` (N,).
        size (int): Bytes of the file.
    """
    position = 0
    with open(path, 'rb') as file:
        for row, (record, length) in enumerate(zip(index, sizes_of(index).tolist())):
            if (
                record['start'] != position
                or not 0 < length <= size - position
                or crc32_of(file.read(length)) != record['crc32']
            ):
                return row
            position += length
    return len(index)


# -- progress ----------------------------------------------------------------
def _announce(text: str) -> None:
    """Log a line, also in a process whose log is not shown.

    Any process of a run may be the one that builds. The others wait for it, and
    only the main process logs.
    """
    if is_main_process():
        print_log(text, 'current')
    else:
        print(text, flush=True)


class _Progress:
    """Progress bar on a terminal, and lines in the log elsewhere.

    Args:
        name (str): What is built.
        total (int): Number of images to decode.
    """

    def __init__(self, name: str, total: int):
        self.name, self.total, self.done = name, total, 0
        self.start = self.logged = time.monotonic()
        terminal = sys.stdout.isatty()
        self.bar = ProgressBar(total, file=sys.stdout) if terminal else None

    def update(self, count: int) -> None:
        """Count images that are written."""
        if not count:
            return
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        now = time.monotonic()
        if self.bar is None and now - self.logged >= _LOG_SECONDS:
            self.logged = now
            left = (now - self.start) * (self.total / self.done - 1)
            _announce(
                f'{self.name}: {self.done} of {self.total} images are decoded, '
                f'{timedelta(seconds=round(left))} left'
            )

    def close(self) -> None:
        """Log the time that was taken."""
        if self.bar is not None:
            self.bar.file.write('\n')
        seconds = time.monotonic() - self.start
        _announce(f'{self.name}: decoded {self.total} images in {seconds:.1f} s')
