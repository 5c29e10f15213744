"""Rebuild numpy arrays from what a pickle says about them.

Nothing of numpy's own pickling is called: it trusts the shape, the type and the
state of the file, and a wrong one crashes the process.
"""

import math
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from .limits import PickleError
from .machine import Name, checked_key

# Booleans, integers and floats. Not among them: objects, structures, texts, times.
DTYPES = ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')
BYTE_ORDERS = ('<', '>', '|', '=')
MOST_DIMENSIONS = 32


class PendingDType:
    """Type of the elements of an array.

    Attributes:
        code (str): One of :data:`DTYPES`.
        order (str): One of :data:`BYTE_ORDERS`; the state of the pickle sets it.
    """

    def __init__(self, code: str):
        self.code, self.order = code, '='

    def dtype(self) -> np.dtype:
        """Return the numpy type."""
        return np.dtype(self.order + self.code)


class PendingArray:
    """Array whose data may follow.

    Attributes:
        array (np.ndarray, optional): The array; None until the pickle has given the
            data.
    """

    def __init__(self, array: Optional[np.ndarray] = None):
        self.array = array


def as_bytes(data: Any) -> bytes:
    """Return the bytes of a byte string, which Python 2 has stored as text."""
    if type(data) is bytes:
        return data
    if type(data) is str:
        return data.encode('latin1')
    raise PickleError(f'an array has {type(data).__name__} as its data')


