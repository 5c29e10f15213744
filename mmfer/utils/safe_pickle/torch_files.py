"""Read files that ``torch.save`` wrote, without running code in them.

``torch.load(weights_only=True)`` runs no code either. But it unpacks whatever a zip
archive claims, reserves memory that a file only promises, and refuses arrays of numpy
unless numpy's own pickling is allowed, which can crash the process.
"""

import io
import math
import struct
import zipfile
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .arrays import NAMES, REBUILDERS, rebuild, set_state
from .limits import LIMITS, Limits, PickleError
from .machine import Machine, Name
from .tree import Converter

ZIP_START = b'PK\x03\x04'
# First value of a file before torch 1.6, as an integer of protocol 2.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
MAGIC = b'\x8a\x0a' + MAGIC_NUMBER.to_bytes(10, 'little')
MOST_ENTRIES = 50_000
LOCAL_HEADER = struct.Struct('<4s22xHH')
MOST_DIMENSIONS = 32

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
        data (bytearray): The elements.
        dtype (torch.dtype): Their type.
        count (int): Number of elements.
    """

    data: bytearray
    dtype: torch.dtype
    count: int


class Key(NamedTuple):
    """Reference of a pickle to a storage."""

    name: str
    dtype: torch.dtype
    count: int

    @property
    def size(self) -> int:
        """Size of the storage in bytes."""
        return self.count * self.dtype.itemsize


def is_torch_file(data: bytes) -> bool:
    """Return whether torch wrote a file: as a zip archive, or as a pickle."""
    return data.startswith(ZIP_START) or MAGIC in data[:32]


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
    try:
        value = (
            load_zip(data, limits)
            if data.startswith(ZIP_START)
            else load_legacy(data, limits)
        )
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise PickleError(f'the archive is damaged: {error}') from None
    return Converter(limits, len(data)).convert(value).value


def load_zip(data: bytes, limits: Limits) -> Any:
    """Read a file of torch 1.6 or later, which is an uncompressed zip archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = checked_entries(archive, data)
        pickles = [name for name in entries if name.count('/') == 1]
        found = [name for name in pickles if name.endswith('/data.pkl')]
        if len(found) != 1:
            raise PickleError('the archive does not have one data.pkl')
        folder = found[0].partition('/')[0]
        order = entries.get(f'{folder}/byteorder')
        if order is not None and archive.read(order).strip() != b'little':
            raise PickleError('its numbers are in the byte order of other machines')
        read: Dict[str, bytearray] = {}

        def storage(reference: Any) -> Storage:
            key = parse_key(reference)
            entry = entries.get(f'{folder}/data/{key.name}')
            if entry is None or entry.file_size != key.size:
                raise PickleError(
                    f'tensor data {key.name[:40]!r}: {key.size} bytes are announced, '
                    f'but the file has {entry.file_size if entry else "none"}'
                )
            if key.name not in read:
                read[key.name] = bytearray(archive.read(entry))
            return Storage(read[key.name], key.dtype, key.count)

        machine = torch_machine(archive.read(entries[found[0]]), storage, limits)
        return machine.run()


def checked_entries(
    archive: zipfile.ZipFile, data: bytes
) -> Dict[str, zipfile.ZipInfo]:
    """Return the entries of an archive by name, if torch can have written it.

    Raises:
        PickleError: Entries are compressed, encrypted, overlap, lie outside the file,
            or have names that are absolute, leave the archive or occur twice.
    """
    infos = archive.infolist()
    if len(infos) > MOST_ENTRIES:
        raise PickleError(f'the archive has {len(infos)} entries')
    entries = {info.filename: info for info in infos}
    if len(entries) != len(infos):
        raise PickleError('the archive has two entries of the same name')
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = info.filename
        shown = repr(name[:60])
        if name.startswith('/') or '\\' in name or ':' in name or '\0' in name:
            raise PickleError(f'the archive has an entry of the name {shown}')
        if '..' in name.split('/'):
            raise PickleError(f'the archive has an entry of the name {shown}')
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            raise PickleError(
                f'the archive has a compressed or encrypted entry {shown}; torch '
                'writes none. Unpack it, and save its content with torch.save'
            )
        if info.file_size != info.compress_size:
            raise PickleError(f'the entry {shown} has two sizes')
        start = info.header_offset
        header = data[start : start + LOCAL_HEADER.size]
        if start < end or len(header) < LOCAL_HEADER.size:
            raise PickleError(f'the entry {shown} overlaps with another one')
        sign, name_size, extra_size = LOCAL_HEADER.unpack(header)
        end = start + LOCAL_HEADER.size + name_size + extra_size + info.file_size
        if sign != ZIP_START or end > archive.start_dir:
            raise PickleError(f'the entry {shown} is not complete')
    return entries


