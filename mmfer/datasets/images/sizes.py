"""Sizes of image files, from their headers."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable, Optional, Set, Tuple

from PIL import Image

# Number of files whose headers are read before the sizes are compared.
CHUNK = 4096


def file_size(path: str) -> Optional[Tuple[int, int]]:
    """Return (width, height) from the header of an image file, None if unknown."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:
        # Whoever decodes the image says what is wrong with it.
        return None


def have_equal_sizes(paths: Iterable[str]) -> bool:
    """Return whether all image files have one known width and height.

    Only headers are read, and the first file with another size ends the search.

    Args:
        paths (Iterable[str]): Image files.
    """
    names = list(paths)
    found: Set[Optional[Tuple[int, int]]] = set()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(names), CHUNK):
            found.update(pool.map(file_size, names[start : start + CHUNK]))
            if len(found) > 1:
                return False
    return bool(found) and None not in found
