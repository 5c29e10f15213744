"""Load checkpoints with torch, after a check of their structure.

``torch.load(weights_only=True)`` runs no code of a checkpoint. But 300 bytes keep it
busy for ever (a dict whose key is a tuple of shared tuples), and some kilobytes of a
zip archive fill the memory. The check here costs milliseconds, since it does not read
the tensors.
"""

import mmap
from typing import Any

import torch

from .files import open_plain
from .limits import Limits, PickleError
from .torch_files import read_torch

CHECKPOINTS = Limits(steps=3_000_000, containers=300_000, file_size=1 << 40)
"""Limits of checkpoints, which may have scores of samples and the like as lists."""


def check_torch_file(
    path: str, limits: Limits = CHECKPOINTS, checksums: bool = True
) -> None:
    """Raise unless torch can load a file safely, in bounded time and memory.

    Args:
        path (str): A file of ``torch.save``.
        limits (Limits): Limits of the pickle in it.
        checksums (bool): Compare the checksums of the tensors, which reads the whole
            file. Defaults to True.

    Raises:
        OSError: The file cannot be read.
        ForeignObject: It has objects other than tensors, arrays, numbers, texts,
            lists and dicts.
        PickleError: It is damaged, or reaches a limit.
    """
    with open_plain(path, limits) as file:
        if not file.seek(0, 2):
            raise PickleError('the file is empty')
        file.seek(0)
        # The mapping ends with its last reference, so it is not closed here.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        read_torch(data, file, limits, build=False, checksums=checksums)


def load_checkpoint_file(path: str, map_location: Any = 'cpu') -> Any:
    """Load a checkpoint safely, in bounded time and memory.

    Args:
        path (str): Local file.
        map_location (object): See ``torch.load``. Defaults to ``'cpu'``.

    Raises:
        OSError: The file cannot be read.
        ForeignObject: See :func:`check_torch_file`.
        PickleError: The file is damaged, or reaches a limit.
    """
    # Only torch's own writer can leave checksums out.
    option = getattr(torch.serialization, 'get_crc32_options', None)
    try:
        check_torch_file(path, checksums=option is None or option())
        return torch.load(path, map_location=map_location, weights_only=True)
    except PickleError as error:
        raise type(error)(f'{path}: {error}') from None
    except RuntimeError as error:
        # A device that does not exist is no fault of the file.
        if 'device' in str(error).lower():
            raise
        reason = (str(error).splitlines() or ['no reason'])[0]
        raise PickleError(f'{path}: torch cannot read it: {reason}') from error
