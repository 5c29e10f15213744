"""Size of an image file from its header, without decoding it."""

import os.path as osp
import struct
from typing import Any, Optional, Tuple

from PIL import Image

# EXIF tag of the orientation, its values, and those that swap height and width.
_ORIENTATION = 0x0112
_VALID, _SWAPPED = range(1, 9), range(5, 9)


def _is_plain(exif: bytes, orientation: Any) -> bool:
    """Return whether EXIF states this orientation in the standard's way only.

    Pillow and OpenCV read damaged entries in different ways, so only decoding tells
    what they lead to.

    Args:
        exif (bytes): The segment; empty if there is none.
        orientation (int): The orientation that Pillow has read; 1 if there is none.
    """
    if not exif:
        return orientation == 1
    order = {b'II': '<', b'MM': '>'}.get(exif[6:8])
    if exif[:6] != b'Exif\0\0' or order is None:
        return False
    mark, start = struct.unpack_from(f'{order}HI', exif, 8)
    count = struct.unpack_from(f'{order}H', exif, 6 + start)[0]
    entries = [
        struct.unpack_from(f'{order}HHIH', exif, 8 + start + 12 * i)
        for i in range(count)
    ]
    found = [entry[1:] for entry in entries if entry[0] == _ORIENTATION]
    # Type 3 is a whole number of 16 bits.
    stated = found == [(3, 1, orientation)] or not found and orientation == 1
    return mark == 42 and stated


def upright_size(path: str) -> Optional[Tuple[int, int]]:
    """Return height and width of the pixels of a JPEG file, without decoding them.

    They are those of :func:`~mmfer.datasets.images.decode_image`, which turns the
    image upright. Of a photo of 12 million pixels, the header takes a thousandth of
    the time. Damage of the file is not found.

    Args:
        path (str): Path of an image file.

    Returns:
        tuple[int, int], optional: None if only decoding tells: the file is no JPEG,
        cannot be read, or states its orientation in another way than EXIF.
    """
    path = osp.expanduser(path)
    if not osp.isfile(path):
        return None
    try:
        with Image.open(path, formats=('JPEG',)) as image:
            width, height = image.size
            if b'Orientation' in (image.info.get('xmp') or b''):
                return None
            orientation = image.getexif().get(_ORIENTATION, 1)
            if not _is_plain(image.info.get('exif') or b'', orientation):
                return None
    except Exception:
        # The plug-ins of Pillow raise a dozen types of errors.
        return None
    if orientation not in _VALID:
        return None
    return (width, height) if orientation in _SWAPPED else (height, width)
