"""Reading of IDX files, the format of MNIST."""

import gzip
import math
import struct
import zlib
from io import BytesIO

import numpy as np

from mmfer.utils.safe_pickle import Limits, read_bytes

# MNIST's training images have 47 MB.
LIMITS = Limits(file_size=1 << 28)
# Code of uint8, the only type that MNIST uses.
UINT8 = 8


def read_idx(path: str) -> np.ndarray:
    """Read an array of bytes from an IDX file, which may be compressed with gzip.

    Args:
        path (str): The file.

    Returns:
        np.ndarray: uint8, read-only, with the dimensions that the file states.

    Raises:
        ValueError: The file is no IDX file of bytes, is truncated, or is too large.
    """
    try:
        return _parse(_decompressed(read_bytes(path, LIMITS)))
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f'{path} is not a whole IDX file of bytes: {error}. Get the file again '
            'from the page of MNIST.'
        ) from None


def _decompressed(data: bytes) -> bytes:
    """Return the content of a gzip file of bounded size; other content as it is."""
    if not data.startswith(b'\x1f\x8b'):
        return data
    with gzip.GzipFile(fileobj=BytesIO(data)) as file:
        content = file.read(LIMITS.file_size + 1)
    if len(content) > LIMITS.file_size:
        raise ValueError(f'it has more than {LIMITS.file_size} bytes')
    return content


def _parse(data: bytes) -> np.ndarray:
    """Parse two zeros, the type, the number of dimensions, the sizes, the bytes."""
    if len(data) < 4 or data[:2] != b'\0\0':
        raise ValueError('it does not begin with two zeros')
    kind, dimensions = data[2], data[3]
    start = 4 + 4 * dimensions
    if kind != UINT8 or not dimensions or len(data) < start:
        raise ValueError(f'type {kind} with {dimensions} dimensions')
    shape = struct.unpack(f'>{dimensions}I', data[4:start])
    if math.prod(shape) != len(data) - start:
        raise ValueError(
            f'{len(data) - start} bytes for an array of {" x ".join(map(str, shape))}'
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