def make_array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Return an array that shares the memory of its bytes, read-only.

    Args:
        data (bytes | str): The elements.
        dtype (PendingDType): Their type.
        shape (tuple[int]): Shape of the array.
        order (str): ``'C'`` or ``'F'``.

    Raises:
        PickleError: The arguments do not describe a plain array.
    """
    data = as_bytes(data)
    if type(dtype) is not PendingDType:
        raise PickleError('an array has no plain type of elements')
    if type(shape) is int:
        shape = (shape,)
    if (
        type(shape) is not tuple
        or len(shape) > MOST_DIMENSIONS
        or any(type(size) is not int or size < 0 for size in shape)
    ):
        raise PickleError('an array has a shape that is none')
    if order not in ('C', 'F'):
        raise PickleError('an array has an unknown order')
    kind = dtype.dtype()
    if math.prod(shape) * kind.itemsize != len(data):
        raise PickleError(
            f'an array of shape {describe_shape(shape)} and type {kind} has '
            f'{len(data)} bytes'
        )
    if kind.kind == 'b' and data.translate(None, b'\0\1'):
        raise PickleError('an array of booleans has other values')
    # Shapes without elements may still have sizes that numpy refuses.
    return np.frombuffer(data, dtype=kind).reshape(shape, order=order)


def describe_shape(shape: Tuple[int, ...]) -> str:
    """Return a shape as a short text."""
    return str(shape) if len(str(shape)) < 80 else f'{len(shape)} dimensions'


def describe(value: Any) -> str:
    """Return a text of a value for messages."""
    # The text of a container may have no end, because its parts can be shared.
    return repr(value[:40]) if type(value) is str else f'a {type(value).__name__}'


def encode_latin1(text: Any, codec: Any = 'latin1') -> bytes:
    """Rebuild bytes of protocol 2, which Python 3 stores as text."""
    if type(text) is not str or codec not in ('latin1', 'latin-1'):
        raise PickleError(f'it asks for the codec {describe(codec)}')
    return text.encode('latin1')


def empty_bytes() -> bytes:
    """Rebuild an empty byte string of protocol 2."""
    return b''


def ordered_dict(pairs: Any = ()) -> Dict[Any, Any]:
    """Rebuild an ``OrderedDict`` as a dict."""
    if type(pairs) not in (list, tuple):
        raise PickleError('a dict is not made of pairs')
    found = {}
    for pair in pairs:
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise PickleError('a dict is not made of pairs')
        found[checked_key(pair[0])] = pair[1]
    return found


def pending_dtype(code: Any, align: Any = False, copy: Any = True) -> PendingDType:
    """Rebuild a type of elements, such as ``'f4'``."""
    if type(code) is not str or code not in DTYPES:
        raise PickleError(
            f'an array has elements of type {describe(code)}; only '
            f'{", ".join(DTYPES)} are read'
        )
    return PendingDType(code)


def empty_array(kind: Any, shape: Any, code: Any) -> PendingArray:
    """Rebuild an array whose data follow as its state."""
    if kind != Name('numpy.ndarray'):
        raise PickleError('an array is of a special class')
    return PendingArray()


def array_from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> PendingArray:
    """Rebuild an array of protocol 5."""
    return PendingArray(make_array(data, dtype, shape, order))


def scalar(dtype: Any, data: Any) -> Any:
    """Rebuild a number of numpy."""
    return make_array(data, dtype, (), 'C')[()]


REBUILDERS: Dict[Name, Callable] = {
    Name('_codecs.encode'): encode_latin1,
    Name('builtins.bytes'): empty_bytes,
    Name('collections.OrderedDict'): ordered_dict,
    Name('numpy.dtype'): pending_dtype,
    Name('numpy.core.multiarray._reconstruct'): empty_array,
    Name('numpy.core.multiarray.scalar'): scalar,
    Name('numpy.core.numeric._frombuffer'): array_from_buffer,
}
"""Functions that rebuild values, by the name that a pickle calls."""
NAMES = {*REBUILDERS, Name('numpy.ndarray')}
"""Names that a pickle may mention."""


def rebuild(name: Name, arguments: Tuple, table: Dict[Name, Callable]) -> Any:
    """Rebuild a value with the function of a table.

    Raises:
        PickleError: There is no such function, or the arguments are not its own.
    """
    function = table.get(name)
    if function is None:
        raise PickleError(f'it calls {name.text[:80]}')
    try:
        return function(*arguments)
    # Raised by a wrong number of arguments, and where numpy refuses a shape.
    except TypeError:
        raise PickleError(f'{name.text} has wrong arguments') from None


def set_dtype_state(value: PendingDType, state: Tuple) -> None:
    """Set the byte order of a type; anything else in its state is refused."""
    if (
        len(state) < 8
        or state[1] not in BYTE_ORDERS
        or any(part is not None for part in state[2:5])
        or state[5:7] != (-1, -1)
        or state[7] != 0
    ):
        raise PickleError('an array has elements of a type that is not plain')
    value.order = state[1]


def set_array_state(value: PendingArray, state: Tuple) -> None:
    """Give an array its data."""
    if value.array is not None or len(state) not in (4, 5):
        raise PickleError('an array gets its data twice, or no data')
    # Old versions of numpy do not store the version of this format.
    shape, dtype, fortran, data = state[-4:]
    value.array = make_array(data, dtype, shape, 'F' if fortran is True else 'C')


def set_state(value: Any, state: Any) -> None:
    """Give a value its state, see :class:`~.machine.Machine`.

    Raises:
        PickleError: Values of this type have no state.
    """
    if type(value) is PendingDType and type(state) is tuple:
        set_dtype_state(value, state)
    elif type(value) is PendingArray and type(state) is tuple:
        set_array_state(value, state)
    elif type(value) is dict:
        # torch's state dicts carry the versions of their modules, which nobody here
        # reads. The attributes are ignored, not set.
        return
    else:
        raise PickleError(f'it sets attributes of a {type(value).__name__}')


def integers(value: Any) -> Optional[np.ndarray]:
    """Return a list or an array of integers as int64 (N,); otherwise None."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in 'iu' or (value.size and value.max() >= 2**63):
            return None
        return value.astype(np.int64)
    # Python 2 wrote the labels of CIFAR as lists. Only flat lists are converted:
    # numpy would walk through nested ones, however often they share a part.
    numbers: List[int] = value if type(value) is list else []
    if not numbers or any(type(number) is not int for number in numbers):
        return None
    if not all(-(2**63) <= number < 2**63 for number in numbers):
        return None
    return np.array(numbers, dtype=np.int64)
