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
archives       checks of zip archives
torch_files    zip archives and older files of torch, tensors
loaders        loaders of checkpoints in the place of mmengine's
checkpoints    a check before ``torch.load``, for checkpoints
npz            files of arrays by name, without pickles
files          plain files of a bounded size
tree           plain containers of a bounded size
limits         limits and errors
============== ==================================================================
"""

from typing import Any

from .arrays import NAMES, REBUILDERS, integers, rebuild, set_state
from .checkpoints import check_torch_file, load_checkpoint_file
from .files import read_bytes
from .limits import LIMITS, ForeignObject, Limits, PickleError
from .machine import Machine
from .npz import read_array, read_arrays, write_arrays
from .torch_files import is_torch_file, load_torch
from .tree import Converter

__all__ = [
    'ForeignObject',
    'Limits',
    'PickleError',
    'check_torch_file',
    'integers',
    'is_torch_file',
    'load_arrays',
    'load_checkpoint_file',
    'load_torch',
    'read_array',
    'read_arrays',
    'read_bytes',
    'write_arrays',
]


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
