"""Folder and budget of the cache, from environment variables."""

import math
import os
import os.path as osp

from ..text_files import clipped
from ..text_tables import parse_number

GIB = 1 << 30
DEFAULT_GB = 20.0


def cache_folder() -> str:
    """Return the absolute path of the cache; the folder may not exist yet."""
    folder = os.environ.get('MMFER_CACHE_DIR', '')
    if not folder:
        base = os.environ.get('XDG_CACHE_HOME', '')
        # The XDG standard says that relative paths are ignored.
        folder = osp.join(base if osp.isabs(base) else '~/.cache', 'mmfer')
    return osp.abspath(osp.expanduser(folder))


def cache_budget() -> int:
    """Return the largest size of the cache in bytes; 0 if it is switched off.

    Raises:
        ValueError: ``MMFER_CACHE_GB`` is not a number of at least 0.
    """
    text = os.environ.get('MMFER_CACHE_GB', '')
    size = parse_number(text) if text.strip() else DEFAULT_GB
    if size is None or not (math.isfinite(size) and size >= 0):
        raise ValueError(
            f'MMFER_CACHE_GB={clipped(text)!r} is not a size. Set this variable to the '
            'largest size of the cache in GiB, such as 20, or to 0 to switch the '
            'cache off.'
        )
    return int(size * GIB)


def format_size(size: float) -> str:
    """Return a number of bytes as text, such as ``1.25 GiB``."""
    if size >= GIB / 10:
        return f'{size / GIB:.2f} GiB'
    if size >= 2**20 / 10 or not size:
        return f'{size / 2**20:.1f} MiB'
    return f'{size / 2**10:.1f} KiB'
