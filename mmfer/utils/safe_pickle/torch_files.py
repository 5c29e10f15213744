"""Read files that ``torch.save`` wrote, without running code in them.

``torch.load(weights_only=True)`` runs no code either. But it unpacks whatever a zip
archive claims, reserves memory that a file only promises, and refuses arrays of numpy
unless numpy's own pickling is allowed, which can crash the process.
"""

import io
import math
import zipfile
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .archives import ZIP_START, checked_entries
from .arrays import NAMES, REBUILDERS, rebuild, set_state
from .limits import LIMITS, NOT_TORCH, TOO_SHORT, Limits, PickleError
from .machine import Machine, Name
from .tree import Converter

# First value of a file before torch 1.6, as an integer of protocol 2.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
MAGIC = b'\x8a\x0a' + MAGIC_NUMBER.to_bytes(10, 'little')
MOST_DIMENSIONS = 32
# A size of this number of elements stands only beside a zero.
LARGEST_SIZE = 1 << 40
# A tensor may repeat its elements (a stride of 0), as tensor.expand does. Its copy
# has this number of elements at most.
MOST_REPEATED, MOST_DESCRIBED = 1 << 24, 1 << 32

STORAGES = {
    Name(f'torch.{name}Storage'): dtype
    for name, dtype in dict(
        Double=torch.float64,
        Float=torch.float32,
        Half=torch.float16,
        BFloat16=torch.bfloat16,
        Long=torch.int64,
        Int=torch.int32,
        Short=torch.int16,
        Char=torch.int8,
        Byte=torch.uint8,
        Bool=torch.bool,
    ).items()
}
DTYPES = {Name(str(dtype)) for dtype in STORAGES.values()}


class Storage(NamedTuple):
    """Elements that tensors of a file share.

    Attributes:
        data (bytearray, optional): The elements; None if only their structure is
            read.
        dtype (torch.dtype): Their type.
        length (int): Number of elements.
    """

    data: Optional[bytearray]
    dtype: torch.dtype
    length: int


class Key(NamedTuple):
    """Reference of a pickle to a storage."""

    name: str
    dtype: torch.dtype
    length: int

    @property
    def size(self) -> int:
        """Size of the storage in bytes."""
        return self.length * self.dtype.itemsize


def is_torch_file(data: Any) -> bool:
    """Return whether torch wrote a file: as a zip archive, or as a pickle."""
    return data[:4] == ZIP_START or MAGIC in data[:32]


def load_torch(data: bytes, limits: Limits = LIMITS) -> Any:
    """Read a torch file into plain containers, numbers, texts, arrays and tensors.

    Args:
        data (bytes): Content of the file.
        limits (Limits): Limits of the reader.

    Returns:
        object: The content; an ``OrderedDict`` becomes a dict.

    Raises:
        ForeignObject: The file has objects that are not rebuilt here.
        PickleError: The file is damaged, or reaches a limit.
    """
    return read_torch(data, io.BytesIO(data), limits, build=True)


def read_torch(
    data: Any, file: BinaryIO, limits: Limits, build: bool, checksums: bool = True
) -> Any:
    """Read a torch file.

    Args:
        data (bytes | mmap): Content of the file.
        file (BinaryIO): The same content.
        limits (Limits): Limits of the reader.
        build (bool): Read the tensor data. False: None stands for each tensor.
        checksums (bool): Compare the checksums of an archive.

    Raises:
        ForeignObject: The file has objects that are not rebuilt here.
        PickleError: The file is damaged, or reaches a limit.
    """
    if not is_torch_file(data):
        raise PickleError(NOT_TORCH)
    try:
        value = (
            load_zip(data, file, limits, build, checksums)
            if data[:4] == ZIP_START
            else load_legacy(data, limits, build)
        )
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise PickleError(f'the archive is damaged: {error}') from None
    return Converter(limits, len(data)).convert(value).value


