"""Class names: reading, checking, and looking up."""

import numbers
import os
import re
from typing import Dict, List, Optional, Sequence

from ..text_files import PathLike, clipped, read_text
from .fields import unquoted


def read_class_names(path: PathLike) -> List[str]:
    """Read a file with one class name per line, in the order of the labels.

    The following is removed:

    - white space and quotes around a name;
    - blank lines at the end;
    - separators that a spreadsheet writes after every name;
    - a column of ascending numbers before the names.

    Args:
        path (str or os.PathLike): The file.

    Returns:
        list[str]: At least one name; all differ.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be decoded or is empty; a line before the
            last name is blank; or a name occurs twice. The message names
            file and line.
    """
    text = read_text(path, 'file of class names')
    names = [line.strip() for line in text.lines]
    # A spreadsheet writes only separators for a row that was emptied.
    while names and not names[-1].strip(',; \t'):
        names.pop()
    ends = {name[-1:] for name in names}
    if len(ends) == 1 and ends <= {',', ';'}:
        # A spreadsheet also writes one separator after every name if the next
        # column was emptied.
        names = [name.rstrip(',;') for name in names]
    names = [unquoted(name.strip()) for name in without_numbers(names)]
    if not names:
        raise ValueError(
            f'{text.path}: there is no class name in this file of '
            f'{text.size} bytes. Write one name per line, in the order of '
            'the labels.'
        )
    if len(names) == 1 and any(d in names[0] for d in ',;\t'):
        raise ValueError(
            f'{text.path}, line 1: {clipped(names[0])!r} is the only line, but it '
            'seems to have several classes. Write one name per line.'
        )
    return check_class_names(names, text.path)


def without_numbers(lines: Sequence[str]) -> List[str]:
    """Remove the index column of lines such as ``0,neutral``.

    Args:
        lines (Sequence[str]): All lines.

    Returns:
        list[str]: The lines without numbers. They are returned unchanged
        unless their numbers ascend by one, from 0 or 1.
    """
    rows = [re.fullmatch(r'"?([0-9]{1,9})"?\s*[,;\t]\s*(.+)', line) for line in lines]
    found = [row for row in rows if row is not None]
    if len(rows) < 2 or len(found) < len(rows):
        return list(lines)
    first = int(found[0][1])
    if first > 1 or any(int(row[1]) != i for i, row in enumerate(found, start=first)):
        return list(lines)
    return [row[2] for row in found]


def check_class_names(
    names: Sequence[str], path: Optional[PathLike] = None
) -> List[str]:
    """Check class names for empty and repeated ones.

    Args:
        names (Sequence[str]): Names in the order of the labels; whole
            numbers are converted to text.
        path (str or os.PathLike, optional): The file whose lines they are,
            for messages; None if they come from ``classes=[...]``.

    Returns:
        list[str]: The names.

    Raises:
        ValueError: There is no name; a name is empty or not text; or two
            names are equal, apart from white space around them.
    """
    if path is None:
        place, lines = 'classes', 'name'
    else:
        place, lines = os.fspath(path), 'line'
    if not len(names):
        raise ValueError(
            f'{place}: there is no class name. Name the classes '
            'in the order of the labels.'
        )
    seen: Dict[str, int] = {}
    checked = []
    for number, name in enumerate(names, start=1):
        if isinstance(name, numbers.Integral) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f'{place}, {lines} {number}: {clipped(repr(name))} is no class '
                'name. It '
                'would shift the labels of all classes after it by one. '
                'Remove it, or write the name of the class.'
            )
        first = seen.setdefault(name.strip(), number)
        if first != number:
            raise ValueError(
                f'{place}, {lines} {number}: the class name {clipped(name)!r} is '
                f'already in {lines} {first}, so a label by name would be '
                'ambiguous. Rename or remove one.'
            )
        checked.append(name)
    return checked


def class_index(text: str, classes: Sequence[str]) -> Optional[int]:
    """Return the position of a class name; None if it is unknown.

    Args:
        text (str): The name. Upper and lower case may differ if only one
            class fits.
        classes (Sequence[str]): All names.
    """
    text = text.strip()
    for change in (str.strip, lambda name: name.strip().casefold()):
        found = [i for i, name in enumerate(classes) if change(name) == change(text)]
        if found:
            return found[0] if len(found) == 1 else None
    return None
