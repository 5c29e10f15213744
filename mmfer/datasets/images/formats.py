"""Image formats: the endings of their files, and their first and last bytes."""

from typing import NamedTuple, Optional

# Endings of image files. All code that looks for images in folders uses this list.
IMAGE_EXTENSIONS = (
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.pjpeg',
    '.pjp',
    '.mpo',
    '.png',
    '.apng',
    '.bmp',
    '.dib',
    '.webp',
    '.tif',
    '.tiff',
    '.ppm',
    '.pgm',
    '.pbm',
    '.pnm',
    '.gif',
    '.jp2',
    '.j2k',
    '.jpx',
    '.avif',
    '.tga',
    '.pcx',
)
# Endings of formats whose files do not begin with fixed bytes.
UNMARKED_EXTENSIONS = ('.tga', '.pcx')
# Formats that Pillow may open. EPS is not one: it would start a program.
PILLOW_FORMATS = (
    'JPEG',
    'PNG',
    'BMP',
    'DIB',
    'WEBP',
    'TIFF',
    'PPM',
    'GIF',
    'JPEG2000',
    'AVIF',
    'TGA',
    'PCX',
)


class Format(NamedTuple):
    """An image format and the bytes of its files.

    Attributes:
        name (str): Name of the format.
        head (bytes): Bytes at ``offset``.
        end (bytes): Bytes that end the image; empty if there are none.
        offset (int): Position of ``head``.
    """

    name: str
    head: bytes
    end: bytes = b''
    offset: int = 0


_FORMATS = (
    Format('JPEG', b'\xff\xd8', b'\xff\xd9'),
    Format('PNG', b'\x89P', b'IEND\xaeB`\x82'),
    Format('GIF', b'GIF8'),
    Format('BMP', b'BM'),
    Format('WebP', b'WEBP', offset=8),
    Format('TIFF', b'II'),
    Format('TIFF', b'MM'),
    Format('JPEG 2000', b'\x00\x00\x00\x0cjP  '),
    Format('JPEG 2000', b'\xff\x4f\xff\x51'),
    Format('AVIF', b'ftypavif', offset=4),
    Format('AVIF', b'ftypavis', offset=4),
    Format('HEIC', b'ftyphei', offset=4),
    Format('HEIC', b'ftypmif1', offset=4),
    Format('JPEG XL', b'\xff\x0a'),
    Format('JPEG XL', b'\x00\x00\x00\x0cJXL '),
    *(Format('PNM', b'P%d' % i) for i in range(1, 8)),
)


def format_of(data: bytes) -> Optional[Format]:
    """Return the format of a file by its first bytes, None if unknown."""
    for kind in _FORMATS:
        if data.startswith(kind.head, kind.offset):
            return kind
    return None
