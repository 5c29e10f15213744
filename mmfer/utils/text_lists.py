"""Reading of lists: one image per row, with a label or other values."""

import logging
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from mmengine.logging import print_log

from .text_files import Line, PathLike, TextFile, line_error, read_text
from .text_tables import (
    Header,
    find_header,
    first_fields,
    fit_rows,
    has_suffix,
    is_number_like,
    iterate_fields,
    known_columns,
    match_columns,
    take_separator,
    unquoted,
)


class ListRow(NamedTuple):
    """A row of a list of images.

    Attributes:
        line (Line): The line as written.
        fields (list[str]): The image, then the values. This order does not
            depend on the order of the columns in the file.
    """

    line: Line
    fields: List[str]


class ImageRows(NamedTuple):
    """A list of images as read; see :func:`read_list`.

    Attributes:
        file (TextFile): The file.
        rows (list[ListRow]): At least one row.
        separator (str, optional): Separator between fields; None for white
            space.
    """

    file: TextFile
    rows: List[ListRow]
    separator: Optional[str]

    @property
    def decimal_comma(self) -> bool:
        """Whether a number can contain a comma."""
        return self.separator != ','

    def error(self, row: int, reason: str, way_out: str) -> ValueError:
        """Make the error for a row.

        Args:
            row (int): Position of the row, from 0.
            reason (str): What is wrong, without a full stop.
            way_out (str): One or more sentences on what to do.
        """
        return line_error(self.file.path, self.rows[row].line, reason, way_out)


def read_list(
    path: PathLike,
    columns: Mapping[str, Sequence[str]],
    kind: str,
    example: str,
    too_short: Tuple[str, str],
    classes: Optional[Sequence[str]] = None,
    is_image: Optional[Callable[[str], bool]] = None,
) -> ImageRows:
    """Read a list of images with values, with or without a header.

    Fields are separated by semicolons, commas, tabs or white space. The
    separator is found from the first rows. If it is white space, the values
    are the last fields, and the name of an image may contain spaces.

    A line that starts with ``#`` is a comment. It is a row only if it has the
    form of a row and ``is_image`` says that its image exists. The log says
    how many comments were skipped, and shows one of them. ``./#a.png 3`` is
    always a row.

    Args:
        path (str or os.PathLike): The file.
        columns (Mapping[str, Sequence[str]]): Names that a header may have
            for the image and for each value, in this order.
        kind (str): Kind of the file, for messages.
        example (str): Example of a row, for messages.
        too_short (tuple[str, str]): Reason and way out in the message for a
            row that lacks values.
        classes (Sequence[str], optional): Class names that a value may be.
        is_image (Callable[[str], bool], optional): Whether an image with
            this name exists. Defaults to None: every line that starts with
            ``#`` is a comment.

    Returns:
        ImageRows: Its rows, the file and the separator.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be decoded; it has no rows; a header has
            unknown columns; a row has too few or too many fields; see also
            :func:`~mmfer.utils.text_tables.iterate_fields`.
    """
    text = read_text(path, kind)
    reader = _ListReader(
        text,
        columns,
        example,
        too_short,
        classes or (),
        is_image or (lambda name: False),
    )
    return reader.read()