def load_zip(
    data: Any, file: BinaryIO, limits: Limits, build: bool, checksums: bool
) -> Any:
    """Read a file of torch 1.6 or later, which is an uncompressed zip archive."""
    with zipfile.ZipFile(file) as archive:
        entries = checked_entries(archive, data)
    found = [name for name in entries if name.endswith('.pkl')]
    if len(found) != 1 or found[0].partition('/')[2] != 'data.pkl':
        raise PickleError('the archive does not have one data.pkl')
    folder = found[0].partition('/')[0]
    order = entries.get(f'{folder}/byteorder')
    if order is not None and order.read(data, checksums).strip() != b'little':
        raise PickleError('its numbers are in the byte order of other machines')
    read: Dict[str, Optional[bytearray]] = {}

    def storage(reference: Any) -> Storage:
        key = parse_key(reference)
        entry = entries.get(f'{folder}/data/{key.name}')
        if entry is None or entry.size != key.size:
            raise PickleError(
                f'tensor data {key.name[:40]!r}: {key.size} bytes are announced, '
                f'but the file has {entry.size if entry else "none"}'
            )
        if key.name not in read:
            if checksums:
                entry.verify(data)
            read[key.name] = bytearray(entry.read(data, False)) if build else None
        return Storage(read[key.name], key.dtype, key.length)

    return torch_machine(entries[found[0]].read(data, checksums), storage, limits).run()


def load_legacy(data: Any, limits: Limits, build: bool) -> Any:
    """Read a file of torch before 1.6: some pickles, followed by the tensor data."""
    position = 0
    head: List[Any] = []
    for _ in range(3):
        machine = torch_machine(data, None, limits, position)
        head.append(machine.run())
        position = machine.position
    number, version, system = head
    if type(number) is not int or number != MAGIC_NUMBER:
        raise PickleError(NOT_TORCH)
    if type(system) is dict and system.get('little_endian') is False:
        raise PickleError('its numbers are in the byte order of other machines')
    # The data follow the pickle that refers to them, so it is run twice: first
    # for the references, then with the data.
    keys: Dict[str, Key] = {}

    def note(reference: Any) -> Storage:
        key = parse_key(reference)
        if key.size > len(data) or keys.setdefault(key.name, key) != key:
            raise PickleError(
                f'tensor data {key.name[:40]!r} of {key.size} bytes do not fit in the '
                'file'
            )
        return Storage(None, key.dtype, key.length)

    first = torch_machine(data, note, limits, position)
    value = first.run()
    listed = torch_machine(data, None, limits, first.position)
    order = listed.run()
    read = read_storages(data, listed.position, order, keys, build)
    if not build:
        return value
    return torch_machine(
        data, lambda reference: read[parse_key(reference).name], limits, position
    ).run()


def read_storages(
    data: Any, position: int, order: Any, keys: Dict[str, Key], build: bool
) -> Dict[str, Storage]:
    """Read the tensor data at the end of a file of torch before 1.6.

    Args:
        data (bytes | mmap): Content of the file.
        position (int): Where they begin.
        order (list[str]): Their names, in order.
        keys (dict[str, Key]): References to them.
        build (bool): Read them. False: only check that they are there.
    """
    if type(order) is not list or any(type(name) is not str for name in order):
        raise PickleError('the list of its tensor data is damaged')
    if len(set(order)) != len(order) or set(order) != set(keys):
        raise PickleError('its tensors and its tensor data are not the same')
    read = {}
    for name in order:
        key = keys[name]
        end = position + 8 + key.size
        if end > len(data):
            raise PickleError(TOO_SHORT)
        if int.from_bytes(data[position : position + 8], 'little') != key.length:
            raise PickleError(f'tensor data {name[:40]!r} have two sizes')
        if build:
            numbers = bytearray(data[position + 8 : end])
            read[name] = Storage(numbers, key.dtype, key.length)
        position = end
    return read


def parse_key(reference: Any) -> Key:
    """Check the reference of a pickle to a storage."""
    if type(reference) is not tuple or len(reference) not in (5, 6):
        raise PickleError('it refers to data that are no tensor')
    kind, dtype, name, _, count = reference[:5]
    if (
        kind != 'storage'
        or type(dtype) is not Name
        or type(name) is not str
        or type(count) is not int
        or count < 0
        or (len(reference) == 6 and reference[5] is not None)
    ):
        raise PickleError('it refers to data that are no tensor')
    if dtype not in STORAGES:
        raise PickleError(f'a tensor has elements of type {dtype.text[:40]}')
    return Key(name, STORAGES[dtype], count)


