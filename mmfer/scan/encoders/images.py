"""Images of any size as squares."""

import cv2
import numpy as np


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Resize an image to a square; average pixels where it becomes smaller."""
    smaller = min(image.shape[:2]) > side
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=method)
