"""Read pickles and torch files that may come from anywhere.

A pickle is a program: reading one with :mod:`pickle` runs whatever its author wants.
The functions here read the pickles of arrays, tensors, numbers and texts that data
sets and weights are published as. They run nothing, import nothing by name, and end
within the time and memory that :class:`Limits` states.

============== ==================================================================
file           content
============== ==================================================================
machine        interpreter of the instructions
arrays         arrays of numpy
torch_files    zip archives and older files of torch, tensors
tree           plain containers of a bounded size
limits         limits and errors
============== ==================================================================
"""

import os
import stat
from typing import Any

from .arrays import NAMES, REBUILDERS, integers, rebuild, set_state
from .limits import LIMITS, ForeignObject, Limits, PickleError
from .machine import Machine
from .torch_files import is_torch_file, load_torch
from .tree import Converter

__all__ = [
    'ForeignObject',
    'Limits',
    'PickleError',
    'integers',
    'is_torch_file',
    'load_arrays',
    'load_torch',
    'read_bytes',
]


def read_bytes(path: str, limits: Limits = LIMITS) -> bytes:
    """Read a file if it is no larger than the limit.

    Raises:
        OSError: The file cannot be read.
        PickleError: It is not a plain file, or is too large.
    """
    # Opening a named pipe would wait for ever.
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):
        raise PickleError(f'{path} is not a file')
    if state.st_size > limits.file_size:
        raise PickleError(
            f'{path} has {state.st_size} bytes; at most {limits.file_size} are read'
        )
    with open(path, 'rb') as file:
        return file.read(state.st_size)


def load_arrays(data: bytes, limits: Limits = LIMITS) -> Any:
    """Read a pickle of arrays, numbers and texts, written by Python 2 or 3.

    Args:
        data (bytes): Content of the file. Byte strings of Python 2 become ``str``.
        limits (Limits): Limits of the reader.

    Returns:
        object: The content; an ``OrderedDict`` becomes a dict. Arrays are read-only.

    Raises:
        ForeignObject: The pickle asks for another class or function.
        PickleError: The pickle is damaged, or reaches a limit.
    """
    machine = Machine(
        data,
        lambda name, arguments: rebuild(name, arguments, REBUILDERS),
        set_state,
        NAMES.__contains__,
        limits=limits,
    )
    return Converter(limits, len(data)).convert(machine.run()).value
