"""Check zip archives before anything in them is read.

A zip archive can claim that a few kilobytes unpack to terabytes, or that many entries
share the same bytes. torch and numpy write archives without compression, so that no
entry is larger than the file.
"""

import struct
import zipfile
from typing import Any, Dict

from .limits import PickleError

ZIP_START, ZIP_END = b'PK\x03\x04', b'PK\x05\x06'
MOST_ENTRIES = 50_000
LOCAL_HEADER = struct.Struct('<4s22xHH')


def checked_entries(archive: zipfile.ZipFile, data: Any) -> Dict[str, zipfile.ZipInfo]:
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
        end = start + LOCAL_HEADER.size + name_size + extra_size + info.file_size
        if sign != ZIP_START or end > archive.start_dir:
            raise PickleError(f'the entry {shown} is not complete')
    return {info.filename: info for info in infos}


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


def verify(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Read an entry to its end, so that a wrong checksum is found.

    Raises:
        zipfile.BadZipFile: The checksum is wrong.
    """
    with archive.open(entry) as file:
        while file.read(1 << 20):
            pass
