"""Decode an image from any source to uint8 pixels."""

import io
import mmap
import os
import os.path as osp
import struct
from functools import lru_cache
from typing import Any, Tuple

import cv2
import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError

from .files import is_file_object, read_file, read_object
from .formats import PILLOW_FORMATS, format_of
from .jpeg_damage import find_damage
from .jpeg_structure import TRUNCATED, read_structure
from .limits import UnreadableImageError, check_pixels
from .pixels import (
    from_array,
    from_pil,
    has_alpha,
    is_pil_image,
    pil_pixels,
    refuse_lost_bits,
)

# Values per pixel, by the type of colour in the header of a PNG.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MODES = dict(color=cv2.IMREAD_COLOR, grayscale=cv2.IMREAD_GRAYSCALE)


# -- any source --------------------------------------------------------------
def read_image(source: Any, color_type: str = 'color') -> np.ndarray:
    """Read an image of any kind; a file always gives the same pixels.

    Args:
        source (str | Path | bytes | BinaryIO | np.ndarray | PIL.Image.Image):
            A path, the contents of a file, an open file, or pixels. An open
            file is read from its beginning if it can be rewound. Pixels are
            (H, W), (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4), the order of
            OpenCV. They are uint8, uint16 or floats in [0, 1].
        color_type (str): ``'color'`` for BGR, or ``'grayscale'``.

    Returns:
        np.ndarray: uint8, (H, W, 3) or (H, W).

    Raises:
        UnreadableImageError: The file does not exist, is empty or damaged, or
            is not an image of a known format; or it has more than 200 million
            pixels or 500 MB.
        TypeError: The source is of another type.
        ValueError: An array has another shape or type.
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
        refuse_lost_bits(source)
        return from_array(source, color_type)
    if is_pil_image(source):
        return from_pil(source, 'the PIL image', color_type)
    if is_file_object(source):
        return decode_image(*read_object(source), color_type)
    raise TypeError(
        'an image must be a path, bytes, an open file, an array or a PIL image, '
        f'got {type(source).__name__}'
    )


def check_image_file(path: str) -> None:
    """Raise :class:`UnreadableImageError` if an image file cannot be decoded."""
    decode_image(read_file(path), path)


def decode_image(data: bytes, name: str, color_type: str = 'color') -> np.ndarray:
    """Decode the contents of a file; also refuse damage that decoders ignore.

    Args:
        data (bytes): Contents of the file.
        name (str): Name of the file, for messages.
        color_type (str): ``'color'`` for BGR, ``'grayscale'``.

    Returns:
        np.ndarray: uint8, (H, W, 3) or (H, W).

    Raises:
        UnreadableImageError: The file is empty, damaged, too large, not an
            image, or of a format that neither OpenCV nor Pillow reads. Damage
            is found if the decoder of the format reports it; for JPEG, see
            :mod:`~mmfer.datasets.images.jpeg_damage`. A changed byte that only
            changes pixels is found only in PNG files, which have checksums.
    """
    if not data:
        raise UnreadableImageError(f'{name!r} is empty')
    kind = format_of(data)
    if kind is not None and kind.name == 'JPEG':
        _check_jpeg(data, name)
        return _decode_opencv(data, name, color_type)
    if kind is not None and kind.name == 'PNG':
        if kind.end not in data:
            raise UnreadableImageError(f'{name!r} is a truncated PNG')
        if len(data) >= 33:
            width, height = struct.unpack_from('>II', data, 16)
            check_pixels(width, height, name)
            _check_png_size(data, width, height, name)
            _check_png_chunks(data, name)
        if not _png_is_special(data):
            return _decode_opencv(data, name, color_type)
    return _decode_pillow(data, name, color_type)


# -- checks before decoding --------------------------------------------------
class _Intact:
    """Table of the files that were found intact; it stores a hash of each.

    A run reads each file in every epoch. The check takes longer than decoding,
    so each file is checked only once. Worker processes that are forked share
    the table. Its size is fixed: if two files have the same place, the later
    one replaces the earlier one, which is then checked again.
    """

    def __init__(self, places: int = 1 << 20):
        self.hashes = np.frombuffer(mmap.mmap(-1, 8 * places), np.int64)

    def __contains__(self, data: bytes) -> bool:
        value = hash(data)
        return value == self.hashes[value % len(self.hashes)]

    def add(self, data: bytes) -> None:
        """Add the contents of an intact file."""
        value = hash(data)
        self.hashes[value % len(self.hashes)] = value


_intact = _Intact()


def _check_jpeg(data: bytes, name: str) -> None:
    """Raise :class:`UnreadableImageError` for a damaged JPEG."""
    if data in _intact:
        return
    jpeg = read_structure(data)
    if jpeg.frame is not None:
        check_pixels(jpeg.frame.width, jpeg.frame.height, name)
    damage = find_damage(jpeg)
    if damage == TRUNCATED:
        raise UnreadableImageError(f'{name!r} is a truncated JPEG')
    if damage is not None:
        raise UnreadableImageError(
            f'{name!r} is a damaged JPEG: {damage}, so that a part of the '
            'picture is lost'
        )
    _intact.add(data)


def _check_png_size(data: bytes, width: int, height: int, name: str) -> None:
    """Raise :class:`UnreadableImageError` if a PNG cannot have so many pixels.

    Otherwise a damaged header of a small file could take seconds and 600 MB.
    """
    bits = data[24] * _PNG_CHANNELS.get(data[25], 1)
    # A byte of compressed data stands for at most 1032 bytes.
    if height * (1 + width * bits // 8) > 1032 * len(data):
        raise UnreadableImageError(
            f'{name!r} is a damaged PNG: its header claims {width} x {height} pixels, '
            f'and its {len(data)} bytes cannot hold them'
        )


def _check_png_chunks(data: bytes, name: str) -> None:
    """Raise :class:`UnreadableImageError` if a part of a PNG is longer than the file.

    OpenCV would take memory for the length that the part claims, up to 4 GB.
    """
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, position)
        position += 12 + length
        if position > len(data):
            raise UnreadableImageError(
                f'{name!r} is a damaged PNG: its part {kind!r} claims {length} bytes, '
                'more than the file has'
            )
        if kind == b'IEND':
            break


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


# -- decoding ----------------------------------------------------------------
def _decode_opencv(data: bytes, name: str, color_type: str) -> np.ndarray:
    """Decode a JPEG or PNG with OpenCV, as mmpretrain does."""
    return _opencv_pixels(data, name, _MODES[color_type])


def _opencv_pixels(data: bytes, name: str, mode: int) -> np.ndarray:
    """Decode a file with OpenCV in one of its modes."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2.error as error:
        raise _unreadable(data, name, error.err) from error
    if image is None:
        raise _unreadable(data, name)
    return image


