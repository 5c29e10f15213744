"""Files of extracted features: written batch by batch, continued after a kill.

| file | contents |
|---|---|
| `<output>.bin` | rows of one output, one after the other |
| `errors.jsonl` | a line `[row, message]` for each image that cannot be read |

Rows are appended in order. An error is written before its row, so that after a kill
the files tell by their sizes how many rows are finished.
"""

import json
import os
import os.path as osp
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import (
    IO,
    TYPE_CHECKING,
    Any,
    Callable,
    Deque,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from mmfer.datasets.images.store_building import number_of_cpus
from mmfer.utils.cache import cache_errors, open_private

from .image_sources import ImageSource

if TYPE_CHECKING:
    from .features import Extractor, Outputs

# Version of this layout.
FORMAT = 1
ERRORS = 'errors.jsonl'
# A batch ends with so many images or bytes of pixels, whichever comes first.
BATCH_IMAGES = 32
BATCH_BYTES = 1 << 26
# Number of bytes that are read at once for a checksum.
_BLOCK = 1 << 24
ProgressCallback = Callable[[int, int], Any]


def fill_folder(
    folder: str,
    images: ImageSource,
    extractors: Sequence['Extractor'],
    outputs: 'Outputs',
    progress: ProgressCallback,
) -> Dict[str, Any]:
    """Write the results of extractors for all images; go on where files end.

    Args:
        folder (str): It may have the files of a killed call.
        images (ImageSource): N images.
        extractors (Sequence[Extractor]): Functions of images.
        outputs (Mapping): Outputs of all extractors, ``{name: (shape, dtype)}``.
        progress (Callable): Called with the numbers of finished and of all images.

    Returns:
        dict: Number of images, and the checksum of each file.
    """
    writer = _Writer(folder, outputs)
    try:
        progress(writer.rows, len(images))
        for batch in _batches(images, writer.rows):
            writer.add(*_results(batch, extractors, outputs))
            progress(writer.rows, len(images))
    finally:
        writer.close()
    names = [*_files(outputs), ERRORS]
    sums = {name: _checksum(osp.join(folder, name)) for name in names}
    return dict(format=FORMAT, images=len(images), checksums=sums)


def is_whole(folder: str, header: dict, outputs: 'Outputs', count: int) -> bool:
    """Return whether the files of an entry are complete and undamaged."""
    sums = header.get('checksums')
    if header.get('format') != FORMAT or not isinstance(sums, dict):
        return False
    try:
        sizes = [
            osp.getsize(osp.join(folder, name)) == count * row_bytes(*outputs[key])
            for key, name in zip(outputs, _files(outputs))
        ]
        return all(sizes) and all(
            _checksum(osp.join(folder, name)) == sums.get(name)
            for name in (*_files(outputs), ERRORS)
        )
    except OSError:
        return False


def open_arrays(
    folder: str, outputs: 'Outputs', count: int
) -> Tuple[Dict[str, np.ndarray], Dict[int, str]]:
    """Map the results of N images, and read the errors by row."""
    arrays = {
        key: np.memmap(osp.join(folder, name), np.dtype(dtype), 'r', 0, (count, *shape))
        for (key, (shape, dtype)), name in zip(outputs.items(), _files(outputs))
    }
    return dict(arrays), dict(_read_errors(folder))


def row_bytes(shape: Tuple[int, ...], dtype: str) -> int:
    """Return the number of bytes of one row of an output."""
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def _files(outputs: Mapping[str, Any]) -> List[str]:
    """Return the name of the file of each output."""
    return [f'{name}.bin' for name in outputs]


def _checksum(path: str) -> int:
    """Return the CRC-32 of a file."""
    value = 0
    with open(path, 'rb') as file:
        while data := file.read(_BLOCK):
            value = zlib.crc32(data, value)
    return value


def _read_errors(folder: str) -> List[Tuple[int, str]]:
    """Return the errors of a folder; a line that was cut off is left out."""
    try:
        with open(osp.join(folder, ERRORS), encoding='utf-8') as file:
            lines = file.read().split('\n')[:-1]
    except FileNotFoundError:
        return []
    return [(int(row), str(message)) for row, message in map(json.loads, lines)]


class _Writer:
    """Writer of the files; it starts after the last row that all of them have.

    Args:
        folder (str): Folder of the files.
        outputs (Mapping): ``{name: (shape, dtype)}``.
    """

    def __init__(self, folder: str, outputs: 'Outputs'):
        self.folder = folder
        paths = [osp.join(folder, name) for name in _files(outputs)]
        sizes = [row_bytes(*value) for value in outputs.values()]
        errors = _read_errors(folder)
        self._errors = open_private(osp.join(folder, ERRORS), 'wb')
        self._files: List[IO[bytes]] = [open_private(path, 'ab') for path in paths]
        self.rows = min((f.tell() // s for f, s in zip(self._files, sizes)), default=0)
        for file, size in zip(self._files, sizes):
            file.truncate(self.rows * size)
        self._write_errors([error for error in errors if error[0] < self.rows])

    def _write_errors(self, errors: Sequence[Tuple[int, str]]) -> None:
        """Append errors as lines."""
        lines = [json.dumps(error) + '\n' for error in errors]
        self._errors.write(''.join(lines).encode())
        self._errors.flush()

    def add(
        self, arrays: Sequence[np.ndarray], errors: Sequence[Tuple[int, str]]
    ) -> None:
        """Append the rows of a batch.

        Args:
            arrays (Sequence[np.ndarray]): (B, ...) of each output.
            errors (Sequence[tuple]): Position in the batch and message.
        """
        with cache_errors(self.folder):
            self._write_errors([(self.rows + place, text) for place, text in errors])
            for file, array in zip(self._files, arrays):
                file.write(array.tobytes())
                file.flush()
        self.rows += len(arrays[0])

    def close(self) -> None:
        """Close the files after the disk has them."""
        for file in (*self._files, self._errors):
            try:
                os.fsync(file.fileno())
                file.close()
            except OSError:
                # The disk is full, which was already reported.
                pass


# -- reading images ----------------------------------------------------------
Image = Tuple[Optional[np.ndarray], str]


def _batches(images: ImageSource, first: int) -> Iterator[List[Image]]:
    """Yield batches of images from row ``first`` on, decoded by threads.

    An image is a pair of pixels and ''; or of None and the reason why it cannot be
    read.
    """
    batch: List[Image] = []
    size = 0
    for image in _decoded(images, first):
        batch.append(image)
        size += 0 if image[0] is None else image[0].nbytes
        if len(batch) >= BATCH_IMAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _decoded(images: ImageSource, first: int) -> Iterator[Image]:
    """Yield decoded images in order; a few threads decode ahead."""

    def work(row: int) -> Image:
        try:
            return images.read(row), ''
        except (OSError, ValueError, MemoryError) as error:
            return None, str(error) or type(error).__name__

    threads = min(4, number_of_cpus())
    pool = ThreadPoolExecutor(threads, 'decode')
    waiting: Deque[Future] = deque()
    try:
        for row in range(first, len(images)):
            waiting.append(pool.submit(work, row))
            # More would fill the memory if decoding is faster than encoding.
            if len(waiting) > 8 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _results(
    batch: List[Image], extractors: Sequence['Extractor'], outputs: 'Outputs'
) -> Tuple[List[np.ndarray], List[Tuple[int, str]]]:
    """Return the rows of a batch for each output, and its errors."""
    good = [place for place, (pixels, _) in enumerate(batch) if pixels is not None]
    errors = [(i, text) for i, (pixels, text) in enumerate(batch) if pixels is None]
    arrays = {
        name: np.zeros((len(batch), *shape), dtype)
        for name, (shape, dtype) in outputs.items()
    }
    images = [pixels for pixels, _ in batch if pixels is not None]
    for extractor in extractors if images else ():
        found = extractor(images)
        for name in extractor.outputs:
            arrays[name][good] = found[name]
    return list(arrays.values()), errors