class _ListReader:
    """Reader of one list: finds the format of the file, then splits its rows."""

    # Number of rows that are used to find the separator.
    num_tried = 50

    def __init__(
        self,
        text: TextFile,
        columns: Mapping[str, Sequence[str]],
        example: str,
        too_short: Tuple[str, str],
        classes: Sequence[str],
        is_image: Callable[[str], bool],
    ) -> None:
        self.text = text
        self.columns = columns
        self.names = list(columns)
        self.count = len(columns) - 1
        self.example = example
        self.too_short = too_short
        self.is_image = is_image
        self.known = {name.strip().casefold() for name in classes}
        # Class names of several words. The last word of a line is only a part of
        # such a name.
        self.spaced = [name for name in self.known if len(name.split()) > 1]
        self.separator: Optional[str] = None
        self.header: Optional[Header] = None

    def read(self) -> ImageRows:
        """Find the format, then split all rows."""
        lines = self.text.filled
        # Comments may precede the header, so the format is found without them.
        body = [line for line in lines if line.text[0] != '#'] or lines
        if not body:
            raise self._no_rows('no rows')
        first = body[0]
        body, stated = take_separator(body)
        self._find_format(body, stated)
        # The line ``sep=;`` and the header are not rows.
        skipped = {first.number} if stated else set()
        if self.header is not None:
            skipped.add(body[0].number)
        lines = [line for line in lines if line.number not in skipped]
        lines = self._without_comments(lines)
        if not lines:
            raise self._no_rows(
                'no rows' if self.header is None else 'a header but no rows'
            )
        rows = (
            self._split_space(lines)
            if self.separator is None
            else self._split_separator(lines, self.separator)
        )
        if self.header is None:
            self._check_first(rows)
        return ImageRows(self.text, rows, self.separator)

    # -- finding the format
    def _find_format(self, body: List[Line], stated: Optional[str]) -> None:
        """Set ``separator`` and ``header`` from the first rows."""
        first = body[0].text
        words = first.split()
        if (
            stated is None
            and len(words) == len(self.names)
            and '"' not in first
            and '\t' not in first
            and known_columns(words, self.columns) == self.names
        ):
            self.header = match_columns(words, self.columns)
            return
        separator, self.header = find_header(
            self.text.path, body[0], self.columns, self.names, stated
        )
        if self.header is not None or stated:
            self.separator = separator
        else:
            self._refuse_partial_header(body[0], separator)
            self.separator = self._find_separator(body[: self.num_tried])
        if self.header is not None and self.header.others:
            raise line_error(
                self.text.path,
                body[0],
                f'the column {self.header.others[0]!r} is unknown',
                'The columns of this list are '
                f'{describe_columns(self.columns)}. Correct the name, or '
                'remove the column.',
            )

    def _refuse_partial_header(self, line: Line, separator: str) -> None:
        """Refuse a header that lacks a column.

        Labelling programs write such tables. A line counts as such a header if
        three things hold: it has more fields than a row, some fields are known
        column names, and its last field is not a value.
        """
        fields = first_fields(line, separator)
        found = known_columns(fields, self.columns)
        if len(fields) <= len(self.names) or not found or self._is_value(fields[-1]):
            return
        missing = [name for name in self.names if name not in found]
        raise line_error(
            self.text.path,
            line,
            f'the header has no column {", ".join(missing)}; its columns are '
            f'{", ".join(map(repr, fields))}',
            'The columns of this list are '
            f'{describe_columns(self.columns)}. Correct the name, and remove '
            'the other columns.',
        )

    def _find_separator(self, body: Sequence[Line]) -> Optional[str]:
        """Return the separator of rows without a header; None for white space."""
        for line in body:
            for separator in (';', ','):
                fields = first_fields(line, separator)
                if self._is_row(fields):
                    return separator
            if self._is_row(self._split_words(line)):
                return None
        for separator in (';', ','):
            if all(separator in line.text for line in body):
                return separator
        return None

    def _is_row(self, fields: Sequence[str]) -> bool:
        """Return whether the last fields are as many values as a row needs."""
        return len(fields) > self.count and all(
            map(self._is_value, fields[-self.count :])
        )

    def _is_value(self, field: str) -> bool:
        """Return whether a field looks like a value, even if it is a wrong one."""
        # This accepts more than the parser of labels does. A wrong label then gets
        # a message about the label, and not about the separator.
        field = unquoted(field)
        return field.casefold() in self.known or is_number_like(field)

    # -- rows
    def _without_comments(self, lines: List[Line]) -> List[Line]:
        """Return all lines except comments; log how many comments there are."""
        kept, comments, likely = [], [], []
        for line in lines:
            if line.text[0] != '#':
                kept.append(line)
                continue
            fields = (
                self._split_words(line)
                if self.separator is None
                else first_fields(line, self.separator)
            )
            is_row = self._is_row(fields)
            name = fields[-self.count - 1] if is_row else ''
            if is_row and self.is_image(name):
                kept.append(line)
                continue
            comments.append(line)
            if is_row and has_suffix(name):
                likely.append(line)
        if comments:
            line = (likely or comments)[0]
            print_log(
                f'{self.text.path}: {len(comments)} line(s) that start with '
                f'"#" are skipped as comments, e.g. line {line.number}: '
                f'{line.text[:80]!r}. If that is the name of an image, write '
                '"./" before it.',
                'current',
                level=logging.WARNING if likely else logging.INFO,
            )
        return kept

    def _split_words(self, line: Line) -> List[str]:
        """Split a line at white space into image and values."""
        text = line.text
        if self.count == 1:
            for name in self.spaced:
                start = len(text) - len(name)
                if (
                    start > 1
                    and text[start - 1].isspace()
                    and text[start:].casefold() == name
                ):
                    return [unquoted(text[:start].rstrip()), text[start:]]
        if self.header is None or self.header.position[self.names[0]] == 0:
            fields = text.rsplit(None, self.count)
        else:
            fields = text.split(None, self.count)
        return [unquoted(field) for field in fields]

    def _split_space(self, lines: Sequence[Line]) -> List[ListRow]:
        """Split lines at white space into rows."""
        order = (
            range(len(self.names))
            if self.header is None
            else [self.header.position[name] for name in self.names]
        )
        rows = []
        for line in lines:
            fields = self._split_words(line)
            if len(fields) < len(self.names):
                raise line_error(self.text.path, line, *self.too_short)
            fields = [fields[place] for place in order]
            if '\t' in fields[0]:
                raise line_error(
                    self.text.path,
                    line,
                    f'there are {len(line.text.split(chr(9)))} tab-separated '
                    f'fields instead of {len(self.names)}',
                    f'Keep {" and ".join(self.names)}, or name the columns '
                    'in a header.',
                )
            rows.append(ListRow(line, fields))
        return rows

    def _split_separator(self, lines: Sequence[Line], separator: str) -> List[ListRow]:
        """Split lines at the separator into rows."""
        path, names = self.text.path, self.names
        header = self.header or match_columns(names, {name: [name] for name in names})
        order = [header.position[name] for name in names]
        rows = [
            ListRow(line, [fields[place] for place in order])
            for line, _, fields in fit_rows(
                path,
                iterate_fields(path, lines, separator),
                separator,
                header,
                len(header.names),
            )
        ]
        if not rows:
            raise self._no_rows('no rows')
        return rows

    # -- messages
    def _check_first(self, rows: Sequence[ListRow]) -> None:
        """Refuse a first row that looks like a header with unknown columns."""
        if (
            len(rows) > 1
            and not self._is_row(rows[0].fields)
            and self._is_row(rows[1].fields)
        ):
            line, fields = rows[0]
            wrong = next(f for f in fields[1:] if not self._is_value(f))
            raise line_error(
                self.text.path,
                line,
                f'{wrong!r} is neither an integer, as in the next row, nor the '
                'name of a class'
                if self.count == 1
                else f'{wrong!r} is not a number, as in the next row',
                'If this line is a header, its columns must be '
                f'{describe_columns(self.columns)}, in any order. If it is a '
                'row, correct it.',
            )

    def _no_rows(self, what: str) -> ValueError:
        """Make the error for a file without rows.

        Args:
            what (str): What the file has, such as ``'a header but no rows'``.
        """
        return ValueError(
            f'{self.text.path}: the file has {what} ({self.text.size} '
            f'bytes). Expected lines such as {self.example}; was it copied '
            'completely?'
        )


def describe_columns(columns: Mapping[str, Sequence[str]]) -> str:
    """Describe the names that each column may have, for a message.

    Args:
        columns (Mapping[str, Sequence[str]]): See :func:`read_list`.
    """
    parts = []
    for name, aliases in columns.items():
        others = [alias for alias in aliases if alias != name]
        listed = ', '.join(others[:4]) + (', ...' if others[4:] else '')
        parts.append(f'{name} (or {listed})' if others else name)
    return ' and '.join(parts)
