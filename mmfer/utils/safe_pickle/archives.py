"""Check zip archives before anything in them is read.

A zip archive can claim that a few kilobytes unpack to terabytes, or that many entries
share the same bytes. torch and numpy write archives without compression, so that no
entry is larger than the file.
"""

import struct
import zipfile
import zlib
from typing import Any, Dict, NamedTuple

from .limits import PickleError

ZIP_START, ZIP_END = b'PK\x03\x04', b'PK\x05\x06'
MOST_ENTRIES = 50_000
LOCAL_HEADER = struct.Struct('<4s22xHH')


class Entry(NamedTuple):
    """Place of an entry in an archive.

    Attributes:
        name (str): Its name.
        start (int): Number of its first byte in the file.
        size (int): Number of bytes.
        checksum (int): Its CRC-32.
    """

    name: str
    start: int
    size: int
    checksum: int

    def read(self, data: Any, checksum: bool = True) -> bytes:
        """Return the content.

        Args:
            data (bytes | mmap): Content of the archive.
            checksum (bool): Compare the checksum.

        Raises:
            PickleError: The checksum is wrong.
        """
        if checksum:
            self.verify(data)
        return data[self.start : self.start + self.size]

    def verify(self, data: Any) -> None:
        """Raise a PickleError if the checksum is wrong."""
        with (
            memoryview(data) as view,
            view[self.start : self.start + self.size] as part,
        ):
            if zlib.crc32(part) != self.checksum:
                raise PickleError(f'{self.name[:60]!r} has a wrong checksum (CRC-32)')


def checked_entries(archive: zipfile.ZipFile, data: Any) -> Dict[str, Entry]:
    """Return the entries of an archive by name, if torch or numpy can have written it.

    Args:
        archive (ZipFile): The archive.
        data (bytes | mmap): Its content.

    Raises:
        PickleError: Entries are compressed, encrypted, overlap, lie outside the file,
            or have names that are absolute, leave the archive or occur twice.
    """
    infos = archive.infolist()
    if len(infos) > MOST_ENTRIES:
        raise PickleError(f'the archive has {len(infos)} entries')
    # Programs disagree on which part of a file is its table of contents if something
    # follows it, and on whether names differ in upper and lower case.
    if data[-22:-18] != ZIP_END:
        raise PickleError('something follows the archive')
    if len({info.filename.lower() for info in infos}) != len(infos):
        raise PickleError('the archive has two entries of the same name')
    found: Dict[str, Entry] = {}
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        shown = check_entry(info)
        start = info.header_offset
        header = data[start : start + LOCAL_HEADER.size]
        if start != end and not end:
            raise PickleError('something precedes the archive')
        if start < end or len(header) < LOCAL_HEADER.size:
            raise PickleError(f'the entry {shown} overlaps with another one')
        sign, name_size, extra_size = LOCAL_HEADER.unpack(header)
        start += LOCAL_HEADER.size + name_size + extra_size
        end = start + info.file_size
        if sign != ZIP_START or end > archive.start_dir:
            raise PickleError(f'the entry {shown} is not complete')
        found[info.filename] = Entry(info.filename, start, info.file_size, info.CRC)
    return found


def check_entry(info: zipfile.ZipInfo) -> str:
    """Check one entry of an archive, and return its name for messages.

    Raises:
        PickleError: Neither torch nor numpy writes such an entry.
    """
    name = info.filename
    shown = repr(name[:60])
    outside = name.startswith('/') or '..' in name.split('/')
    if outside or any(character in name for character in '\\:\0'):
        raise PickleError(f'the archive has an entry of the name {shown}')
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
        raise PickleError(
            f'the archive has a compressed or encrypted entry {shown}; torch.save '
            'and numpy.savez write none'
        )
    if info.file_size != info.compress_size:
        raise PickleError(f'the entry {shown} has two sizes')
    return shown
