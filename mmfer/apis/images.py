"""Images of any kind as the arrays that pipelines take."""
import io
import os
import os.path as osp
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterable, Iterator, Union

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mmfer.datasets.transforms import UnreadableImageError, decode_image

# What is found in a folder.
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff',
              '.pgm', '.ppm', '.gif', '.jp2', '.avif')
# More pixels than any camera has; decoding them would take gigabytes.
MAX_PIXELS = 200_000_000
MAX_BYTES = 500_000_000
_BGR_TO_GREY = cv2.COLOR_BGR2GRAY


def read_image(source: Any, color_type: str = 'color') -> np.ndarray:
    """An image as ``LoadFERImage`` would give it.

    Files are turned upright by their EXIF orientation. Of an alpha channel
    nothing is used but that it is put on white. 16 bits become 8.

    Args:
        source (str | Path | bytes | np.ndarray | PIL.Image.Image): A file,
            its contents, or pixels: (H, W), (H, W, 1), BGR (H, W, 3) or BGRA
            (H, W, 4), uint8, uint16 or floats in [0, 1], as OpenCV has them.
        color_type (str): ``'color'`` for BGR, ``'grayscale'``.

    Returns:
        np.ndarray: uint8, (H, W, 3) or (H, W).

    Raises:
        UnreadableImageError: A file that is empty, truncated or no image,
            or has more than 200 million pixels or 500 MB.
        TypeError: Something else.
        ValueError: An array of another shape or type.
    """
    if isinstance(source, (str, os.PathLike)):
        path = osp.expanduser(os.fspath(source))
        return read_bytes(read_file(path), path, color_type)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return read_bytes(bytes(source), f'{len(source)} bytes', color_type)
    if isinstance(source, np.ndarray):
        return from_array(source, color_type)
    if hasattr(source, 'convert') and hasattr(source, 'getexif'):
        return from_pil(source, 'the image of PIL', color_type)
    raise TypeError(
        f'an image must be a path, bytes, an array or an image of PIL, got '
        f'{type(source).__name__}')


def read_file(path: str) -> bytes:
    """Contents of an image file.

    Raises:
        UnreadableImageError: It is not there, not a file, larger than any
            image, or may not be read.
    """
    try:
        if not osp.isfile(path):
            raise UnreadableImageError(
                f'{path!r}: there is no such file.' if not osp.exists(path)
                else f'{path!r} is no file; a folder is given by itself, not '
                'in a list.')
        size = osp.getsize(path)
        if size > MAX_BYTES:
            raise UnreadableImageError(
                f'{path!r} has {size / 1e6:.0f} MB, more than '
                f'{MAX_BYTES / 1e6:.0f}; is it an image?')
        with open(path, 'rb') as file:
            return file.read()
    except UnreadableImageError:
        raise
    except OSError as error:
        raise UnreadableImageError(f'{path!r}: {error.strerror}.') from error


def read_bytes(data: bytes, name: str, color_type: str) -> np.ndarray:
    """Decode the contents of a file.

    Args:
        data (bytes): Contents.
        name (str): For messages.
        color_type (str): See :func:`read_image`.
    """
    try:
        with no_pixel_limit(), Image.open(io.BytesIO(data)) as image:
            check_pixels(image, name)
            if has_alpha(image):
                # OpenCV would show what is hidden by it.
                return from_pil(image, name, color_type)
    except UnidentifiedImageError:
        # Of what PIL does not know, OpenCV may know something.
        pass
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UnreadableImageError):
            raise
    try:
        return decode_image(data, name, color_type)
    except cv2.error as error:
        raise UnreadableImageError(
            f'{name!r} is not a readable image ({error.err}).') from error


