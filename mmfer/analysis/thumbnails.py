"""Make the thumbnails of a data set as large as a budget of bytes allows."""

import base64
from typing import Iterable, Iterator, List, Optional, Sequence

import cv2
import numpy as np

from mmfer.datasets import FERDataset
from mmfer.datasets.images import UnreadableImageError, read_image

SIDES = (96, 72, 56, 48, 40, 32)
"""Sides of thumbnails in pixels; the largest that fits is used."""

NUM_ESTIMATED = 200
"""Number of thumbnails from which the total size is estimated."""


def read_images(
    dataset: FERDataset, sample_ids: Sequence[int]
) -> Iterator[Optional[np.ndarray]]:
    """Read the images of samples one by one.

    Args:
        dataset (FERDataset): Data set with the images.
        sample_ids (Sequence[int]): Samples in the order in which to read them.

    Yields:
        np.ndarray | None: BGR (H, W, 3) or grey (H, W); None for an image that
        cannot be read.
    """
    for position in dataset.positions_of(sample_ids).tolist():
        info = dataset.get_data_info(position)
        if 'img' in info:
            yield info['img']
            continue
        try:
            image = read_image(info['img_path'])
        except UnreadableImageError:
            yield None
        else:
            yield image


def thumbnail(image: np.ndarray, side: int) -> bytes:
    """Encode an image as a JPEG no larger than ``side`` x ``side``.

    Args:
        image (np.ndarray): BGR (H, W, 3) or grey (H, W), uint8.
        side (int): Largest side in pixels.
    """
    scale = side / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def shrink(text: bytes, side: int) -> bytes:
    """Shrink a JPEG to at most ``side`` x ``side``; unchanged if it fits."""
    image = cv2.imdecode(np.frombuffer(text, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None, 'thumbnails are valid JPEGs'
    return text if max(image.shape[:2]) <= side else thumbnail(image, side)


def base64_size(text: bytes) -> int:
    """Return the number of characters of ``text`` in base64."""
    return -(-len(text) // 3) * 4


def encode_images(
    images: Iterable[Optional[np.ndarray]], count: int, budget: int
) -> List[str]:
    """Encode thumbnails in base64, as large as the budget allows.

    Memory holds one image at a time, and all finished thumbnails. If the
    thumbnails become too large for the budget, the finished ones are shrunk, and
    the next ones are made smaller.

    Args:
        images (Iterable[np.ndarray | None]): See :func:`read_images`.
        count (int): Number of images.
        budget (int): Bytes for all of them together.

    Returns:
        list[str]: One text for each image; empty if the image is None.

    Raises:
        ValueError: The images do not fit even at the smallest size.
    """
    made: List[bytes] = []
    taken, sides = 0, list(SIDES)
    for image in images:
        made.append(b'' if image is None else thumbnail(image, sides[0]))
        taken += base64_size(made[-1])
        expected = count if len(made) % NUM_ESTIMATED == 0 else len(made)
        while taken * expected > budget * len(made) and len(sides) > 1:
            sides.pop(0)
            made = [text and shrink(text, sides[0]) for text in made]
            taken = sum(map(base64_size, made))
        if taken > budget:
            raise ValueError(
                f'Only {len(made) - 1} of {count} images fit into the '
                f'{budget / 1e6:.6g} MB that the page has for them, even if '
                f'they are shrunk to {sides[0]} px. Show fewer with --max-images.'
            )
    return [base64.b64encode(text).decode() for text in made]
