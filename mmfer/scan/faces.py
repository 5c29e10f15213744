"""Find images that are no face-like crop.

With dlib (extra ``[face]``) a face detector looks at every image, at a threshold far
below its own, because a crop may be tight, turned or covered. Without it, images are
found that lie far from the others in the space of features. This finds fewer of them.

Both only point at images to look at. Profiles and covered faces are among them.
"""

import importlib.metadata
import importlib.util
from typing import Any, Dict, List

import cv2
import numpy as np

# Side to which a crop is resized, and the margin that is added on each side, in
# pixels. The window of the detector is 80 pixels wide. At the second, larger size it
# finds faces that fill less than half of the crop.
PASSES = ((96, 12), (208, 12))
# Detections with a smaller score are not looked for.
LOWEST = -1.5
# Scores below mean that no face was found. Of faces of FERPlus, 1.3 % are below.
MIN_SCORE = -1.0
# Robust standard deviations from the median distance. Of faces of FERPlus, 0.4 % are
# further away.
FAR = 2.5


def has_detector() -> bool:
    """Return whether dlib is installed, without importing it."""
    return importlib.util.find_spec('dlib') is not None


class FaceCheck:
    """Extractor of the score of the best face that dlib finds in an image.

    Raises:
        ImportError: dlib is not installed.
    """

    name = 'faces'
    outputs = dict(face_score=((), 'float32'))

    def __init__(self) -> None:
        try:
            import dlib
        except ImportError as error:
            raise ImportError(
                'The check for faces needs dlib: pip install "mmfer[face]".'
            ) from error
        self.version = f'dlib {_version(dlib)} {PASSES} {LOWEST}'
        self._detector: Any = dlib.get_frontal_face_detector()

    def __call__(self, images: List[np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the scores of B images, see ``Extractor``."""
        return dict(face_score=np.array([self.score(i) for i in images], np.float32))

    def score(self, image: np.ndarray) -> float:
        """Return the largest score of a face in an image BGR (H, W, 3)."""
        best = LOWEST
        for side, margin in PASSES:
            # A real face has a positive score, and needs no second look.
            if best <= 0:
                _, scores, _ = self._detector.run(_framed(image, side, margin), 0, best)
                best = max([best, *scores])
        return best


def _version(dlib: Any) -> str:
    """Return the version of dlib."""
    try:
        return importlib.metadata.version('dlib-bin')
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(dlib, '__version__', ''))


def _framed(image: np.ndarray, side: int, margin: int) -> np.ndarray:
    """Resize an image to grey with a longer side of ``side``; add a margin."""
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(scale * size)) for size in image.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(image, (width, height), interpolation=method)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    borders = (margin,) * 4
    return cv2.copyMakeBorder(grey, *borders, cv2.BORDER_REPLICATE)


def without_face(face_scores: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the readable images in which no face was found, bool (N,).

    Args:
        face_scores (np.ndarray): Results of :class:`FaceCheck`, (N,).
        valid (np.ndarray): Images that could be read, bool (N,).
    """
    return valid & (np.asarray(face_scores) < MIN_SCORE)


def unlike_others(features: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the images whose features are far from those of the others, bool (N,).

    Args:
        features (np.ndarray): Histograms of gradients, (N, D), as of
            :class:`~mmfer.scan.encoders.HOGEncoder`.
        valid (np.ndarray): Images that could be read, bool (N,).
    """
    rows = np.flatnonzero(valid)
    result = np.zeros(len(valid), bool)
    if len(rows) > 2:
        distance = np.log(_distances(features, rows))
        middle = np.median(distance)
        spread = 1.4826 * np.median(np.abs(distance - middle))
        result[rows] = distance - middle > FAR * max(spread, 1e-9)
    return result


def _distances(block: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the squared distances of some rows from their mean, (n,)."""
    mean = np.zeros(block.shape[1])
    for start in range(0, len(rows), 1024):
        mean += block[rows[start : start + 1024]].sum(axis=0, dtype=np.float64)
    mean /= len(rows)
    parts = []
    for start in range(0, len(rows), 1024):
        part = block[rows[start : start + 1024]].astype(np.float64) - mean
        parts.append((part**2).sum(axis=1))
    return np.maximum(np.concatenate(parts), 1e-12)
