"""Rows of tables and lists: split them into fields, and count the fields."""

import csv
import re
from typing import Iterable, Iterator, List, Optional, Tuple

from ..text_files import Line, PathLike, line_error
from .columns import Header
from .fields import parse_whole_number

SEPARATORS = {';': 'semicolon', '\t': 'tab', ',': 'comma', ' ': 'space'}
"""Separators between fields, and their names in messages."""


def iterate_fields(
    path: PathLike, lines: Iterable[Line], separator: str
) -> Iterator[Tuple[Line, List[str]]]:
    """Split lines into fields by the rules of CSV.

    Args:
        path (str or os.PathLike): The file, for messages.
        lines (Iterable[Line]): Lines with one row each.
        separator (str): Separator between fields.

    Yields:
        tuple[Line, list[str]]: Each line with its fields, without leading
        and trailing white space.

    Raises:
        ValueError: A quote is not closed in its line, as in a field with a
            line break; a quote stands at a wrong place; or a field is too
            long.
    """
    taken: List[Line] = []
    tab = separator == '\t'

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line.raw if tab else line.text

    reader = csv.reader(
        texts(), delimiter=separator, skipinitialspace=not tab, strict=True
    )
    while True:
        taken.clear()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise _quote_error(path, taken[0], separator, str(error)) from None
        if fields is None:
            return
        if len(taken) > 1:
            raise _quote_error(path, taken[0], separator)
        yield taken[0], [field.strip() for field in fields]


def _quote_error(
    path: PathLike, line: Line, separator: str, reason: str = ''
) -> ValueError:
    """Make the error for a line that ``csv`` does not read as one row."""
    if 'expected after' in reason:
        return line_error(
            path,
            line,
            f'a {SEPARATORS[separator]} must follow a closing quote',
            'Put quotes around the whole field, and write each quote inside '
            'the field twice.',
        )
    if 'limit' in reason:
        return line_error(
            path,
            line,
            f'a field is longer than {csv.field_size_limit()} characters',
            'Is a quote missing, or is this another kind of file?',
        )
    return line_error(
        path,
        line,
        'this line does not close a quote that it opens, so a field would '
        'contain a line break',
        'Close the quote, or remove the line break from the field.',
    )


def split_fields(
    path: PathLike, lines: Iterable[Line], separator: str
) -> List[List[str]]:
    """Return the fields of lines; see :func:`iterate_fields`.

    Args:
        path (str or os.PathLike): The file, for messages.
        lines (Iterable[Line]): (N,) lines with one row each.
        separator (str): Separator between fields.

    Returns:
        list[list[str]]: (N,) lists of fields.
    """
    return [fields for _, fields in iterate_fields(path, lines, separator)]


def take_separator(lines: List[Line]) -> Tuple[List[Line], Optional[str]]:
    """Remove the line ``sep=;`` with which Excel marks the separator.

    Args:
        lines (list[Line]): The first lines of a file, at least one.

    Returns:
        tuple[list[Line], str or None]: The lines without it, and the
        separator that it states; None if there is no such line.
    """
    match = re.fullmatch(r'"?sep=(.)"?', lines[0].raw.strip(' '), re.IGNORECASE)
    if match is None or match[1] not in SEPARATORS or len(lines) < 2:
        return lines, None
    return lines[1:], match[1]


def first_fields(line: Line, separator: str) -> List[str]:
    """Return the fields of a line without empty ones at its end.

    Args:
        line (Line): Usually the header.
        separator (str): Separator between fields.

    Returns:
        list[str]: The fields; empty if the quotes do not follow CSV.
    """
    try:
        fields = split_fields('', [line], separator)[0]
    except ValueError:
        return []
    while fields and not fields[-1]:
        fields.pop()
    return fields


def fit_rows(
    path: PathLike,
    rows: Iterable[Tuple[Line, List[str]]],
    separator: str,
    header: Header,
    needed: int,
) -> Iterator[Tuple[Line, Optional[str], List[str]]]:
    """Check the number of fields of each row, and find its index.

    The index column of pandas has an empty name in the header. The index
    column of R has no field in the header, so each row has one field more.
    Rows that consist of separators only are skipped; spreadsheets write them
    for rows that were emptied.

    Args:
        path (str or os.PathLike): The file, for messages.
        rows (Iterable[tuple[Line, list[str]]]): See :func:`iterate_fields`.
        separator (str): Separator between fields.
        header (Header): Header of the table.
        needed (int): Number of fields that every row must have. Later fields
            may be missing, because Excel does not write empty fields at the
            end of a row.

    Yields:
        tuple[Line, str or None, list[str]]: A line, its index, and as many
        fields as the header has.

    Raises:
        ValueError: A row has too few or too many fields.
    """
    width = len(header.names)
    extra: Optional[int] = None
    for line, row in rows:
        if not any(row):
            continue
        if extra is None:
            extra = int(
                header.index is None
                and len(row) == width + 1
                and bool(row[-1])
                and parse_whole_number(row[0]) is not None
            )
        index: Optional[str] = None
        if extra:
            index = row.pop(0)
        elif header.index is not None:
            index = row[header.index]
        bad_index = extra and parse_whole_number(index or '') is None
        if len(row) < needed or any(row[width:]) or bad_index:
            raise line_error(
                path,
                line,
                f'{len(row) + extra} {SEPARATORS[separator]}-separated '
                f'fields instead of {width + extra}',
                f'Are all rows separated by {SEPARATORS[separator]}s, and '
                'was the file copied completely? Put quotes around a field '
                f'that contains a {SEPARATORS[separator]}.',
            )
        yield line, index, row[:width] + [''] * (width - len(row))
