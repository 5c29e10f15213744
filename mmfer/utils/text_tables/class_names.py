"""Reading and checking of class names."""

import numbers
import os
import re
from typing import List, Optional, Sequence

from ..text_files import PathLike, read_text
from .fields import unquoted


def read_class_names(path: PathLike) -> List[str]:
    """Read a file with one class name per line, in the order of the labels.

    White space and quotes around a name, blank lines at the end, separators
    that a spreadsheet leaves behind all names, and a column of ascending
    numbers in front of them do not count.

    Args:
        path (str or os.PathLike): The file.

    Returns:
        list[str]: At least one name; all differ.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be decoded or is empty; a line before the last
            name is blank; a name occurs twice. The message names file and
            line.
    """
    text = read_text(path, 'file of class names')
    names = [line.strip() for line in text.lines]
    # Separators alone are what a spreadsheet leaves of an emptied row.
    while names and not names[-1].strip(',; \t'):
        names.pop()
    ends = {name[-1:] for name in names}
    if len(ends) == 1 and ends <= {',', ';'}:
        # So are those at all ends, of an emptied column.
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
            f'{text.path}, line 1: {names[0]!r} is all there is. Are these '
            'several classes? Write one name per line.'
        )
    return check_class_names(names, text.path)


def without_numbers(lines: Sequence[str]) -> List[str]:
    """Return lines without an index column, as of ``0,neutral``.

    Args:
        lines (Sequence[str]): All lines; they stay as they are unless their
            numbers ascend by one, from 0 or 1.
    """
    rows = [re.fullmatch(r'"?([0-9]{1,9})"?\s*[,;\t]\s*(.+)', line) for line in lines]
    if len(rows) < 2 or not all(rows):
        return list(lines)
    first = int(rows[0][1])
    if first > 1 or any(int(row[1]) != i for i, row in enumerate(rows, start=first)):
        return list(lines)
    return [row[2] for row in rows]


def check_class_names(
    names: Sequence[str], path: Optional[PathLike] = None
) -> List[str]:
    """Check class names for empty and repeated ones.

    Args:
        names (Sequence[str]): Names in the order of the labels; whole
            numbers are taken as text.
        path (str or os.PathLike, optional): The file that they are the
            lines of; None: they come from ``classes=[...]``.

    Returns:
        list[str]: The names.

    Raises:
        ValueError: There is none; one is empty or no text; or two are equal,
            white space around them aside.
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
    seen, checked = {}, []
    for number, name in enumerate(names, start=1):
        if isinstance(name, numbers.Integral) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f'{place}, {lines} {number}: {name!r} is no class name. '
                'Remove it, or write the name of the class: with it, all '
                'classes behind it have a label of one more.'
            )
        first = seen.setdefault(name.strip(), number)
        if first != number:
            raise ValueError(
                f'{place}, {lines} {number}: the class name {name!r} is '
                f'already in {lines} {first}. A label would not tell the two '
                'apart; rename or remove one.'
            )
        checked.append(name)
    return checked


def class_index(text: str, classes: Sequence[str]) -> Optional[int]:
    """Return the position of a class name, None if it is unknown.

    Args:
        text (str): The name; letters may be of the other case if that is
            not the name of another class.
        classes (Sequence[str]): All names.
    """
    text = text.strip()
    for change in (str.strip, lambda name: name.strip().casefold()):
        found = [i for i, name in enumerate(classes) if change(name) == change(text)]
        if found:
            return found[0] if len(found) == 1 else None
    return None
