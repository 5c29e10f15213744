"""Paths as they are written in tables and lists."""

import os
import posixpath
import re

_SUFFIX = re.compile(r'[^/]\.[a-z][a-z0-9]{1,4}$', re.IGNORECASE)


def join_listed(root: str, path: str) -> str:
    """Join a folder and a path from a list.

    Args:
        root (str): The folder.
        path (str): The path. Its backslashes separate folders, unless a file
            with backslashes in its name exists.
    """
    joined = os.path.join(root, path)
    if '\\' not in path or os.sep == '\\' or os.path.isfile(joined):
        return joined
    return os.path.join(root, path.replace('\\', '/'))


def relative_path(path: str, start: str) -> str:
    """Return ``os.path.relpath(path, start)``, faster for a path below ``start``.

    Args:
        path (str): The path; absolute, or relative to the working directory.
        start (str): The folder.
    """
    root = os.path.join(start, '')
    if path.startswith(root):
        rest = path[len(root) :]
        # A normal path below the folder needs neither the working directory nor
        # other folders. Names such as '..a' are rare, so they take the slow way.
        if rest[:1] not in ('', '.', '/') and os.path.normpath(rest) == rest:
            return rest
    return os.path.relpath(path, start)


def path_key(path: str) -> str:
    """Return a key that is the same for all spellings of a path.

    ``a.png``, ``./a.png``, ``d/../a.png``, ``d\\..\\a.png`` and ``.//a.png``
    are one path. The file system is not accessed, so links are not followed.

    Args:
        path (str): A path with either separator.
    """
    return posixpath.normpath(path.replace('\\', '/'))


def has_suffix(path: str) -> bool:
    """Return whether a file name has a suffix, such as ``.jpg``.

    Args:
        path (str): A path with either separator.
    """
    return _SUFFIX.search(path_key(path)) is not None


def is_foreign_path(path: str) -> bool:
    """Return whether a path is an absolute Windows path on another system.

    Args:
        path (str): A path as written in a list.
    """
    return os.name != 'nt' and re.match(r'[A-Za-z]:[\\/]|\\\\', path) is not None
