"""Detect faces in photos with dlib, and crop them."""

from typing import List, NamedTuple, Tuple

import cv2
import numpy as np


class Face(NamedTuple):
    """Position of a face in a photo.

    Attributes:
        box (tuple[int, int, int, int]): (left, top, right, bottom) in
            pixels, as detected. It may extend beyond the photo.
        score (float): Larger is more certain. The detector's threshold is 0.
    """

    box: Tuple[int, ...]
    score: float


class FaceDetector:
    """Detect upright frontal faces by histograms of oriented gradients (dlib).

    The detector is part of the package ``dlib-bin`` (extra ``[face]``). It
    downloads nothing and needs no other runtime. It misses profiles, and
    faces that are strongly turned or covered.

    Args:
        min_size (int): Side of the smallest face to detect, in pixels. For
            faces below 80 pixels, photos are enlarged. Photos with a side of
            more than 2,000 pixels are reduced to 2,000, so that each takes at
            most two seconds. In them, the smallest face is larger in
            proportion. Defaults to 40.

    Raises:
        ImportError: The extra is not installed.
    """

    # Crops are moved up by this share of the box, see `crop`.
    rise = 0.07
    # Side of the detector's window, in pixels.
    WINDOW = 80
    # Photos with a longer side are reduced until it has this many pixels.
    LARGEST = 2000

    def __init__(self, min_size: int = 40):
        try:
            import dlib
        except ImportError as error:
            raise ImportError(
                'Finding faces needs dlib: pip install "mmfer[face]". Or name a YuNet '
                'file: detector=FILE, on the command line --detector FILE. Images that '
                'are already cropped to a face need no detector.'
            ) from error
        self.detector = dlib.get_frontal_face_detector()
        self.enlarge = max(0, int(np.ceil(np.log2(self.WINDOW / min_size))))

    def __call__(self, image: np.ndarray) -> List[Face]:
        """Return the faces in an image, from left to right.

        Args:
            image (np.ndarray): uint8, BGR (H, W, 3) or grey (H, W).
        """
        if image.ndim == 3:
            image = np.ascontiguousarray(image[..., ::-1])
        scale = max(1.0, max(image.shape[:2]) / self.LARGEST)
        if scale > 1:
            image = cv2.resize(
                image, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA
            )
        boxes, scores, _ = self.detector.run(image, self.enlarge)
        # The last row and column of dlib's boxes belong to the face.
        faces = [
            Face(
                tuple(
                    round(scale * side)
                    for side in (b.left(), b.top(), b.right() + 1, b.bottom() + 1)
                ),
                float(score),
            )
            for b, score in zip(boxes, scores)
        ]
        return sorted(faces, key=lambda face: face.box)


# Margin with which a box of dlib becomes a crop like those of FERPlus. The detector
# finds the face in 51 of 60 FERPlus validation images. The crop of FERPlus is 5 %
# larger on each side than the mean box, and 7 % higher in the image, see
# `FaceDetector.rise`.
MARGIN = 0.05


def squared(box: Tuple[int, ...]) -> Tuple[int, ...]:
    """Return the square around a box, with its centre and its longer side.

    Crops are resized to a square, and must not be distorted. Boxes whose sides differ
    by a pixel, from rounding, stay as they are.

    Args:
        box (tuple[int, int, int, int]): (left, top, right, bottom).
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if abs(width - height) <= 1:
        return tuple(box)
    side = max(width, height)
    left, top = left - (side - width) // 2, top - (side - height) // 2
    return left, top, left + side, top + side


def crop(
    image: np.ndarray, box: Tuple[int, ...], margin: float = MARGIN, rise: float = 0.0
) -> np.ndarray:
    """Crop a box with a margin, and repeat edge pixels outside of the image.

    Args:
        image (np.ndarray): (H, W) or (H, W, 3).
        box (tuple[int, int, int, int]): (left, top, right, bottom).
        margin (float): Margin on each side, as a share of the box. Defaults to 0.05.
        rise (float): Distance by which the crop is moved up, as a share of
            the height of the box. Defaults to 0.

    Returns:
        np.ndarray: The crop, (h, w) or (h, w, 3).
    """
    left, top, right, bottom = box
    dx, dy = margin * (right - left), margin * (bottom - top)
    first, last = (y - rise * (bottom - top) for y in (top, bottom))
    columns = np.arange(round(left - dx), round(right + dx))
    rows = np.arange(round(first - dy), round(last + dy))
    return image[
        np.ix_(rows.clip(0, image.shape[0] - 1), columns.clip(0, image.shape[1] - 1))
    ]
