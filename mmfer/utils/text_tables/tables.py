"""Reading of tables with a header; columns are found by their names."""

import os
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..text_files import Line, PathLike, filled_lines, iterate_lines, line_error
from .columns import Header, known_columns, match_columns
from .fields import parse_numbers, parse_whole_numbers
from .rows import (
    SEPARATORS,
    first_fields,
    fit_rows,
    iterate_fields,
    split_fields,
    take_separator,
)

# Whole numbers up to this one fit into int64.
_LARGEST = 2**62


@dataclass(frozen=True, eq=False)
class TextTable:
    """Rows of a table, by column; see :func:`read_table`.

    Attributes:
        path (str): The file.
        separator (str): Separator between fields.
        columns (dict[str, list[str]]): (N,) fields of each known column.
        others (dict[str, list[str]]): (N,) fields of every column by its
            name in the file; empty unless ``others='keep'``.
        index (list[str], optional): (N,) the index column; None if the table
            has none.
        line_numbers (list[int]): (N,) line numbers of the rows in the file.
    """

    path: str
    separator: str
    columns: Dict[str, List[str]]
    others: Dict[str, List[str]]
    index: Optional[List[str]]
    line_numbers: List[int]

    def __len__(self) -> int:
        return len(self.line_numbers)

    @property
    def decimal_comma(self) -> bool:
        """Whether a number can contain a comma."""
        return self.separator != ','

    def whole_numbers(self, name: str) -> List[int]:
        """Return a column of whole numbers, (N,).

        Args:
            name (str): The column.

        Raises:
            ValueError: A field is not such a number, or its number does not fit
                into int64.
        """
        values = self._numbers(name, parse_whole_numbers, 'whole number, such as 3')
        if values and not (-_LARGEST <= min(values) and max(values) <= _LARGEST):
            row = next(i for i, v in enumerate(values) if not abs(v) <= _LARGEST)
            raise self.error(
                row,
                f'{name} is {values[row]}, a number of too many digits',
                'Correct the row.',
            )
        return values

    def numbers(self, name: str) -> List[float]:
        """Return a column of numbers, (N,).

        Args:
            name (str): The column.

        Raises:
            ValueError: A field is not such a number.
        """
        return self._numbers(name, parse_numbers, 'number, such as 0.5')

    def _numbers(self, name: str, read: Callable, wanted: str) -> list:
        """Parse a column with ``read``; raise an error where it gives None."""
        fields = self.columns[name]
        values = read(fields, self.decimal_comma)
        if None in values:
            row = values.index(None)
            raise self.error(
                row,
                f'{name} is {fields[row]!r}, which is no {wanted}',
                'Correct the row.',
            )
        return values

    def where(self, row: int) -> str:
        """Return file and line of a row, for messages.

        Args:
            row (int): Position of the row, from 0.
        """
        return f'{self.path}, line {self.line_numbers[row]}'

    def error(self, row: int, reason: str, way_out: str) -> ValueError:
        """Make the error for a row.

        Args:
            row (int): Position of the row, from 0.
            reason (str): What is wrong, without a full stop.
            way_out (str): One or more sentences on what to do.
        """
        number = self.line_numbers[row]
        # Read the line again. Lines are not kept in memory, because a table
        # may have several hundred MB of them.
        found = next(islice(iterate_lines(self.path), number - 1, None))
        return line_error(self.path, Line(number, found, found), reason, way_out)


def read_table(
    path: PathLike,
    columns: Mapping[str, Sequence[str]],
    kind: str,
    optional: Sequence[str] = (),
    others: str = 'skip',
    headless: Optional[Sequence[str]] = None,
) -> TextTable:
    """Read a table whose first line is a header.

    Args:
        path (str or os.PathLike): The file.
        columns (Mapping[str, Sequence[str]]): Names that each column may
            have, in the form of :func:`~mmfer.utils.text_tables.column_key`.
        kind (str): Kind of the file, for messages.
        optional (Sequence[str]): Columns that may be missing.
        others (str): What happens to unknown columns: ``'skip'``, ``'keep'``
            or ``'refuse'``. Defaults to ``'skip'``.
        headless (Sequence[str], optional): Names of all columns in their
            order, for a table that may lack its header. A table without
            header is recognised by its number of fields. Defaults to None:
            a header is required.

    Returns:
        TextTable: Its rows; there may be none. Rows that consist of
        separators only are skipped.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be decoded; it has no header with these
            columns, or one with a column twice; a row has too few or too
            many fields; see also :func:`~mmfer.utils.text_tables.iterate_fields`.
    """
    path = os.path.expanduser(os.fspath(path))
    lines = filled_lines(iterate_lines(path, kind))
    start = list(islice(lines, 2))
    wanted = [name for name in columns if name not in optional]
    if not start:
        raise ValueError(
            f'{path}: the file is empty, so it has no column '
            f'{", ".join(wanted)}; it must be a {kind}.'
        )
    start, stated = take_separator(start)
    line = start[0]
    separator, header = find_header(path, line, columns, wanted, stated)
    if header is not None:
        start = start[1:]
    elif headless is not None:
        separator, header = _without_header(
            path, line, columns, headless, separator, stated
        )
    if header is None:
        raise _no_header(path, line, separator, columns, wanted, kind)
    if header.others and others == 'refuse':
        raise line_error(
            path,
            line,
            f'the column {header.others[0]!r} is unknown',
            f'A {kind} has the columns {", ".join(columns)}. Correct the '
            'name, or remove the column.',
        )
    rows = fit_rows(
        path,
        iterate_fields(path, chain(start, lines), separator),
        separator,
        header,
        len(header.names)
        if others == 'refuse'
        else 1 + max(header.position[name] for name in wanted),
    )
    return _collect(path, separator, header, rows, others == 'keep')