@contextmanager
def no_pixel_limit():
    """PIL's own is half of ours, and only warns."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def check_pixels(image: Image.Image, name: str) -> None:
    """Raise :class:`UnreadableImageError` if there are too many."""
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise UnreadableImageError(
            f'{name!r} has {pixels / 1e6:.0f} million pixels, more than '
            f'{MAX_PIXELS / 1e6:.0f} million; make it smaller.')


def has_alpha(image: Image.Image) -> bool:
    """Whether some of its pixels may be transparent."""
    return image.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or \
        'transparency' in image.info


def from_pil(image: Image.Image, name: str, color_type: str) -> np.ndarray:
    """Pixels of a PIL image of any mode, upright.

    Raises:
        UnreadableImageError: Its file turns out to be broken, or it has too
            many pixels.
    """
    check_pixels(image, name)
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode == 'I':
            pixels = np.asarray(image)
            # What it holds is not said: PIL opens 16 bits as this.
            return from_array(
                pixels.clip(0, 65535).astype(
                    np.uint16 if pixels.max() > 255 else np.uint8),
                color_type)
        if image.mode.startswith('I;16'):
            return from_array(
                np.asarray(image).astype(np.uint16), color_type)
        if image.mode == 'F':
            return from_array(np.asarray(image), color_type)
        if has_alpha(image):
            pixels = np.asarray(image.convert('RGBA'))
            return from_array(pixels[..., [2, 1, 0, 3]], color_type)
        return from_array(
            np.asarray(image.convert('RGB'))[..., ::-1], color_type)
    except (OSError, SyntaxError) as error:
        raise UnreadableImageError(
            f'{name!r} is not a readable image ({error}).') from error


def from_array(pixels: np.ndarray, color_type: str) -> np.ndarray:
    """Pixels as OpenCV has them, in the wanted channels, uint8."""
    image = np.asarray(pixels)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.ndim == 3 and \
            image.shape[2] not in (3, 4) or 0 in image.shape:
        raise ValueError(
            f'an image must have the shape (H, W), (H, W, 3) or (H, W, 4), '
            f'got {tuple(pixels.shape)}')
    image = to_uint8(image)
    if image.ndim == 3 and image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.float32) / 255
        image = np.rint(image[..., :3] * alpha + 255 *
                        (1 - alpha)).astype(np.uint8)
    if color_type == 'grayscale' and image.ndim == 3:
        image = cv2.cvtColor(np.ascontiguousarray(image), _BGR_TO_GREY)
    elif color_type == 'color' and image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """uint16 by its upper byte, floats in [0, 1] times 255."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if image.dtype == bool:
        return image.astype(np.uint8) * 255
    if np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all() or image.min() < 0 or \
                image.max() > 1:
            raise ValueError(
                'an image of floats must lie in [0, 1], got '
                f'[{image.min():.3g}, {image.max():.3g}]; divide by 255, or '
                'give uint8.')
        return np.rint(image * 255).astype(np.uint8)
    raise ValueError(f'an image must be of uint8, uint16 or floats, got '
                     f'{image.dtype}')


def list_images(folder: Union[str, Path]) -> list:
    """Image files of a folder and those below it, by name.

    Raises:
        FileNotFoundError: There is none.
    """
    found = sorted(
        str(path) for path in Path(folder).expanduser().rglob('*')
        if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not found:
        raise FileNotFoundError(
            f'{folder}: no image in this folder or below it (of '
            f'{", ".join(EXTENSIONS)}).')
    return found


def each_source(inputs: Any) -> Iterable:
    """What there is to classify, one by one.

    Args:
        inputs: One image, see :func:`read_image`, a folder, an array of
            several images (N, H, W) uint8 or (N, H, W, C), or any iterable
            of images: a list, or a generator of the frames of a video.
    """
    if isinstance(inputs, (str, os.PathLike)) and \
            osp.isdir(osp.expanduser(os.fspath(inputs))):
        return list_images(inputs)
    if isinstance(inputs, np.ndarray):
        several = inputs.ndim == 4 or (
            inputs.ndim == 3 and inputs.shape[2] not in (1, 3, 4))
        return list(inputs) if several else [inputs]
    if isinstance(inputs, (str, os.PathLike, bytes, bytearray, memoryview)) \
            or hasattr(inputs, 'convert'):
        return [inputs]
    if not isinstance(inputs, Iterable):
        raise TypeError(
            'images must be paths, bytes, arrays, images of PIL, or a list or '
            f'generator of them, got {type(inputs).__name__}')
    return inputs


def in_chunks(items: Iterable, size: int) -> Iterator[list]:
    """Lists of ``size`` items, the last one of what is left."""
    chunk = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
