"""Image names of a list: base names, Windows paths, and repeated images."""

import os
import re
from typing import Dict, Optional, Sequence

from mmfer.utils.string_table import all_different
from mmfer.utils.text_files import Line, line_error
from mmfer.utils.text_tables import is_foreign_path, path_key

from .formats import RAFDB_NAME


def base_name(path: str) -> str:
    """Return the base name of a path with either separator, on any system."""
    return re.split(r'[/\\]', path)[-1]


def check_native(path: str, lines: Sequence[Line], images: Sequence[str]) -> None:
    """Refuse absolute Windows paths on a system without drives.

    Args:
        path (str): The file, for messages.
        lines (Sequence[Line]): (N,) its rows, for messages.
        images (Sequence[str]): (N,) paths of the images.

    Raises:
        ValueError: A path starts with a drive.
    """
    for line, image in zip(lines, images):
        if is_foreign_path(image):
            raise line_error(
                path,
                line,
                f'{image!r} is an absolute path of Windows, and this system '
                'has no drives',
                'Write the paths relative to data_prefix, e.g. '
                f'{base_name(image)!r}; backslashes between folders are '
                'allowed.',
            )


def check_unique(
    path: str,
    lines: Sequence[Line],
    names: Sequence[str],
    by_path: bool = False,
    root: Optional[str] = None,
) -> None:
    """Refuse rows without an image, and two rows with the same image.

    Args:
        path (str): The file, for messages.
        lines (Sequence[Line]): (N,) its rows, for messages.
        names (Sequence[str]): (N,) base names, or paths with ``by_path``.
        by_path (bool): Whether to compare whole paths. Defaults to False.
        root (str, optional): Folder that relative paths start from.

    Raises:
        ValueError: A name is empty, or two names stand for one image.
    """
    # An absolute path and a path relative to the root may be the same image.
    absolute = root is not None and any(name.startswith('/') for name in names)
    root = os.path.abspath(root) if root is not None and absolute else ''

    def key_of(name: str) -> str:
        return path_key(os.path.join(root, name)) if by_path else _image_key(name)

    if all(names) and all_different(names, key_of):
        return
    seen: Dict[str, int] = {}
    for row, name in enumerate(names):
        if not name:
            raise line_error(
                path,
                lines[row],
                'there is no image name before the label',
                'Remove the row, or name its image.',
            )
        key = key_of(name)
        first = seen.setdefault(key, row)
        if first != row:
            raise line_error(
                path,
                lines[row],
                f'the image {name!r} already has a label in line '
                f'{lines[first].number}: {lines[first].text!r}',
                'Keep one of the two rows'
                + (
                    f'; both name {key!r}.'
                    if by_path
                    else '; only the base names of paths are compared.'
                ),
            )


def _image_key(name: str) -> str:
    """Return the key that identifies an image: RAF-DB's key, or else the name."""
    match = RAFDB_NAME.fullmatch(name)
    return match.group(1) if match else name
