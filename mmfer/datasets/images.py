"""The one decoder: image files and arrays as the pixels that pipelines take.

Training, testing, scoring, inference, the review page and the browsing tools
read their images here, so that one file is the same pixels everywhere:

- files are turned upright by their EXIF orientation;
- transparent pixels are composited on white;
- 16 bits become 8 by their upper byte, floats in [0, 1] are multiplied by 255;
- of animations and of files with several pages, the first picture is read;
- damaged files are refused.

JPEG and PNG files without transparency are decoded by OpenCV, as by
mmpretrain; Pillow decodes the others. What one cannot read, the other tries.
"""

import io
import mmap
import os
import os.path as osp
import stat
import struct
from functools import lru_cache
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

from .jpeg_damage import TRUNCATED, find_damage, read_structure

# What is taken as an image in a folder.
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
# Formats that Pillow may open: EPS would start a program.
_PILLOW_FORMATS = (
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
# Endings of formats whose files begin with no mark of their own.
_UNMARKED = ('.tga', '.pcx')
# More pixels than any camera has; decoding them would take gigabytes.
MAX_PIXELS = 200_000_000
MAX_BYTES = 500_000_000
# Where the end marker normally is; some cameras pad after it.
_TAIL = 1024
# Files that systems and programs put into folders without being asked.
_LITTER = ('thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r')
_MODES = dict(color=cv2.IMREAD_COLOR, grayscale=cv2.IMREAD_GRAYSCALE)


class UnreadableImageError(OSError):
    """Error for an image file that is empty, damaged or not an image."""


class _Kind(NamedTuple):
    """First and last bytes of the files of a format."""

    name: str
    head: bytes
    end: bytes = b''
    offset: int = 0


_KINDS = (
    _Kind('JPEG', b'\xff\xd8', b'\xff\xd9'),
    _Kind('PNG', b'\x89P', b'IEND\xaeB`\x82'),
    _Kind('GIF', b'GIF8'),
    _Kind('BMP', b'BM'),
    _Kind('WebP', b'WEBP', offset=8),
    _Kind('TIFF', b'II'),
    _Kind('TIFF', b'MM'),
    _Kind('JPEG 2000', b'\x00\x00\x00\x0cjP  '),
    _Kind('JPEG 2000', b'\xff\x4f\xff\x51'),
    _Kind('AVIF', b'ftypavif', offset=4),
    _Kind('AVIF', b'ftypavis', offset=4),
    _Kind('HEIC', b'ftyphei', offset=4),
    _Kind('HEIC', b'ftypmif1', offset=4),
    _Kind('JPEG XL', b'\xff\x0a'),
    _Kind('JPEG XL', b'\x00\x00\x00\x0cJXL '),
    *(_Kind('PNM', b'P%d' % i) for i in range(1, 8)),
)


def _kind(data: bytes) -> Optional[_Kind]:
    """Format of a file by its first bytes, None if it is no known one."""
    for kind in _KINDS:
        if data.startswith(kind.head, kind.offset):
            return kind
    return None


# -- any source --------------------------------------------------------------
def read_image(source: Any, color_type: str = 'color') -> np.ndarray:
    """Read an image of any kind; the same file gives the same pixels always.

    Args:
        source (str | Path | bytes | BinaryIO | np.ndarray | PIL.Image.Image):
            A file, its contents, an open file, from whose beginning is read
            if it can be rewound, or pixels: (H, W), (H, W, 1), BGR (H, W, 3)
            or BGRA (H, W, 4), uint8, uint16 or floats in [0, 1], as OpenCV
            has them.
        color_type (str): ``'color'`` for BGR, ``'grayscale'``.

    Returns:
        np.ndarray: uint8, (H, W, 3) or (H, W).

    Raises:
        UnreadableImageError: A file that is not there, empty, damaged, no
            image or of an unknown format, or has more than 200 million
            pixels or 500 MB.
        TypeError: The source is something else.
        ValueError: An array of another shape or type.
    """
    if isinstance(source, (str, os.PathLike)):
        path = osp.expanduser(os.fspath(source))
        try:
            data = read_file(path)
        except UnreadableImageError:
            raise
        except FileNotFoundError as error:
            raise UnreadableImageError(f'{path!r}: there is no such file.') from error
        except OSError as error:
            raise UnreadableImageError(f'{path!r}: {error.strerror}.') from error
        return decode_image(data, path, color_type)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_image(bytes(source), f'{len(source)} bytes', color_type)
    if isinstance(source, np.ndarray):
        return from_array(source, color_type)
    if is_pil_image(source):
        return from_pil(source, 'the image of PIL', color_type)
    if is_file_object(source):
        return decode_image(*_read_object(source), color_type)
    raise TypeError(
        f'an image must be a path, bytes, an open file, an array or an image '
        f'of PIL, got {type(source).__name__}'
    )


def is_pil_image(source: Any) -> bool:
    """Return whether ``source`` is an image of PIL, or behaves like one."""
    return hasattr(source, 'convert') and hasattr(source, 'getexif')


def is_file_object(source: Any) -> bool:
    """Return whether ``source`` is an open file, such as ``BytesIO``."""
    return callable(getattr(source, 'read', None))


def _read_object(file) -> Tuple[bytes, str]:
    """Contents of an open file, and what to call it."""
    if isinstance(file, io.TextIOBase):
        # It would decode bytes that are no text.
        raise TypeError("an image file was opened as text; open it with 'rb'")
    if getattr(file, 'seekable', bool)():
        # Like PIL, so that a buffer that was just written can be given.
        file.seek(0)
    parts, size = [], 0
    # Streams may give less than they are asked for.
    while size <= MAX_BYTES and (part := file.read(1 << 24)):
        if isinstance(part, str):
            raise TypeError("an image file was opened as text; open it with 'rb'")
        parts.append(part)
        size += len(part)
    data = b''.join(parts)
    name = getattr(file, 'name', None)
    if not isinstance(name, str):
        name = f'{len(data)} bytes'
    _check_bytes(len(data), name)
    return data, name


def read_file(path: str) -> bytes:
    """Contents of an image file.

    Args:
        path (str): The file; ``~`` is the home folder.

    Raises:
        FileNotFoundError: It is not there.
        UnreadableImageError: It is no file, or larger than any image.
        OSError: It may not be read.
    """
    path = osp.expanduser(path)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError(
            f'{path!r} is no file; a folder is given by itself, not in a list.'
        )
    _check_bytes(status.st_size, path)
    with open(path, 'rb') as file:
        return file.read()


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise UnreadableImageError(
            f'{name!r} has {size / 1e6:.0f} MB, more than '
            f'{MAX_BYTES / 1e6:.0f}; is it an image?'
        )


def _check_pixels(width: int, height: int, name: str) -> None:
    pixels = width * height
    if pixels > MAX_PIXELS:
        raise UnreadableImageError(
            f'{name!r} has {pixels / 1e6:.0f} million pixels, more than '
            f'{MAX_PIXELS / 1e6:.0f} million; make it smaller.'
        )


# -- contents of files -------------------------------------------------------
def decode_image(data: bytes, name: str, color_type: str = 'color') -> np.ndarray:
    """Decode the contents of a file; refuse what decoders pass in silence.

    Args:
        data (bytes): Contents.
        name (str): Name of the file, for messages.
        color_type (str): ``'color'`` for BGR, ``'grayscale'``.

    Returns:
        np.ndarray: uint8, (H, W, 3) or (H, W).

    Raises:
        UnreadableImageError: Empty, damaged, not an image, of a format that
            neither OpenCV nor Pillow reads, or too large. Damage is found
            where the format's library tells of it, in a JPEG see
            :mod:`~mmfer.datasets.jpeg_damage`. A changed byte that decodes
            to other pixels can be found in PNG only, which has checksums.
    """
    if not data:
        raise UnreadableImageError(f'{name!r} is empty')
    kind = _kind(data)
    if kind is not None and kind.name == 'JPEG':
        _check_jpeg(data, name)
        return _decode_opencv(data, name, color_type)
    if kind is not None and kind.name == 'PNG':
        if kind.end not in data:
            raise UnreadableImageError(f'{name!r} is a truncated PNG')
        if len(data) >= 33:
            _check_pixels(*struct.unpack_from('>II', data, 16), name)
        if not _png_is_special(data):
            return _decode_opencv(data, name, color_type)
    return _decode_pillow(data, name, color_type)


def check_image_file(path: str) -> None:
    """Raise :class:`UnreadableImageError` unless ``path`` decodes."""
    decode_image(read_file(path), path)


def looks_complete(path: str) -> bool:
    """Return whether a file looks like a whole image, without decoding it.

    Looks at both ends only, so that 10^5 files take seconds.

    Args:
        path (str): The file.

    Returns:
        bool: False if it is missing, empty, truncated or not an image.
    """
    try:
        with open(osp.expanduser(path), 'rb') as file:
            head = file.read(16)
            kind = _kind(head)
            if kind is None:
                return bool(head) and path.lower().endswith(_UNMARKED)
            if not kind.end:
                return True
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            if kind.end in file.read():
                return True
            # A video may follow the picture.
            file.seek(0)
            return _has_end(file.read(), kind)
    except OSError:
        return False


def _has_end(data: bytes, kind: _Kind) -> bool:
    """Return whether a JPEG or PNG has its end marker."""
    if kind.name == 'PNG':
        return kind.end in data
    # A thumbnail before the image is a JPEG with an end marker of its own.
    # So skip segment by segment to the image's first scan, in which FF D9
    # cannot occur.
    position = 2
    while data[position : position + 1] == b'\xff':
        marker = data[position + 1 : position + 2]
        if marker == b'\xda':
            return data.find(kind.end, position) > 0
        if marker == b'\xff':  # Fill byte.
            position += 1
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    return kind.end in data[-_TAIL:]


class _Intact:
    """Table of the files that were found intact, by a hash of each.

    A training reads each file in every epoch. The check takes longer than
    decoding, so it is done once for each file. The table is shared with
    worker processes that are forked, and has a fixed size: when two files
    have the same place, they take turns.
    """

    def __init__(self, places: int = 1 << 20):
        self.hashes = np.frombuffer(mmap.mmap(-1, 8 * places), np.int64)

    def __contains__(self, data: bytes) -> bool:
        value = hash(data)
        return value == self.hashes[value % len(self.hashes)]

    def add(self, data: bytes) -> None:
        """Remember ``data``."""
        value = hash(data)
        self.hashes[value % len(self.hashes)] = value


_intact = _Intact()


def _check_jpeg(data: bytes, name: str) -> None:
    """Raise :class:`UnreadableImageError` for a damaged JPEG."""
    if data in _intact:
        return
    jpeg = read_structure(data)
    if jpeg.frame is not None:
        _check_pixels(jpeg.frame.width, jpeg.frame.height, name)
    damage = find_damage(jpeg)
    if damage == TRUNCATED:
        raise UnreadableImageError(f'{name!r} is a truncated JPEG')
    if damage is not None:
        raise UnreadableImageError(
            f'{name!r} is a damaged JPEG: {damage}, so that a part of the '
            'picture is lost'
        )
    _intact.add(data)


def _png_is_special(data: bytes) -> bool:
    """Return whether a PNG has transparency or an animation."""
    if data[25:26] in (b'\x04', b'\x06'):
        return True
    position = 33
    while position + 8 <= len(data):
        length, name = struct.unpack_from('>I4s', data, position)
        if name in (b'tRNS', b'acTL'):
            return True
        if name in (b'IDAT', b'IEND'):
            return False
        position += 12 + length
    return False


def _decode_opencv(data: bytes, name: str, color_type: str) -> np.ndarray:
    """Decode a JPEG or PNG as mmpretrain does."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _MODES[color_type])
    except cv2.error as error:
        raise _unreadable(data, name, error.err) from error
    if image is None:
        raise _unreadable(data, name)
    return image


def _unreadable(data: bytes, name: str, reason: Any = '') -> UnreadableImageError:
    """Make the error for a file that no decoder accepts."""
    text = f'{name!r} is not a readable image'
    kind = _kind(data)
    if kind is not None and kind.name in ('HEIC', 'JPEG XL'):
        return UnreadableImageError(
            f'{text}: {kind.name} is read by neither OpenCV '
            f'{cv2.__version__} nor Pillow {PIL.__version__}. Convert it, '
            'to PNG for example.'
        )
    if kind is not None:
        text += (
            f': neither OpenCV {cv2.__version__} nor Pillow '
            f'{PIL.__version__} can decode this {kind.name} file; it is '
            'damaged, or of a variant that they do not know'
        )
    if str(reason):
        text += f' ({reason})'
    return UnreadableImageError(text)


@lru_cache(maxsize=None)
def _pillow_formats() -> Tuple[str, ...]:
    """Formats of ours that this build of Pillow has."""
    Image.init()
    return tuple(name for name in _PILLOW_FORMATS if name in Image.OPEN)


def _decode_pillow(data: bytes, name: str, color_type: str) -> np.ndarray:
    """Decode everything but plain JPEG and PNG files."""
    try:
        with Image.open(io.BytesIO(data), formats=_pillow_formats()) as image:
            _check_pixels(image.width, image.height, name)
            pixels = from_array(_pil_pixels(image), color_type)
            plain = _is_plain(image)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        return _decode_rest(data, name, color_type)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f'{name!r} has too many pixels ({error}); make it smaller.'
        ) from error
    except Exception as error:
        # The plug-ins of Pillow raise a dozen kinds.
        raise _unreadable(data, name, error) from error
    if plain:
        try:
            # Its formula for grey is that of mmpretrain's results.
            return _decode_opencv(data, name, color_type)
        except UnreadableImageError:
            pass
    return pixels


def _is_plain(image: Image.Image) -> bool:
    """Return whether OpenCV decodes a file to the same colours."""
    if (
        image.format not in ('PNG', 'BMP', 'DIB', 'PPM', 'TIFF')
        or image.format == 'PNG'
        and image.n_frames > 1
    ):
        return False
    if has_alpha(image):
        return image.convert('RGBA').getextrema()[3][0] == 255
    return image.mode in ('L', 'RGB')


def _decode_rest(data: bytes, name: str, color_type: str) -> np.ndarray:
    """Decode what Pillow does not know, such as TIFF files of 3 x 16 bits."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _unreadable(data, name, error.err) from error
    if image is None:
        raise _unreadable(data, name)
    _check_pixels(image.shape[1], image.shape[0], name)
    try:
        return from_array(image, color_type)
    except ValueError as error:
        raise _unreadable(data, name, error) from error


# -- pixels ------------------------------------------------------------------
def has_alpha(image: Image.Image) -> bool:
    """Return whether some pixels of an image of PIL may be transparent."""
    return (
        image.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in image.info
    )


def from_pil(image: Image.Image, name: str, color_type: str) -> np.ndarray:
    """Pixels of a PIL image of any mode, upright.

    Args:
        image (PIL.Image.Image): The image; it may be opened only so far.
        name (str): What messages call it.
        color_type (str): See :func:`read_image`.

    Raises:
        UnreadableImageError: Its file turns out to be damaged, or it has too
            many pixels.
        ValueError: Its pixels are floats outside [0, 1].
    """
    _check_pixels(image.width, image.height, name)
    try:
        return from_array(_pil_pixels(image), color_type)
    except (OSError, SyntaxError) as error:
        raise UnreadableImageError(
            f'{name!r} is not a readable image ({error}).'
        ) from error


def _pil_pixels(image: Image.Image) -> np.ndarray:
    """Pixels of a PIL image, as :func:`from_array` takes them."""
    image = ImageOps.exif_transpose(image)
    if image.mode == 'I':
        pixels = np.asarray(image)
        # What it holds is not said: PIL opens 16 bits as this.
        return pixels.clip(0, 65535).astype(
            np.uint16 if pixels.max() > 255 else np.uint8
        )
    if image.mode.startswith('I;16'):
        pixels = np.asarray(image).astype(np.uint16)
        hidden = image.info.get('transparency')
        if hidden is not None:
            pixels[pixels == hidden] = 65535
        return pixels
    if image.mode == 'F':
        return np.asarray(image)
    if has_alpha(image):
        return np.asarray(image.convert('RGBA'))[..., [2, 1, 0, 3]]
    return np.asarray(image.convert('RGB'))[..., ::-1]


def from_array(pixels: np.ndarray, color_type: str) -> np.ndarray:
    """Pixels as OpenCV has them, in the wanted channels, uint8.

    Raises:
        ValueError: The array has another shape or type; see
            :func:`read_image`.
    """
    image = np.asarray(pixels)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    refuse_channels_first(image)
    if (
        image.ndim not in (2, 3)
        or image.ndim == 3
        and image.shape[2] not in (3, 4)
        or 0 in image.shape
    ):
        raise ValueError(
            f'an image must have the shape (H, W), (H, W, 3) or (H, W, 4), '
            f'got {tuple(pixels.shape)}'
        )
    image = _to_uint8(image)
    if image.ndim == 3 and image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.float32) / 255
        image = np.rint(image[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if color_type == 'grayscale' and image.ndim == 3:
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY)
    elif color_type == 'color' and image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image)


