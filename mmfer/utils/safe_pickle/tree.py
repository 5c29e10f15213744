"""Turn the value of a pickle into plain containers of a bounded size.

Containers of a pickle can share their parts, so that a few hundred bytes describe a
list of 2**100 elements, or contain themselves. Code that walks through such a value
does not end. The functions here count each part as often as it is reached.
"""

from typing import Any, Dict, List, NamedTuple, Set

import numpy as np
from torch import Tensor

from .arrays import PendingArray, PendingDType
from .limits import Limits, PickleError
from .machine import Name

# Size of a container or a number, in bytes, at least.
OVERHEAD = 16


class Part(NamedTuple):
    """A converted part of a value.

    Attributes:
        value (object): Plain containers, numbers, texts, arrays and tensors.
        values (int): Number of values in it.
        memory (int): Their size in bytes.
        height (int): Depth of its nested containers.
    """

    value: Any
    values: int = 1
    memory: int = OVERHEAD
    height: int = 0


class Converter:
    """Converter of one value, which remembers the parts that are shared.

    Args:
        limits (Limits): Limits of the reader.
        size (int): Size of the file in bytes.
    """

    def __init__(self, limits: Limits, size: int):
        self.limits, self.most_memory = limits, limits.memory(size)
        self.known: Dict[int, Part] = {}
        self.open: Set[int] = set()

    def convert(self, value: Any, depth: int = 0) -> Part:
        """Convert a value and everything in it.

        Raises:
            PickleError: The value contains itself, or reaches a limit.
        """
        if type(value) not in (dict, list, tuple):
            return convert_leaf(value)
        key = id(value)
        if key in self.open:
            raise PickleError('a list or dict contains itself')
        part = self.known.get(key)
        if depth + (part.height if part else 1) > self.limits.depth:
            raise PickleError(
                f'lists and dicts are nested more than {self.limits.depth} deep'
            )
        if part is None:
            self.open.add(key)
            part = self.known[key] = self.convert_container(value, depth)
            self.open.remove(key)
        return part

    def convert_container(self, value: Any, depth: int) -> Part:
        """Convert a container that was not converted before."""
        inner = value.values() if type(value) is dict else value
        found: List[Any] = []
        values, memory, height = 1, OVERHEAD, 0
        if type(value) is dict:
            memory += sum(map(size_of, value))
        for item in inner:
            part = self.convert(item, depth + 1)
            values, memory = values + part.values, memory + part.memory
            height = max(height, part.height)
            if values > self.limits.values or memory > self.most_memory:
                raise PickleError(
                    'it describes far more than the file has room for, because '
                    'parts are used many times'
                )
            found.append(part.value)
        if type(value) is dict:
            return Part(dict(zip(value, found)), values, memory, height + 1)
        return Part(type(value)(found), values, memory, height + 1)


def size_of(value: Any) -> int:
    """Return the size of a text, array or number in bytes, about."""
    if isinstance(value, (str, bytes)):
        return len(value) + OVERHEAD
    if isinstance(value, (np.ndarray, Tensor)):
        return value.nbytes + OVERHEAD
    return OVERHEAD


def convert_leaf(value: Any) -> Part:
    """Convert a value that is no container."""
    if type(value) is PendingArray:
        if value.array is None:
            raise PickleError('an array has no data')
        value = value.array
    elif type(value) is PendingDType:
        value = str(value.dtype())
    elif type(value) is Name:
        value = value.text
    return Part(value, memory=size_of(value))
