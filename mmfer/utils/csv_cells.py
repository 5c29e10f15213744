"""Cells of CSV files that no spreadsheet takes for a formula.

A spreadsheet computes a cell that starts with ``=``, ``+``, ``-`` or ``@``. The name of
an image may start so, and a formula can send data away or start a program.

Tables that only mmfer reads get an apostrophe before such a text, which the reader
removes again. Tables in the format of a data set, which other programs read, too, get
``./`` before the path of an image. It names the same file.
"""

import re
from typing import List

from .text_tables import parse_number

# Spreadsheets also know the wide forms of the signs, and some skip white space.
_FORMULA = re.compile(r"'*(?:\s*[=+\-@＝＋－＠]|[\t\r\n])")


def guard_cell(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would compute.

    Numbers such as ``-0.3`` stay as they are. A text that starts with apostrophes
    before such a sign gets one more, so that :func:`unguard_cell` gives every text
    back.

    Args:
        text (str): Text of a cell.
    """
    return f"'{text}" if _is_formula(text) else text


def unguard_cell(text: str) -> str:
    """Return the text that :func:`guard_cell` got.

    Args:
        text (str): Text of a cell that :func:`guard_cell` has written.
    """
    return text[1:] if text[:1] == "'" and _is_formula(text) else text


def guard_cells(texts: List[str]) -> List[str]:
    """Return the cells of a column, see :func:`guard_cell`."""
    # No text that starts with a letter or a digit is a formula. The quick look saves a
    # second for 10^6 names.
    return [text if text[:1].isalnum() else guard_cell(text) for text in texts]


def guard_path(path: str) -> str:
    """Put ``./`` before a relative path that a spreadsheet would compute.

    Args:
        path (str): Path of an image in a table that other programs read, too.
    """
    return f'./{path}' if _is_formula(path) and path[:1] != "'" else path


def _is_formula(text: str) -> bool:
    """Return whether a text, apart from apostrophes, starts like a formula."""
    if _FORMULA.match(text) is None:
        return False
    return parse_number(text) is None or text != text.strip()
