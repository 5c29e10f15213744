"""Find images that are there several times, exactly or nearly, and groups of them.

Two images are *exact* duplicates if their pixels are equal, whatever their formats and
names are. They are *near* duplicates if one is the other after a change of brightness
or contrast, a recompression, another size, a mirroring, or a slight shift.

Near duplicates are found without comparing all pairs. Thumbnails get short codes of
bits by random projections, several codes each, and only thumbnails that are neighbours
under one of these codes are compared. The time grows with N log N.
"""

import hashlib
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import cv2
import numpy as np

# Side of the thumbnails in pixels.
SIDE = 32
# Thumbnails are compared at two scales: grey levels of SMALL x SMALL pixels, and fine
# detail of SIDE x SIDE pixels, whose contrast is made equal everywhere. The limits
# were chosen on FERPlus without its labels: copies with made changes are above them,
# and pairs of different photos are below.
SMALL = 16
MIN_GREY = 0.9
MIN_DETAIL = 0.7
# Side of the thumbnails whose projections become codes; number of codes, and of
# neighbours that are compared under each of them.
CODED = 8
NUM_CODES = 16
NEIGHBOURS = 8
# Thumbnails with a smaller standard deviation of their grey levels show nothing.
MIN_CONTRAST = 2.0
# Number of thumbnails or pairs that are handled at once.
_CHUNK = 4096


class Thumbnails:
    """Extractor of what is needed to find duplicates: a thumbnail and a hash."""

    name = 'thumbnails'
    version = f'thumbnails 1 {SIDE}'
    outputs = dict(thumbnail=((SIDE, SIDE), 'uint8'), pixel_hash=((16,), 'uint8'))

    def __call__(self, images: List[np.ndarray]) -> Dict[str, np.ndarray]:
        """Return grey thumbnails and hashes of B images, see ``Extractor``."""
        return dict(
            thumbnail=np.stack([thumbnail(image) for image in images]),
            pixel_hash=np.stack([pixel_hash(image) for image in images]),
        )


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return an image BGR (H, W, 3) as a grey thumbnail, uint8 (SIDE, SIDE)."""
    smaller = min(image.shape[:2]) > SIDE
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    small = cv2.resize(image, (SIDE, SIDE), interpolation=method)
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)


def pixel_hash(image: np.ndarray) -> np.ndarray:
    """Return a hash of the size and the pixels of an image, uint8 (16,)."""
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return np.frombuffer(digest.digest(), np.uint8)


@dataclass(frozen=True)
class Duplicates:
    """Images that are there several times, N images in all.

    Attributes:
        group (np.ndarray): Group of duplicates of each image, int64 (N,). It is the
            row of its first image; an image without duplicates is a group of its own.
        exact (np.ndarray): First row with equal pixels, int64 (N,).
    """

    group: np.ndarray
    exact: np.ndarray

    @property
    def is_copy(self) -> np.ndarray:
        """Whether an image is a duplicate of an earlier one, bool (N,)."""
        return self.group != np.arange(len(self.group))

    @property
    def is_exact_copy(self) -> np.ndarray:
        """Whether an image has the pixels of an earlier one, bool (N,)."""
        return self.exact != np.arange(len(self.exact))

    def conflicts(self, labels: np.ndarray, exact: bool = False) -> np.ndarray:
        """Return the groups whose images have different labels, ascending.

        Args:
            labels (np.ndarray): Given labels, int64 (N,).
            exact (bool): Only groups of equal pixels. Defaults to False.
        """
        groups = self.exact if exact else self.group
        _, place = np.unique(groups, return_inverse=True)
        low = np.full(place.max(initial=-1) + 1, np.iinfo(np.int64).max)
        high = np.full_like(low, -1)
        np.minimum.at(low, place, labels)
        np.maximum.at(high, place, labels)
        return np.unique(groups)[low != high]


def find_duplicates(
    thumbnails: np.ndarray, hashes: np.ndarray, valid: Optional[np.ndarray] = None
) -> Duplicates:
    """Find exact and near duplicates.

    Args:
        thumbnails (np.ndarray): uint8 (N, SIDE, SIDE) of :class:`Thumbnails`.
        hashes (np.ndarray): uint8 (N, 16) of :class:`Thumbnails`.
        valid (np.ndarray, optional): Images that could be read, bool (N,); others
            have no duplicates. Defaults to all.
    """
    count = len(thumbnails)
    rows = np.arange(count) if valid is None else np.flatnonzero(valid)
    exact = np.arange(count)
    keys = np.ascontiguousarray(hashes[rows]).view('V16').ravel()
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    exact[rows] = rows[first][place]
    # Of equal pixels, one image stands for all, or a thousand copies would hide
    # their near duplicates from one another.
    distinct = np.unique(exact[rows])
    pairs = near_pairs(np.asarray(thumbnails)[distinct])
    near = np.arange(count)
    near[distinct] = distinct[connected(len(distinct), pairs)]
    return Duplicates(group=near[exact], exact=exact)


def near_pairs(thumbnails: np.ndarray) -> np.ndarray:
    """Return pairs of near duplicates, rows i < j, int64 (M, 2).

    If many images are duplicates of one another, only some of their pairs are
    returned, enough to connect them.

    Args:
        thumbnails (np.ndarray): uint8 (N, SIDE, SIDE).
    """
    rows = np.flatnonzero(_contrast(thumbnails) >= MIN_CONTRAST)
    if len(rows) < 2:
        return np.zeros((0, 2), np.int64)
    shown = thumbnails[rows]
    left, right = candidates(shown)
    kept = are_near(shown, left, right)
    pairs = np.stack([left[kept], right[kept] % len(rows)], axis=1)
    return rows[np.unique(np.sort(pairs, axis=1), axis=0)].reshape(-1, 2)


def candidates(thumbnails: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return pairs of thumbnails that may be near duplicates.

    Args:
        thumbnails (np.ndarray): uint8 (N, SIDE, SIDE).

    Returns:
        tuple[np.ndarray, np.ndarray]: Row of the one thumbnail, and row of the other
        plus N if it is mirrored, int64 (M,) each.
    """
    count = len(thumbnails)
    plain = np.concatenate(
        [grey_levels(part, CODED) for part in _chunks(thumbnails)]
    ).reshape(count, CODED, CODED)
    levels = np.concatenate([plain, plain[:, :, ::-1]]).reshape(2 * count, -1)
    centred = levels - levels.mean(axis=0)
    # Eight images share a code on average.
    bits = max(1, int(np.ceil(np.log2(2 * count))) - 2)
    random = np.random.default_rng(0)
    found = []
    for _ in range(NUM_CODES):
        directions = random.standard_normal((CODED**2, bits + 1)).astype(np.float32)
        values = centred @ directions
        codes = (values[:, :-1] > 0) @ (1 << np.arange(bits))
        found.append(_neighbours(levels, codes, values[:, -1]))
    keys = np.unique(np.concatenate(found))
    return keys // (2 * count), keys % (2 * count)