def _collect(
    path: str,
    separator: str,
    header: Header,
    rows: Iterable[Tuple[Line, Optional[str], List[str]]],
    keep_others: bool,
) -> TextTable:
    """Collect the fields of rows by column."""
    table = TextTable(
        path, separator, {name: [] for name in header.position}, {}, None, []
    )
    taken = [
        (header.position[name], fields.append) for name, fields in table.columns.items()
    ]
    if keep_others:
        table.others.update((name, []) for name in header.names if name)
        taken += [
            (place, table.others[name].append)
            for place, name in enumerate(header.names)
            if name
        ]
    index: List[str] = []
    for line, index_field, fields in rows:
        table.line_numbers.append(line.number)
        for place, append in taken:
            append(fields[place])
        if index_field is not None:
            index.append(index_field)
    return replace(table, index=index) if index else table


def _without_header(
    path: str,
    line: Line,
    columns: Mapping[str, Sequence[str]],
    headless: Sequence[str],
    separator: str,
    stated: Optional[str],
) -> Tuple[str, Optional[Header]]:
    """Return separator and header of a table that lacks its header.

    Args:
        path (str): The file, for messages.
        line (Line): Its first line.
        columns (Mapping[str, Sequence[str]]): See :func:`read_table`.
        headless (Sequence[str]): All columns in their order.
        separator (str): Separator that fits the line best as a header.
        stated (str, optional): Separator that the file states.

    Returns:
        tuple[str, Header or None]: The separator, and None if the line names
        known columns or has another number of fields.
    """
    if not known_columns(first_fields(line, separator), columns):
        for tried in [stated] if stated else (',', ';', '\t'):
            if len(split_fields(path, [line], tried)[0]) == len(headless):
                return tried, match_columns(headless, columns)
    return separator, None


def _no_header(
    path: str,
    line: Line,
    separator: str,
    columns: Mapping[str, Sequence[str]],
    wanted: Sequence[str],
    kind: str,
) -> ValueError:
    """Make the error for a first line that lacks wanted columns."""
    fields = first_fields(line, separator)
    found = known_columns(fields, columns)
    missing = ', '.join(name for name in wanted if name not in found)
    return line_error(
        path,
        line,
        f'the header has no column {missing}; split at every '
        f'{SEPARATORS[separator]}, its columns are '
        f'{", ".join(map(repr, fields))}',
        f'It must be a {kind}.',
    )


def find_header(
    path: PathLike,
    line: Line,
    columns: Mapping[str, Sequence[str]],
    wanted: Sequence[str],
    separator: Optional[str] = None,
) -> Tuple[str, Optional[Header]]:
    """Find the separator of a header and the places of its columns.

    Args:
        path (str or os.PathLike): The file, for messages.
        line (Line): The line that may be the header.
        columns (Mapping[str, Sequence[str]]): See :func:`read_table`.
        wanted (Sequence[str]): Columns without which the line is no header.
        separator (str, optional): Separator that the file states.

    Returns:
        tuple[str, Header or None]: The separator that gives most known
        columns (then most fields), and the header; None if the line is no
        header.

    Raises:
        ValueError: A column appears twice.
    """
    candidates = [separator] if separator else [';', '\t', ',']
    if not separator and line.text.startswith('"'):
        # R writes tables with quotes and spaces.
        candidates.append(' ')
    fields = {s: first_fields(line, s) for s in candidates}
    found = {s: len(known_columns(fields[s], columns)) for s in candidates}
    best = max(candidates, key=lambda s: (found[s], len(fields[s])))
    if not found[best]:
        # Without a known column, this line is probably a row. The fields of a row
        # may be equal, but match_columns refuses equal fields.
        return best, None
    try:
        header = match_columns(fields[best], columns)
    except ValueError as error:
        raise line_error(
            path, line, str(error), 'Give each column its own name, or remove one.'
        ) from None
    if all(name in header.position for name in wanted):
        return best, header
    return best, None