def refuse_channels_first(pixels: np.ndarray) -> None:
    """Raise ``ValueError`` for an array (C, H, W), as PyTorch has them."""
    shape = pixels.shape
    if len(shape) == 3 and shape[0] in (1, 3, 4) and min(shape[1:]) > 4:
        raise ValueError(
            f'an array of the shape {tuple(shape)} has its channels first; '
            'an image must be (H, W, 3), with blue first: give '
            'image.transpose(1, 2, 0), or image.transpose(1, 2, 0)[..., ::-1] '
            'if red is first. Several grey images are given as a list.'
        )


def _to_uint8(image: np.ndarray) -> np.ndarray:
    """uint16 by its upper byte, floats in [0, 1] times 255."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if image.dtype == bool:
        return image.astype(np.uint8) * 255
    if np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
            raise ValueError(
                'an image of floats must lie in [0, 1], got '
                f'[{image.min():.3g}, {image.max():.3g}]; divide by 255, or '
                'give uint8.'
            )
        return np.rint(image * 255).astype(np.uint8)
    raise ValueError(f'an image must be of uint8, uint16 or floats, got {image.dtype}')


# -- folders -----------------------------------------------------------------
def find_images(
    folder: str, extensions: Iterable[str] = IMAGE_EXTENSIONS
) -> Tuple[List[str], List[str]]:
    """Find all images below a folder, and what is left out.

    Args:
        folder (str): Where to look, at any depth, also behind links. Names
            that start with a dot are passed over, and so are files that
            systems leave in folders, such as ``Thumbs.db``.
        extensions (Iterable[str]): Endings of images, lower case, with the
            dot.

    Returns:
        tuple[list[str], list[str]]: Sorted paths that start with ``folder``:
        of the images, and of the files with other endings.
    """
    extensions = tuple(extensions)
    images, others = [], []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [
            name for name in folders if not name.startswith('.') and name != '__MACOSX'
        ]
        for name in names:
            if name.startswith('.') or name.lower() in _LITTER:
                continue
            found = images if name.lower().endswith(extensions) else others
            found.append(osp.join(parent, name))
    return sorted(images), sorted(others)


def describe_left_out(
    others: Sequence[str], owner: str, extensions: Iterable[str] = IMAGE_EXTENSIONS
) -> str:
    """Return a message that counts the files left out, and names one.

    Args:
        others (Sequence[str]): Their paths, of :func:`find_images`.
        owner (str): Who leaves them out.
        extensions (Iterable[str]): Endings that were looked for.
    """
    return (
        f'{owner}: {len(others)} file(s) left out, because they do not '
        f'end like an image, such as {others[0]!r}. Looked for '
        f'{" ".join(extensions)}; convert images of other kinds.'
    )
