"""Paths as tables and lists write them."""

import os
import posixpath
import re

_SUFFIX = re.compile(r'[^/]\.[a-z][a-z0-9]{1,4}$', re.IGNORECASE)


def join_listed(root: str, path: str) -> str:
    """Join a folder and a path that a list has.

    Args:
        root (str): The folder.
        path (str): Backslashes in it separate folders, unless a file of that
            name exists.
    """
    joined = os.path.join(root, path)
    if '\\' not in path or os.sep == '\\' or os.path.isfile(joined):
        return joined
    return os.path.join(root, path.replace('\\', '/'))


def path_key(path: str) -> str:
    """Return what all spellings of a path share.

    ``a.png``, ``./a.png``, ``d/../a.png``, ``d\\..\\a.png`` and ``.//a.png``
    are one path. Links are not followed, and nothing is looked up.

    Args:
        path (str): A path with either separator.
    """
    return posixpath.normpath(path.replace('\\', '/'))


def has_suffix(path: str) -> bool:
    """Return whether the name of a file has an ending, such as ``.jpg``.

    Args:
        path (str): A path with either separator.
    """
    return _SUFFIX.search(path_key(path)) is not None


def is_foreign_path(path: str) -> bool:
    """Return whether this is an absolute Windows path on another system.

    Args:
        path (str): A path as a list has it.
    """
    return os.name != 'nt' and re.match(r'[A-Za-z]:[\\/]|\\\\', path) is not None