def torch_machine(
    data: Any,
    storage: Optional[Callable[[Any], Storage]],
    limits: Limits,
    start: int = 0,
) -> Machine:
    """Return the machine for a pickle of torch.

    Args:
        data (bytes | mmap): Content of the file.
        storage (Callable, optional): Returns the storage of a reference. None: the
            pickle has no tensors.
        limits (Limits): Limits of the reader.
        start (int): Position of the pickle. Defaults to 0.
    """
    names = NAMES | TORCH_REBUILDERS.keys() | STORAGES.keys() | DTYPES | TENSORS
    table = {**REBUILDERS, **TORCH_REBUILDERS}
    options = {} if storage is None else dict(persistent=storage)
    return Machine(
        data,
        lambda name, arguments: rebuild(name, arguments, table),
        set_state,
        names.__contains__,
        limits=limits,
        start=start,
        **options,
    )


def rebuild_tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Optional[Tensor]:
    """Rebuild a tensor from a part of its storage.

    Args:
        storage (Storage): Its elements.
        offset (int): Number of the first element.
        size (tuple[int]): Shape of the tensor.
        stride (tuple[int]): Elements from one position to the next, per dimension.
        requires_grad (bool): Not used.
        hooks (object): Not used.
        metadata (object): Not used.

    Returns:
        Tensor, optional: None if the elements are not read.

    Raises:
        PickleError: The tensor does not lie in its storage.
    """
    for values in (size, stride):
        if (
            type(values) is not tuple
            or len(values) > MOST_DIMENSIONS
            or any(type(value) is not int for value in values)
            or any(not 0 <= value < LARGEST_SIZE for value in values)
        ):
            raise PickleError('a tensor has a shape that is none')
    if len(size) != len(stride) or type(offset) is not int or offset < 0:
        raise PickleError('a tensor has a shape that is none')
    if type(storage) is not Storage:
        raise PickleError('a tensor has no data')
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    # Without its data, a tensor is only a description: torch repeats nothing either.
    repeated = MOST_REPEATED if storage.data is not None else MOST_DESCRIBED
    most = max(storage.length, repeated)
    if count > most or (count and last >= storage.length):
        raise PickleError(
            f'a tensor of {count} elements does not lie in its data of '
            f'{storage.length} elements'
        )
    if not count:
        return torch.empty(size, dtype=storage.dtype)
    if storage.data is None:
        return None
    return torch.frombuffer(storage.data, dtype=storage.dtype).as_strided(
        size, stride, offset
    )


def rebuild_parameter(
    data: Any, requires_grad: Any = True, hooks: Any = None
) -> Optional[Tensor]:
    """Rebuild a parameter as a plain tensor."""
    if data is not None and not isinstance(data, Tensor):
        raise PickleError('a parameter is no tensor')
    return data


def rebuild_with_attributes(
    function: Any, kind: Any, arguments: Any, state: Any
) -> Optional[Tensor]:
    """Rebuild a tensor that has attributes, which ``torch.compile`` sets.

    Args:
        function (Name): Function that rebuilds the tensor.
        kind (Name): Class of the tensor.
        arguments (tuple): Arguments of the function.
        state (dict): The attributes; they are not used.
    """
    if (
        type(function) is not Name
        or function not in TENSOR_REBUILDERS
        or type(kind) is not Name
        or kind not in TENSORS
        or type(arguments) is not tuple
        or type(state) is not dict
        or any(type(key) is not str or key.startswith('__') for key in state)
    ):
        raise PickleError('a tensor is of a special class')
    return rebuild(function, arguments, TENSOR_REBUILDERS)


def rebuild_size(sizes: Any) -> Tuple:
    """Rebuild a shape as a tuple."""
    if type(sizes) is not tuple:
        raise PickleError('a shape is no tuple')
    return sizes


def rebuild_device(*names: Any) -> str:
    """Rebuild a device as text."""
    return ':'.join(str(name) for name in names if type(name) in (str, int))


TENSORS = {Name('torch.Tensor'), Name('torch.nn.parameter.Parameter')}
TENSOR_REBUILDERS: Dict[Name, Callable] = {
    Name('torch._utils._rebuild_tensor'): rebuild_tensor,
    Name('torch._utils._rebuild_tensor_v2'): rebuild_tensor,
    Name('torch._utils._rebuild_parameter'): rebuild_parameter,
}
TORCH_REBUILDERS: Dict[Name, Callable] = {
    **TENSOR_REBUILDERS,
    Name('torch._tensor._rebuild_from_type_v2'): rebuild_with_attributes,
    Name('torch.Size'): rebuild_size,
    Name('torch.device'): rebuild_device,
}
