"""Convert arrays and PIL images to the pixels that pipelines take."""

from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from .limits import UnreadableImageError, check_pixels


def is_pil_image(source: Any) -> bool:
    """Return whether ``source`` is a PIL image, or behaves like one."""
    return hasattr(source, 'convert') and hasattr(source, 'getexif')


def has_alpha(image: Image.Image) -> bool:
    """Return whether some pixels of a PIL image may be transparent."""
    return (
        image.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in image.info
    )


def from_pil(image: Image.Image, name: str, color_type: str) -> np.ndarray:
    """Return the pixels of a PIL image of any mode, upright.

    Args:
        image (PIL.Image.Image): The image; its pixels may not be loaded yet.
        name (str): Name of the image, for messages.
        color_type (str): ``'color'`` for BGR, ``'grayscale'``.

    Returns:
        np.ndarray: uint8, (H, W, 3) or (H, W).

    Raises:
        UnreadableImageError: Its file turns out to be damaged, or it has too
            many pixels.
        ValueError: Its pixels are floats outside [0, 1].
    """
    check_pixels(image.width, image.height, name)
    try:
        return from_array(pil_pixels(image), color_type)
    except (OSError, SyntaxError) as error:
        raise UnreadableImageError(
            f'{name!r} is not a readable image ({error}).'
        ) from error


def pil_pixels(image: Image.Image) -> np.ndarray:
    """Return the pixels of a PIL image as :func:`from_array` takes them."""
    image = ImageOps.exif_transpose(image)
    if image.mode == 'I':
        pixels = np.asarray(image)
        # Mode 'I' has 32 bits. PIL also uses it for images of 16 bits, so find the
        # number of bits from the values.
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
    """Convert an array in OpenCV's order to uint8 in colour or grey.

    Transparent pixels are composited onto white.

    Args:
        pixels (np.ndarray): (H, W), (H, W, 1), BGR (H, W, 3) or BGRA
            (H, W, 4), of uint8, uint16, bool, or floats in [0, 1].
        color_type (str): ``'color'`` for BGR, ``'grayscale'``.

    Returns:
        np.ndarray: uint8, (H, W, 3) or (H, W).

    Raises:
        ValueError: The array has another shape or type.
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
    """Raise ``ValueError`` for an array (C, H, W), the order of PyTorch."""
    shape = pixels.shape
    if len(shape) == 3 and shape[0] in (1, 3, 4) and min(shape[1:]) > 4:
        raise ValueError(
            f'an array of the shape {tuple(shape)} has its channels first. '
            'An image must be (H, W, 3), with blue first: give '
            'image.transpose(1, 2, 0), or image.transpose(1, 2, 0)[..., ::-1] '
            'if red is first. To give several grey images, use a list.'
        )


def refuse_lost_bits(image: np.ndarray) -> None:
    """Refuse an array of 16 bits with values of 8 bits, which would become black.

    Files may be so dark; an array usually has the wrong type.

    Raises:
        ValueError: The message has the largest value.
    """
    if image.dtype == np.uint16 and image.size and 0 < image.max() < 256:
        raise ValueError(
            'an image of uint16 must use 16 bits, where white is 65535, but its '
            f'largest value is {image.max()}. Give uint8: image.astype(np.uint8).'
        )


def _to_uint8(image: np.ndarray) -> np.ndarray:
    """Convert to uint8: uint16 by the upper byte, floats in [0, 1] times 255."""
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
                f'[{image.min():.3g}, {image.max():.3g}]. Divide it by 255, '
                'or give uint8.'
            )
        return np.rint(image * 255).astype(np.uint8)
    raise ValueError(f'an image must be of uint8, uint16 or floats, got {image.dtype}')