def _neighbours(levels: np.ndarray, codes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return similar pairs among neighbours with equal codes, each as one number.

    Args:
        levels (np.ndarray): Grey levels of N images and of their mirror images,
            float32 (2N, D).
        codes (np.ndarray): int64 (2N,).
        order (np.ndarray): Order of the images with equal codes, (2N,).
    """
    count = len(levels) // 2
    places = np.lexsort((order, codes))
    codes = codes[places]
    found = [np.zeros(0, np.int64)]
    for step in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(codes[step:] == codes[:-step])
        pair = np.sort([places[same], places[same + step]], axis=0)
        # Two mirror images are as similar as their images. An image that is like its
        # own mirror image is no duplicate.
        low, high = pair[:, (pair[0] < count) & (pair[1] != pair[0] + count)]
        similar = np.einsum('ij,ij->i', levels[low], levels[high]) >= MIN_GREY
        found.append(low[similar] * (2 * count) + high[similar])
    return np.concatenate(found)


def are_near(thumbnails: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return whether pairs of thumbnails are near duplicates, bool (M,).

    Args:
        thumbnails (np.ndarray): uint8 (N, SIDE, SIDE).
        left (np.ndarray): Rows, int64 (M,), ascending.
        right (np.ndarray): Rows, int64 (M,); N or more means the mirror image.
    """
    near = np.zeros(len(left), bool)
    for start in range(0, len(left), _CHUNK):
        part = np.arange(start, min(start + _CHUNK, len(left)))
        for limit, view in ((MIN_GREY, _small_levels), (MIN_DETAIL, fine_detail)):
            # An image is in many pairs, and is prepared once.
            rows, place = np.unique([left[part], right[part]], return_inverse=True)
            vectors = view(_sided(thumbnails, rows))
            one, other = place.reshape(2, -1)
            alike = np.einsum('ij,ij->i', vectors[one], vectors[other]) >= limit
            part = part[alike]
        near[part] = True
    return near


def _sided(thumbnails: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return thumbnails by row; a row of N or more means the mirror image."""
    images = thumbnails[rows % len(thumbnails)]
    mirrored = rows >= len(thumbnails)
    images[mirrored] = images[mirrored][:, :, ::-1]
    return images


def _small_levels(thumbnails: np.ndarray) -> np.ndarray:
    """Return the grey levels that near duplicates share, float32 (M, SMALL**2)."""
    return grey_levels(thumbnails, SMALL)


def grey_levels(thumbnails: np.ndarray, side: int) -> np.ndarray:
    """Return grey levels of mean 0 and length 1, float32 (M, side**2)."""
    size = SIDE // side
    blocks = thumbnails.reshape(-1, side, size, side, size)
    return _normalised(blocks.mean(axis=(2, 4), dtype=np.float32))


def fine_detail(thumbnails: np.ndarray) -> np.ndarray:
    """Return detail of locally equal contrast, of length 1, float32 (M, SIDE**2)."""
    result = np.empty(thumbnails.shape, np.float32)
    for place, image in enumerate(thumbnails):
        grey = image.astype(np.float32)
        detail = grey - cv2.GaussianBlur(grey, (0, 0), 2)
        contrast = np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), 3))
        # The constant keeps the noise of flat areas small.
        result[place] = detail / (contrast + 2)
    return _normalised(result)


def _normalised(images: np.ndarray) -> np.ndarray:
    """Flatten images, and scale them to mean 0 and length 1."""
    flat = images.reshape(len(images), int(np.prod(images.shape[1:])))
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.maximum(length, 1e-6)


def _contrast(thumbnails: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the grey levels of thumbnails, (N,)."""
    parts = [part.std(axis=(1, 2)) for part in _chunks(thumbnails)]
    return np.concatenate([np.zeros(0), *parts])


def _chunks(images: np.ndarray) -> List[np.ndarray]:
    """Return views of some images at a time."""
    return [images[i : i + _CHUNK] for i in range(0, len(images), _CHUNK)]


def connected(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return the smallest item that each item is connected with, int64 (count,).

    Args:
        count (int): Number of items.
        pairs (np.ndarray): Connected items, int (M, 2).
    """
    first = np.arange(count)
    left, right = np.asarray(pairs).reshape(-1, 2).T
    while True:
        low = np.minimum(first[left], first[right])
        before = first.copy()
        np.minimum.at(first, left, low)
        np.minimum.at(first, right, low)
        # The representative of a representative is one, too.
        np.minimum.at(first, before, first)
        first = first[first]
        if (first == before).all():
            return first
