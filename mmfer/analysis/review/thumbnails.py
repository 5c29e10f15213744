"""Encode the pictures of a page as large as a budget of bytes allows."""

import base64
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np

from mmfer.datasets import CropFace, FERDataset
from mmfer.datasets.images import UnreadableImageError, read_image

SIDES = (128, 96, 72, 56, 48, 40, 32)
"""Sides of thumbnails in pixels; the largest that fits is used."""

NUM_ESTIMATED = 200
"""Number of thumbnails from which the total size is estimated."""

LARGE_SIDE = 512
"""Largest side of the larger versions in pixels."""

LARGE_BYTES = 12_000_000
"""Largest size of all larger versions together, in bytes of the page."""


class Pictures(NamedTuple):
    """Pictures in base64.

    Attributes:
        thumbnails (list[str]): One for each image; empty if it cannot be read.
        large (list[str]): Larger versions of the first images; empty where the
            thumbnail has all pixels, or the image cannot be read.
    """

    thumbnails: List[str]
    large: List[str]


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
            # The label of a photo with several faces belongs to one of them.
            yield CropFace()(dict(info, img=image))['img']


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """Shrink an image to at most ``side`` x ``side``; unchanged if it fits.

    Args:
        image (np.ndarray): BGR (H, W, 3) or grey (H, W), uint8.
        side (int): Largest side in pixels.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    # A long narrow image keeps at least one pixel.
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def thumbnail(image: np.ndarray, side: int) -> bytes:
    """Encode an image as a JPEG no larger than ``side`` x ``side``; see :func:`fit`."""
    image = fit(image, side)
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
    images: Iterable[Optional[np.ndarray]],
    count: int,
    budget: int,
    progress: Optional[Callable[[int, int], object]] = None,
) -> Pictures:
    """Encode thumbnails in base64, as large as the budget allows.

    What the thumbnails leave of the budget is for larger versions of the first images.
    Memory holds one image at a time, and all finished pictures. If the thumbnails
    become too large for the budget, the finished ones are shrunk, and the next ones
    are made smaller.

    Args:
        images (Iterable[np.ndarray | None]): See :func:`read_images`.
        count (int): Number of images.
        budget (int): Bytes for all of them together.
        progress (Callable, optional): Called with the number of images that are done,
            and the number of all images.

    Raises:
        ValueError: The images do not fit even at the smallest size.
    """
    made: List[bytes] = []
    taken, sides = 0, list(SIDES)
    large = _LargeImages(min(budget, LARGE_BYTES))
    progress = progress or (lambda done, total: None)
    progress(0, count)
    for image in images:
        if image is not None:
            # To shrink a photo takes long, so both of its pictures start from this one.
            image = fit(image, LARGE_SIDE)
        made.append(b'' if image is None else thumbnail(image, sides[0]))
        taken += base64_size(made[-1])
        large.add(image, sides[0])
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
        progress(len(made), count)
    return Pictures(
        [base64.b64encode(text).decode() for text in made], large.within(budget - taken)
    )


class _LargeImages:
    """Encode the first images at a larger size, until a budget is used up.

    Args:
        budget (int): Bytes in the page for all of them.
    """

    def __init__(self, budget: int):
        self._left = budget
        self._made: List[bytes] = []

    def add(self, image: Optional[np.ndarray], side: int) -> None:
        """Add the next image, unless its thumbnail of ``side`` pixels has all of it."""
        if self._left <= 0:
            return
        small = image is None or max(image.shape[:2]) <= side
        text = b'' if small or image is None else thumbnail(image, LARGE_SIDE)
        self._left -= _entry_size(text)
        if self._left >= 0:
            self._made.append(text)

    def within(self, budget: int) -> List[str]:
        """Return the first of them that fit into a budget; the last is not empty.

        Args:
            budget (int): Bytes in the page.
        """
        texts = self._made
        sizes = np.cumsum([_entry_size(text) for text in texts])
        texts = texts[: np.searchsorted(sizes, budget, side='right')]
        while texts and not texts[-1]:
            texts.pop()
        return [base64.b64encode(text).decode() for text in texts]


def _entry_size(text: bytes) -> int:
    """Return the number of bytes of an entry in the page, with quotes and a comma."""
    return base64_size(text) + 3