@lru_cache(maxsize=None)
def _pillow_formats() -> Tuple[str, ...]:
    """Return those of ``PILLOW_FORMATS`` that the installed Pillow can read."""
    Image.init()
    return tuple(name for name in PILLOW_FORMATS if name in Image.OPEN)


def _decode_pillow(data: bytes, name: str, color_type: str) -> np.ndarray:
    """Decode a file with Pillow, for all but plain JPEG and PNG files."""
    try:
        with Image.open(io.BytesIO(data), formats=_pillow_formats()) as image:
            check_pixels(image.width, image.height, name)
            pixels = from_array(pil_pixels(image), color_type)
            plain = _is_plain(image)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        return _decode_rest(data, name, color_type)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f'{name!r} has too many pixels ({error}). Make it smaller.'
        ) from error
    except Exception as error:
        # The plug-ins of Pillow raise a dozen types of errors.
        raise _unreadable(data, name, error) from error
    if plain:
        try:
            # Use OpenCV's formula for grey, with which mmpretrain's results were
            # made.
            return _decode_opencv(data, name, color_type)
        except UnreadableImageError:
            pass
    return pixels


def _is_plain(image: Image.Image) -> bool:
    """Return whether OpenCV decodes a file to the same colours as Pillow."""
    if (
        image.format not in ('PNG', 'BMP', 'DIB', 'PPM', 'TIFF')
        or image.format == 'PNG'
        and getattr(image, 'n_frames', 1) > 1
    ):
        return False
    if has_alpha(image):
        lowest, _ = image.convert('RGBA').getchannel('A').getextrema()
        return lowest == 255
    return image.mode in ('L', 'RGB')


def _decode_rest(data: bytes, name: str, color_type: str) -> np.ndarray:
    """Decode a file that Pillow cannot open, such as a TIFF of 3 x 16 bits."""
    image = _opencv_pixels(data, name, cv2.IMREAD_UNCHANGED)
    check_pixels(image.shape[1], image.shape[0], name)
    try:
        return from_array(image, color_type)
    except ValueError as error:
        raise _unreadable(data, name, error) from error


def _unreadable(data: bytes, name: str, reason: Any = '') -> UnreadableImageError:
    """Make the error for a file that no decoder accepts."""
    text = f'{name!r} is not a readable image'
    kind = format_of(data)
    if kind is not None and kind.name in ('HEIC', 'JPEG XL'):
        return UnreadableImageError(
            f'{text}: {kind.name} can be read by neither OpenCV '
            f'{cv2.__version__} nor Pillow {PIL.__version__}. Convert it, for '
            'example to PNG.'
        )
    if kind is not None:
        text += (
            f': neither OpenCV {cv2.__version__} nor Pillow '
            f'{PIL.__version__} can decode this {kind.name} file. It is '
            'damaged, or of a variant that they do not support'
        )
    if str(reason):
        text += f' ({reason})'
    return UnreadableImageError(text)