def load_legacy(data: bytes, limits: Limits) -> Any:
    """Read a file of torch before 1.6: some pickles, followed by the tensor data."""
    position = 0
    head: List[Any] = []
    for _ in range(3):
        machine = torch_machine(data, None, limits, position)
        head.append(machine.run())
        position = machine.position
    number, version, system = head
    if type(number) is not int or number != MAGIC_NUMBER:
        raise PickleError('it does not begin like a torch file')
    if type(system) is dict and system.get('little_endian') is False:
        raise PickleError('its numbers are in the byte order of other machines')
    # The data follow the pickle that refers to them, so it is run twice: first
    # for the references, then with the data.
    keys: Dict[str, Key] = {}

    def note(reference: Any) -> None:
        key = parse_key(reference)
        if key.size > len(data) or keys.setdefault(key.name, key) != key:
            raise PickleError(
                f'tensor data {key.name[:40]!r} of {key.size} bytes do not fit in the '
                'file'
            )

    first = torch_machine(data, note, limits, position)
    first.run()
    listed = torch_machine(data, None, limits, first.position)
    order = listed.run()
    read = read_storages(data, listed.position, order, keys)
    return torch_machine(
        data, lambda reference: read[parse_key(reference).name], limits, position
    ).run()


def read_storages(
    data: bytes, position: int, order: Any, keys: Dict[str, Key]
) -> Dict[str, Storage]:
    """Read the tensor data at the end of a file of torch before 1.6.

    Args:
        data (bytes): Content of the file.
        position (int): Where they begin.
        order (list[str]): Their names, in order.
        keys (dict[str, Key]): References to them.
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
            raise PickleError('the file ends too early')
        if int.from_bytes(data[position : position + 8], 'little') != key.count:
            raise PickleError(f'tensor data {name[:40]!r} have two sizes')
        read[name] = Storage(bytearray(data[position + 8 : end]), key.dtype, key.count)
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
    data: bytes,
    storage: Optional[Callable[[Any], Optional[Storage]]],
    limits: Limits,
    start: int = 0,
) -> Machine:
    """Return the machine for a pickle of torch.

    Args:
        data (bytes): Content of the file.
        storage (Callable, optional): Returns the storage of a reference, or None
            where tensors are not built yet. None: the pickle has no tensors.
        limits (Limits): Limits of the reader.
        start (int): Position of the pickle. Defaults to 0.
    """
    names = NAMES | TORCH_REBUILDERS.keys() | STORAGES.keys() | DTYPES
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
        storage (Storage, optional): Its elements; None returns None.
        offset (int): Number of the first element.
        size (tuple[int]): Shape of the tensor.
        stride (tuple[int]): Elements from one position to the next, per dimension.
        requires_grad (bool): Not used.
        hooks (object): Not used.
        metadata (object): Not used.

    Raises:
        PickleError: The tensor does not lie in its storage.
    """
    for values in (size, stride):
        if (
            type(values) is not tuple
            or len(values) > MOST_DIMENSIONS
            or any(type(value) is not int or value < 0 for value in values)
        ):
            raise PickleError('a tensor has a shape that is none')
    if len(size) != len(stride) or type(offset) is not int or offset < 0:
        raise PickleError('a tensor has a shape that is none')
    if storage is None:
        return None
    if type(storage) is not Storage:
        raise PickleError('a tensor has no data')
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if count > storage.count or (count and last >= storage.count):
        raise PickleError(
            f'a tensor of {count} elements does not lie in its {storage.count} elements'
        )
    if not count:
        # Sizes that are as large as one likes stand beside a zero.
        if max(size) >= 2**31:
            raise PickleError('a tensor has a shape that is none')
        return torch.empty(size, dtype=storage.dtype)
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


def rebuild_size(sizes: Any) -> Tuple:
    """Rebuild a shape as a tuple."""
    if type(sizes) is not tuple:
        raise PickleError('a shape is no tuple')
    return sizes


def rebuild_device(*names: Any) -> str:
    """Rebuild a device as text."""
    return ':'.join(str(name) for name in names if type(name) in (str, int))


TORCH_REBUILDERS: Dict[Name, Callable] = {
    Name(name): function
    for name, function in {
        'torch._utils._rebuild_tensor': rebuild_tensor,
        'torch._utils._rebuild_tensor_v2': rebuild_tensor,
        'torch._utils._rebuild_parameter': rebuild_parameter,
        'torch.Size': rebuild_size,
        'torch.device': rebuild_device,
    }.items()
}
