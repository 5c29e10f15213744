"""Reading of tables with a header, whose columns go by their names."""

import csv
import os
import re
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from ..text_files import Line, PathLike, filled_lines, iterate_lines, line_error
from .fields import number, whole_number

SEPARATORS = {';': 'semicolon', '\t': 'tab', ',': 'comma', ' ': 'space'}
"""Separators of fields, and their names in messages."""

IMAGE_COLUMNS = (
    'image',
    'path',
    'file',
    'filename',
    'image_path',
    'images',
    'img',
    'paths',
    'files',
    'file_name',
    'filepath',
    'file_path',
    'img_path',
    'image_file',
    'image_filename',
    'image_name',
    'img_name',
    'name',
    'picture',
    'photo',
)
"""Names that lists give the column of images."""

LABEL_COLUMNS = (
    'label',
    'emotion',
    'expression',
    'class',
    'class_name',
    'labels',
    'gt_label',
    'noisy_label',
    'emotions',
    'classes',
    'class_id',
    'label_id',
    'category',
    'target',
    'y',
)
"""Names that lists give the column of labels."""

_INDEX_NAME = re.compile(r'unnamed:_[0-9]+(_level_[0-9]+)?|index|')


def iterate_fields(
    path: PathLike, lines: Iterable[Line], separator: str
) -> Iterator[Tuple[Line, List[str]]]:
    """Split lines into fields, by the rules of CSV.

    Args:
        path (str or os.PathLike): The file, for messages.
        lines (Iterable[Line]): Of one row each.
        separator (str): What stands between fields.

    Yields:
        tuple[Line, list[str]]: Each line with its fields, without white
        space around them.

    Raises:
        ValueError: A quote is not closed in its line, as in a field with a
            line break, or stands where none may stand.
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
    """Make the error for a line that csv does not read as one row."""
    if 'expected after' in reason:
        return line_error(
            path,
            line.number,
            line.text,
            f'a {SEPARATORS[separator]} must follow a closing quote',
            'Put quotes around the whole field, and write a quote inside of it twice.',
        )
    if 'limit' in reason:
        return line_error(
            path,
            line.number,
            line.text,
            f'a field is longer than {csv.field_size_limit()} characters',
            'Is a quote missing, or is this another kind of file?',
        )
    return line_error(
        path,
        line.number,
        line.text,
        'a quote opens here that this line does not close, so a field would '
        'hold a line break',
        'Close the quote, or take the line break out of the field.',
    )


def split_fields(
    path: PathLike, lines: Iterable[Line], separator: str
) -> List[List[str]]:
    """Return the fields of lines; see :func:`iterate_fields`.

    Args:
        path (str or os.PathLike): The file, for messages.
        lines (Iterable[Line]): (N,) of one row each.
        separator (str): What stands between fields.

    Returns:
        list[list[str]]: (N,).
    """
    return [fields for _, fields in iterate_fields(path, lines, separator)]


def column_key(name: str) -> str:
    """Return a column name in lower case with ``_`` between its words.

    Args:
        name (str): As a header has it.
    """
    return re.sub(r'[\s_-]+', '_', name.strip().lower())


class Header(NamedTuple):
    """Places of the columns of a table.

    Attributes:
        names (list[str]): All columns as written.
        position (dict[str, int]): Of those that are known.
        index (int, optional): Of the index column of pandas or R; -1 if the
            header has no field for it; None if there is none.
        others (list[str]): Names of unknown columns.
    """

    names: List[str]
    position: Dict[str, int]
    index: Optional[int]
    others: List[str]


def match_columns(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Header:
    """Find known columns among the fields of a header.

    Args:
        names (Sequence[str]): The fields.
        columns (Mapping[str, Sequence[str]]): Names that each known column
            may have, in the form of :func:`column_key`.

    Raises:
        ValueError: Two fields have one name, or stand for one column. The
            message is for :func:`line_error`.
    """
    role = {alias: name for name, aliases in columns.items() for alias in aliases}
    keys = [column_key(name) for name in names]
    position: Dict[str, int] = {}
    for place, key in enumerate(keys):
        if key in role:
            first = position.setdefault(role[key], place)
            if first != place:
                raise ValueError(
                    f'the columns {names[first]!r} (number {first + 1}) and '
                    f'{names[place]!r} (number {place + 1}) are both '
                    f'{role[key]!r}'
                )
        elif key and key in keys[:place]:
            raise ValueError(f'the column {names[place]!r} is there twice')
    index = (
        0
        if (0 not in position.values() and keys and _INDEX_NAME.fullmatch(keys[0]))
        else None
    )
    others = [
        name
        for place, name in enumerate(names)
        if place != index and place not in position.values()
    ]
    return Header(list(names), position, index, others)


@dataclass(frozen=True, eq=False)
class TextTable:
    """Rows of a table whose columns go by its header.

    Attributes:
        path (str): The file.
        separator (str): What stands between fields.
        columns (dict[str, list[str]]): (N,) fields of each known column.
        others (dict[str, list[str]]): (N,) fields of all columns by their
            names in the file, if they were asked for.
        index (list[str], optional): (N,) the index column; None if there is
            none.
        line_numbers (list[int]): (N,) where the rows are in the file.
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
        """bool: Whether a comma can stand in a number."""
        return self.separator != ','

    def whole_numbers(self, name: str) -> List[int]:
        """Return a column of whole numbers, (N,).

        Args:
            name (str): The column.

        Raises:
            ValueError: A field is something else.
        """
        return self._numbers(name, whole_number, 'whole number, such as 3')

    def numbers(self, name: str) -> List[float]:
        """Return a column of numbers, (N,).

        Args:
            name (str): The column.

        Raises:
            ValueError: A field is something else.
        """
        return self._numbers(name, number, 'number, such as 0.5')

    def _numbers(self, name: str, read: Callable, wanted: str) -> list:
        fields = self.columns[name]
        values = [read(text, self.decimal_comma) for text in fields]
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
            row (int): Its position, from 0.
        """
        return f'{self.path}, line {self.line_numbers[row]}'

    def error(self, row: int, reason: str, way_out: str) -> ValueError:
        """Make the error for a row.

        Args:
            row (int): Its position, from 0.
            reason (str): What is wrong, without a full stop.
            way_out (str): One or more sentences on what to do.
        """
        number = self.line_numbers[row]
        # Lines are not kept: a table may have several hundred MB of them.
        found = next(islice(iterate_lines(self.path), number - 1, None))
        return line_error(self.path, number, found, reason, way_out)


def read_table(
    path: PathLike,
    columns: Mapping[str, Sequence[str]],
    kind: str,
    optional: Sequence[str] = (),
    others: str = 'skip',
    headless: Optional[Sequence[str]] = None,
) -> TextTable:
    """Read a table whose first line says what its columns are.

    Args:
        path (str or os.PathLike): The file.
        columns (Mapping[str, Sequence[str]]): Names that each column may
            have, in the form of :func:`column_key`.
        kind (str): What the file should be, for messages.
        optional (Sequence[str]): Columns that may be missing.
        others (str): What is done with unknown columns: ``'skip'``,
            ``'keep'`` or ``'refuse'``. Defaults to ``'skip'``.
        headless (Sequence[str], optional): All columns in their order, of a
            table that may lack its header; known by its number of fields.

    Returns:
        TextTable: Its rows, at least none. Rows of separators alone are not
        in it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be decoded; it has no header of this kind, or
            one with a column twice; a row has too few or too many fields;
            see also :func:`iterate_fields`.
    """
    path = os.path.expanduser(os.fspath(path))
    lines = filled_lines(iterate_lines(path, kind))
    first = list(islice(lines, 2))
    wanted = [name for name in columns if name not in optional]
    if not first:
        raise ValueError(
            f'{path}: the file is empty, so it has no column '
            f'{", ".join(wanted)}; it must be a {kind}.'
        )
    first, stated = take_separator(first)
    separator, header = find_header(path, first[0], columns, wanted, stated)
    if (
        header is None
        and headless is not None
        and not known_columns(first_fields(first[0], separator), columns)
    ):
        for tried in [stated] if stated else (',', ';', '\t'):
            if len(split_fields(path, first[:1], tried)[0]) == len(headless):
                separator = tried
                header = match_columns(headless, columns)
                break
    else:
        headless = None
    if header is None:
        fields = first_fields(first[0], separator)
        found = known_columns(fields, columns)
        missing = ', '.join(name for name in wanted if name not in found)
        raise line_error(
            path,
            first[0].number,
            first[0].text,
            f'the header has no column {missing}; split at every '
            f'{SEPARATORS[separator]}, its columns are '
            f'{", ".join(map(repr, fields))}',
            f'It must be a {kind}.',
        )
    if header.others and others == 'refuse':
        raise line_error(
            path,
            first[0].number,
            first[0].text,
            f'nothing is known of the column {header.others[0]!r}',
            f'A {kind} has the columns {", ".join(columns)}. Correct the '
            'name, or remove the column.',
        )
    rows = fit_rows(
        path,
        iterate_fields(path, chain(first if headless else first[1:], lines), separator),
        separator,
        header,
        len(header.names)
        if others == 'refuse'
        else 1 + max(header.position[name] for name in wanted),
    )
    table = TextTable(
        path, separator, {name: [] for name in header.position}, {}, None, []
    )
    taken = [
        (header.position[name], fields.append) for name, fields in table.columns.items()
    ]
    if others == 'keep':
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


def take_separator(lines: List[Line]) -> Tuple[List[Line], Optional[str]]:
    """Take off the line ``sep=;`` that Excel knows.

    Args:
        lines (list[Line]): The first lines of a file, at least one.

    Returns:
        tuple: The lines without it, and the separator that it states; None
        if there is none.
    """
    match = re.fullmatch(r'"?sep=(.)"?', lines[0].raw.strip(' '), re.IGNORECASE)
    if match is None or match[1] not in SEPARATORS or len(lines) < 2:
        return lines, None
    return lines[1:], match[1]


def first_fields(line: Line, separator: str) -> List[str]:
    """Return the fields of a line without the empty ones at its end.

    Args:
        line (Line): Such as a header.
        separator (str): What stands between fields.

    Returns:
        list[str]: Empty if its quotes are not those of CSV.
    """
    try:
        fields = split_fields('', [line], separator)[0]
    except ValueError:
        return []
    while fields and not fields[-1]:
        fields.pop()
    return fields


def known_columns(
    fields: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> List[str]:
    """Return the columns that some fields of a header stand for.

    Args:
        fields (Sequence[str]): The header.
        columns (Mapping[str, Sequence[str]]): See :func:`read_table`.
    """
    keys = set(map(column_key, fields))
    return [name for name, aliases in columns.items() if keys.intersection(aliases)]


def find_header(
    path: PathLike,
    line: Line,
    columns: Mapping[str, Sequence[str]],
    wanted: Sequence[str],
    separator: Optional[str] = None,
) -> Tuple[str, Optional[Header]]:
    """Find what separates the columns of a header, and what they are.

    Args:
        path (str or os.PathLike): The file, for messages.
        line (Line): What may be the header.
        columns (Mapping[str, Sequence[str]]): See :func:`read_table`.
        wanted (Sequence[str]): Columns without which it is none.
        separator (str, optional): What the file says itself.

    Returns:
        tuple[str, Header or None]: The separator that gives most of these
        columns, or most fields; None if the line is no header.

    Raises:
        ValueError: A column is there twice.
    """
    candidates = [separator] if separator else [';', '\t', ',']
    if not separator and line.text.startswith('"'):
        # As R writes tables.
        candidates.append(' ')
    fields = {s: first_fields(line, s) for s in candidates}
    found = {s: len(known_columns(fields[s], columns)) for s in candidates}
    best = max(candidates, key=lambda s: (found[s], len(fields[s])))
    if not found[best]:
        # A row may have equal fields, a header may not.
        return best, None
    try:
        header = match_columns(fields[best], columns)
    except ValueError as error:
        raise line_error(
            path,
            line.number,
            line.text,
            str(error),
            'Give each column one name of its own, or remove one.',
        ) from None
    if all(name in header.position for name in wanted):
        return best, header
    return best, None


def fit_rows(
    path: PathLike,
    rows: Iterable[Tuple[Line, List[str]]],
    separator: str,
    header: Header,
    needed: int,
) -> Iterator[Tuple[Line, Optional[str], List[str]]]:
    """Check the number of fields of rows, and find their index.

    The index column of pandas has no name; R leaves it out of the header
    altogether. Rows of separators alone, which is what spreadsheets leave of
    emptied ones, are left out.

    Args:
        path (str or os.PathLike): The file, for messages.
        rows (Iterable[tuple[Line, list[str]]]): See :func:`iterate_fields`.
        separator (str): What stands between fields.
        header (Header): Of the table.
        needed (int): Fields that no row may lack; those behind may be left
            out where they are empty, as Excel does.

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
                and whole_number(row[0]) is not None
            )
        index = (
            row.pop(0) if extra else None if header.index is None else row[header.index]
        )
        if (
            len(row) < needed
            or any(row[width:])
            or extra
            and whole_number(index) is None
        ):
            raise line_error(
                path,
                line.number,
                line.text,
                f'{len(row) + extra} {SEPARATORS[separator]}-separated '
                f'fields instead of {width + extra}',
                f'Are all rows separated by {SEPARATORS[separator]}s, and '
                'was the file copied completely? A field that holds a '
                f'{SEPARATORS[separator]} is put in quotes.',
            )
        yield line, index, row[:width] + [''] * (width - len(row))
