"""Write and read ``.npz`` files of numbers and texts, without pickles.

``numpy.load(allow_pickle=False)`` runs no code, but reserves the memory that the head
of an array claims, and unpacks compressed entries without a limit. Here the head must
fit the data that follow it.
"""

import io
import math
import os.path as osp
import re
import zipfile
from typing import Dict, Mapping, Tuple

import numpy as np

from mmfer.utils.files import write_atomic

from .archives import checked_entries
from .files import read_bytes
from .limits import LIMITS, Limits, PickleError

# Head of an array as numpy.save writes it. S are byte strings, U are texts.
HEAD = re.compile(
    rb"\{'descr': '([<>|])([biufSU])(\d{1,6})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*(?:\d{1,12})?)\), \} *\n"
)
MAGIC = b'\x93NUMPY'
# Bytes of the length of the head, by the version of the format.
LENGTH_SIZES = {b'\x01\x00': 2, b'\x02\x00': 4, b'\x03\x00': 4}
MOST_DIMENSIONS = 32
LAST_CHARACTER = 0x10FFFF


def write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into an uncompressed ``.npz`` file, completely or not at all.

    Args:
        path (str): File to write.
        arrays (Mapping[str, np.ndarray]): Arrays of numbers or texts by name.

    Raises:
        ValueError: An array holds other objects.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in 'biufU':
            raise ValueError(
                f'{path}: the field {name!r} has elements of type {array.dtype}; '
                'only numbers and texts can be written.'
            )
    buffer = io.BytesIO()
    # numpy's type stub takes any keyword for the option allow_pickle.
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def read_arrays(path: str, limits: Limits = LIMITS) -> Dict[str, np.ndarray]:
    """Read all arrays of an uncompressed ``.npz`` file.

    Args:
        path (str): A file of :func:`write_arrays` or ``numpy.savez``.
        limits (Limits): Limits of the reader.

    Returns:
        dict[str, np.ndarray]: Read-only arrays of numbers or texts by name.

    Raises:
        OSError: The file cannot be read.
        PickleError: It is damaged, compressed, or has other objects.
    """
    data = read_bytes(path, limits)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                name.removesuffix('.npy'): parse_array(name, entry.read(data))
                for name, entry in checked_entries(archive, data).items()
            }
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise PickleError(f'it is no whole .npz file: {error}') from None


def read_array(path: str, limits: Limits = LIMITS) -> np.ndarray:
    """Read the array of a ``.npy`` file.

    Args:
        path (str): A file of ``numpy.save``.
        limits (Limits): Limits of the reader.

    Returns:
        np.ndarray: Read-only array of numbers or texts.

    Raises:
        OSError: The file cannot be read.
        PickleError: It is damaged, or has other objects.
    """
    return parse_array(osp.basename(path), read_bytes(path, limits))


def parse_array(name: str, data: bytes) -> np.ndarray:
    """Return the array of a ``.npy`` file.

    Args:
        name (str): Name of the array, for messages.
        data (bytes): Content of the file.

    Raises:
        PickleError: It is not an array of numbers or texts.
    """
    where = f'the array {name[:60]!r}'
    size = LENGTH_SIZES.get(data[6:8])
    if data[:6] != MAGIC or size is None:
        raise PickleError(f'{where} is not in the format of numpy')
    start = 8 + size
    end = start + int.from_bytes(data[8:start], 'little')
    found = HEAD.fullmatch(data, start, min(end, len(data)))
    if found is None:
        raise PickleError(f'{where} has elements other than numbers and texts')
    order, kind, width, fortran, sizes = (part.decode() for part in found.groups())
    try:
        dtype = np.dtype(f'{order}{kind}{width}')
    except TypeError:
        raise PickleError(f'{where} has elements of type {kind}{width}') from None
    shape: Tuple[int, ...] = tuple(int(n) for n in sizes.split(',') if n.strip())
    if len(shape) > MOST_DIMENSIONS:
        raise PickleError(f'{where} has {len(shape)} dimensions')
    if not dtype.itemsize or math.prod(shape) * dtype.itemsize != len(data) - end:
        raise PickleError(
            f'{where} has {len(data) - end} bytes, but its head claims '
            f'{math.prod(shape)} elements of {dtype}'
        )
    array = np.frombuffer(data, dtype, offset=end) if end < len(data) else None
    if array is None:
        array = np.empty(0, dtype)
    elif kind == 'U' and array.view(f'{order}u4').max() > LAST_CHARACTER:
        raise PickleError(f'{where} has texts with characters that do not exist')
    elif kind == 'b' and array.view('u1').max() > 1:
        raise PickleError(f'{where} has booleans with other values')
    try:
        return array.reshape(shape, order='F' if fortran == 'True' else 'C')
    except ValueError as error:
        raise PickleError(f'{where}: {error}') from None
