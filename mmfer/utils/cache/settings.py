"""Folder and budget of the cache, from environment variables.

``mmfer doctor`` loads this file alone, where ``import mmfer`` may fail. So it imports
nothing but the standard library.
"""

import os
import os.path as osp
import re

GIB = 1 << 30
DEFAULT_GB = 20.0
# float() would also read '1_0', 'nan' and digits of other scripts.
_SIZE = re.compile(r'\+?(\d{1,20}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?', re.ASCII | re.I)
# A longer value is cut in the message.
_SHOWN = 60


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
    text = os.environ.get('MMFER_CACHE_GB', '').strip()
    if not text:
        return int(DEFAULT_GB * GIB)
    if not _SIZE.fullmatch(text):
        shown = text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'
        raise ValueError(
            f'MMFER_CACHE_GB={shown!r} is not a size. Set this variable to the '
            'largest size of the cache in GiB, such as 20, or to 0 to switch the '
            'cache off.'
        )
    return int(float(text) * GIB)


def format_size(size: float) -> str:
    """Return a number of bytes as text, such as ``1.25 GiB``."""
    if size >= GIB / 10:
        return f'{size / GIB:.2f} GiB'
    if size >= 2**20 / 10 or not size:
        return f'{size / 2**20:.1f} MiB'
    return f'{size / 2**10:.1f} KiB'
