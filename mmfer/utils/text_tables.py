"""The one reader of text files: class names, lists and tables.

Whatever a person, a spreadsheet or another program has saved comes in here:

- Encodings: UTF-8 with or without a byte order mark; UTF-16 and UTF-32 with
  one. Anything else is refused with file and line.
- Line ends: LF, CRLF, CR, or several of them in one file.
- Separators: comma, semicolon, tab; white space in lists of images. Quotes,
  empty rows and columns at the end, and the index column of pandas or R do
  no harm. Columns go by the header, never by position.
- Numbers: ``3`` and ``3.0``, also ``3,0`` where the comma does not separate.
- Every error names the file, the line, what was found and what is right.

:func:`read_table` reads tables with a header, :func:`read_list` lists of
images with or without one, :func:`read_class_names` class names. All go
through :func:`read_text` and :func:`split_fields`, and so does whatever else
has a format of its own.
"""
import codecs
import csv
import difflib
import logging
import numbers
import os
import posixpath
import re
from dataclasses import dataclass
from typing import (
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import mmengine
from mmengine.logging import print_log

PathLike = Union[str, os.PathLike]

SEPARATORS = {';': 'semicolon', '\t': 'tab', ',': 'comma', ' ': 'space'}
"""What may stand between fields, and its name in messages."""

IMAGE_COLUMNS = ('image', 'images', 'img', 'path', 'paths', 'file', 'files',
                 'filename', 'file_name', 'filepath', 'file_path',
                 'image_path', 'img_path', 'image_file', 'image_filename',
                 'image_name', 'img_name', 'name', 'picture', 'photo')
"""What lists call the column of images."""

LABEL_COLUMNS = ('label', 'labels', 'gt_label', 'emotion', 'emotions',
                 'expression', 'class', 'classes', 'class_id', 'class_name',
                 'label_id', 'noisy_label', 'category', 'target', 'y')
"""What lists call the column of labels."""

# The marks of UTF-32 begin with those of UTF-16, so they come first.
_MARKS = ((codecs.BOM_UTF32_LE, 'utf-32'), (codecs.BOM_UTF32_BE, 'utf-32'),
          (codecs.BOM_UTF8, 'utf-8-sig'), (codecs.BOM_UTF16_LE, 'utf-16'),
          (codecs.BOM_UTF16_BE, 'utf-16'))


class TextFile(NamedTuple):
    """A decoded text file.

    Attributes:
        path (str): The file.
        lines (list[str]): Its lines without line ends; line number i + 1 is
            at index i. The empty piece behind a final line end is not one.
        newline (str): ``'LF'``, ``'CRLF'``, ``'CR'`` or ``'mixed'``.
        final_newline (bool): Whether a line end closes the last line.
        size (int): Bytes of the file.
    """

    path: str
    lines: List[str]
    newline: str
    final_newline: bool
    size: int


def line_error(path: PathLike, line: int, found: str, reason: str,
               way_out: str) -> ValueError:
    """Make the error for one line of a file.

    Args:
        path (str or os.PathLike): The file.
        line (int): Its number, from 1.
        found (str): What the line says.
        reason (str): What is wrong with it, without a full stop.
        way_out (str): One or more sentences on what to do.
    """
    if len(found) > 200:
        found = f'{found[:200]}...'
    return ValueError(
        f'{os.fspath(path)}, line {line}: {found!r}: {reason}. {way_out}')


# -- decoding ----------------------------------------------------------------
def decode_text(data: bytes, path: PathLike) -> str:
    """Decode the bytes of a text file.

    Args:
        data (bytes): UTF-8, or UTF-16 or UTF-32 with a byte order mark.
        path (str or os.PathLike): The file, for messages.

    Returns:
        str: The text without its mark, with the line ends of the file.

    Raises:
        ValueError: The bytes are not text in one of these encodings, or
            the text holds NUL characters or a second mark.
    """
    path = os.fspath(path)
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)),
                    'utf-8')
    save = ('Save it as UTF-8 ("CSV UTF-8" in Excel) and check that it is '
            'the file you meant.')
    zero = data.find(b'\0')
    if zero >= 0 and encoding.startswith('utf-8'):
        raise ValueError(
            f'{path}, line {_line_of(data, zero)}: there is a zero byte, so '
            'this is UTF-16 without its byte order mark, or no text at all. '
            + save)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.replace('-sig', '').upper()
        # What precedes the error can be decoded.
        line = _line_count(data[:error.start].decode(encoding, 'ignore'))
        raise ValueError(
            f'{path}, line {line}: byte {data[error.start]:#04x} is not '
            f'{name} text ({error.reason}). {save}') from None
    for character, name in (('\0', 'a NUL character'),
                            ('\ufeff', 'a byte order mark inside the text')):
        place = text.find(character)
        if place >= 0:
            raise ValueError(
                f'{path}, line {_line_count(text[:place])}: there is {name}. '
                'Were several files joined, or is this no text? ' + save)
    return text


def _line_count(text: str) -> int:
    """Number of the line that follows, from 1."""
    return (text.count('\n') + text.count('\r') - text.count('\r\n')) + 1


def _line_of(data: bytes, place: int) -> int:
    """Number of the line that a byte stands in, from 1."""
    return _line_count(data[:place].decode('latin-1'))


def read_text(path: PathLike, kind: str = 'file') -> TextFile:
    """Read a text file, whatever its encoding and line ends.

    Args:
        path (str or os.PathLike): The file, or an address that one of
            mmengine's file backends reads.
        kind (str): What it should be, for messages, e.g. 'label list'.

    Returns:
        TextFile: Its lines, and what was found.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: See :func:`decode_text`.
    """
    path = os.path.expanduser(os.fspath(path))
    if '://' in path:
        data = mmengine.fileio.get(path)
    elif not os.path.isfile(path):
        raise FileNotFoundError(
            f'{path}: there is no such {kind}. Check the path; it is '
            f'relative to {os.getcwd()} unless it starts at the root.')
    else:
        with open(path, 'rb') as file:
            data = file.read()
    text = decode_text(data, path)
    crlf = text.count('\r\n')
    kinds = dict(
        CRLF=crlf, LF=text.count('\n') - crlf, CR=text.count('\r') - crlf)
    found = [name for name, count in kinds.items() if count]
    # Not splitlines(): it also splits at characters a name may contain.
    lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
    final_newline = not lines[-1]
    if final_newline:
        lines.pop()
    return TextFile(
        path=path,
        lines=lines,
        newline='mixed' if len(found) > 1 else found[0] if found else 'LF',
        final_newline=final_newline and bool(lines),
        size=len(data))


# -- class names -------------------------------------------------------------
def read_class_names(path: PathLike) -> List[str]:
    """Read a file with one class name per line, in the order of the labels.

    White space around a name, quotes around it and blank lines at the end
    do not count.

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
    names = [unquoted(line.strip()) for line in text.lines]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ValueError(
            f'{text.path}: there is no class name in this file of '
            f'{text.size} bytes. Write one name per line, in the order of '
            'the labels.')
    if len(names) == 1 and any(d in names[0] for d in ',;\t'):
        raise ValueError(
            f'{text.path}, line 1: {names[0]!r} is all there is. Are these '
            'several classes? Write one name per line.')
    return check_class_names(names, text.path)


def check_class_names(names: Sequence[str],
                      path: Optional[PathLike] = None) -> List[str]:
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
        raise ValueError(f'{place}: there is no class name. Name the classes '
                         'in the order of the labels.')
    seen, checked = {}, []
    for number, name in enumerate(names, start=1):
        if isinstance(name, numbers.Integral) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f'{place}, {lines} {number}: {name!r} is no class name. '
                'Remove it, or write the name of the class: with it, all '
                'classes behind it have a label of one more.')
        first = seen.setdefault(name.strip(), number)
        if first != number:
            raise ValueError(
                f'{place}, {lines} {number}: the class name {name!r} is '
                f'already in {lines} {first}. A label would not tell the two '
                'apart; rename or remove one.')
        checked.append(name)
    return checked


def unquoted(text: str) -> str:
    """Text without the quotes around it, if it is one quoted field."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            fields = next(csv.reader([text], strict=True))
        except csv.Error:
            return text
        if len(fields) == 1:
            return fields[0].strip()
    return text


# -- fields ------------------------------------------------------------------
# Nobody counts further, and int() refuses thousands of digits.
_WHOLE = re.compile(r'([+-]?[0-9]{1,40})(?:\.0*)?')
_WHOLE_COMMA = re.compile(r'([+-]?[0-9]{1,40})(?:[.,]0*)?')
_NUMBER = re.compile(
    r'[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?nan|'
    r'[+-]?inf(?:inity)?', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(
    r'[+-]?[0-9]+,[0-9]+(?:e[+-]?[0-9]+)?', re.IGNORECASE)
_INDEX_NAME = re.compile(r'unnamed:_[0-9]+(_level_[0-9]+)?|index|')
_SUFFIX = re.compile(r'[^/]\.[a-z][a-z0-9]{1,4}$', re.IGNORECASE)
_TRUE = ('true', '1', '1.0', 'yes')
_FALSE = ('false', '0', '0.0', 'no')


def whole_number(text: str, decimal_comma: bool = False) -> Optional[int]:
    """Return the whole number that a field holds, None if it holds none.

    ``3``, ``+3``, ``3.0`` and ``3.`` are 3; ``1e3``, ``1_000``, ``nan`` and
    digits of other scripts are none.

    Args:
        text (str): The field.
        decimal_comma (bool): Whether ``3,0`` is 3, too.
    """
    pattern = _WHOLE_COMMA if decimal_comma else _WHOLE
    match = pattern.fullmatch(text.strip())
    return None if match is None else int(match[1])


def number(text: str, decimal_comma: bool = False) -> Optional[float]:
    """Return the number that a field holds, None if it holds none.

    Args:
        text (str): The field; ``nan`` and ``inf`` are numbers.
        decimal_comma (bool): Whether ``0,5`` is 0.5, as in what a
            spreadsheet of many countries saves.
    """
    text = text.strip()
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(',', '.'))
    return float(text) if _NUMBER.fullmatch(text) else None


def flag(text: str) -> Optional[bool]:
    """Return what a yes-or-no field says, None if it says neither.

    Args:
        text (str): true, false, 1, 0, 1.0, 0.0, yes or no, in any letters.
    """
    text = text.strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def nearest(text: str, known: Sequence[str]) -> str:
    """Return a sentence that names the likeliest of some names.

    Args:
        text (str): What was found.
        known (Sequence[str]): What is known, at least one.
    """
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(text.strip().lower(), lower, n=1)
    listed = ', '.join(list(known)[:10]) + (', ...' if len(known) > 10 else '')
    guess = f'Did you mean {lower[found[0]]!r}? ' if found else ''
    return f'{guess}Known are {listed}.'


def class_index(text: str, classes: Sequence[str]) -> Optional[int]:
    """Return the position of a class name, None if it is unknown.

    Args:
        text (str): The name; letters may be of the other case if that is
            not the name of another class.
        classes (Sequence[str]): All names.
    """
    text = text.strip()
    for change in (str.strip, lambda name: name.strip().casefold()):
        found = [i for i, name in enumerate(classes)
                 if change(name) == change(text)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def native_path(path: str) -> str:
    """Return a path with the separators of this system.

    Args:
        path (str): A path as a list has it; backslashes separate folders.
    """
    return path.replace('\\', os.sep) if os.sep != '\\' else path


def path_key(path: str) -> str:
    """Return what all spellings of a path share.

    ``a.png``, ``./a.png``, ``d/../a.png``, ``d\\..\\a.png`` and ``.//a.png``
    are one path. Links are not followed, and nothing is looked up.

    Args:
        path (str): A path with either separator.
    """
    return posixpath.normpath(path.replace('\\', '/'))


def is_foreign_path(path: str) -> bool:
    """Whether this is an absolute Windows path on another system.

    Args:
        path (str): A path as a list has it.
    """
    return os.name != 'nt' and re.match(
        r'[A-Za-z]:[\\/]|\\\\', path) is not None


# -- rows --------------------------------------------------------------------
class Line(NamedTuple):
    """A line that holds something.

    Attributes:
        number (int): Its number in the file, from 1.
        text (str): Its text without white space around it.
        raw (str): Its text with it; tabs at an end are empty fields.
    """

    number: int
    text: str
    raw: str


def filled_lines(text: TextFile) -> List[Line]:
    """Return the lines of a file that are not blank.

    Args:
        text (TextFile): See :func:`read_text`.
    """
    lines = (Line(i, line.strip(), line)
             for i, line in enumerate(text.lines, 1))
    return [line for line in lines if line.text]


def split_fields(path: PathLike, lines: Sequence[Line],
                 separator: str) -> List[List[str]]:
    """Split lines into fields, by the rules of CSV.

    Args:
        path (str or os.PathLike): The file, for messages.
        lines (Sequence[Line]): Of one row each.
        separator (str): What stands between fields.

    Returns:
        list[list[str]]: Fields of each line, without white space around
        them.

    Raises:
        ValueError: A quote is not closed in its line, as in a field with a
            line break, or stands where none may stand.
    """
    tab = separator == '\t'
    reader = csv.reader(
        (line.raw if tab else line.text for line in lines),
        delimiter=separator, skipinitialspace=not tab, strict=True)
    rows: List[List[str]] = []
    try:
        for fields in reader:
            if reader.line_num > len(rows) + 1:
                break
            rows.append([field.strip() for field in fields])
    except csv.Error as error:
        if 'expected after' in str(error):
            line = lines[len(rows)]
            raise line_error(
                path, line.number, line.text,
                f'a {SEPARATORS[separator]} must follow a closing quote',
                'Put quotes around the whole field, and write a quote inside '
                'of it twice.') from None
        if 'limit' in str(error):
            line = lines[len(rows)]
            raise line_error(
                path, line.number, line.text,
                f'a field is longer than {csv.field_size_limit()} characters',
                'Is a quote missing at its end, or is this another kind of '
                'file?') from None
    if len(rows) < len(lines):
        line = lines[len(rows)]
        raise line_error(
            path, line.number, line.text,
            'a quote opens here that this line does not close, so a field '
            'would hold a line break',
            'Close the quote, or take the line break out of the field.')
    return rows


def column_key(name: str) -> str:
    """Return a column name in lower case with ``_`` between its words.

    Args:
        name (str): As a header has it.
    """
    return re.sub(r'[\s_-]+', '_', name.strip().lower())


class Header(NamedTuple):
    """Where the columns of a table are.

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


def match_columns(names: Sequence[str],
                  columns: Mapping[str, Sequence[str]]) -> Header:
    """Find known columns among the fields of a header.

    Args:
        names (Sequence[str]): The fields.
        columns (Mapping[str, Sequence[str]]): Names that each known column
            may have, in the form of :func:`column_key`.

    Raises:
        ValueError: Two fields have one name, or stand for one column. The
            message is for :func:`line_error`.
    """
    role = {alias: name for name, aliases in columns.items()
            for alias in aliases}
    keys = [column_key(name) for name in names]
    position: Dict[str, int] = {}
    for place, key in enumerate(keys):
        if key in role:
            first = position.setdefault(role[key], place)
            if first != place:
                raise ValueError(
                    f'the columns {names[first]!r} (number {first + 1}) and '
                    f'{names[place]!r} (number {place + 1}) are both '
                    f'{role[key]!r}')
        elif key and key in keys[:place]:
            raise ValueError(f'the column {names[place]!r} is there twice')
    index = 0 if (0 not in position.values() and keys
                  and _INDEX_NAME.fullmatch(keys[0])) else None
    others = [name for place, name in enumerate(names)
              if place != index and place not in position.values()]
    return Header(list(names), position, index, others)


@dataclass(frozen=True, eq=False)
class TextTable:
    """Rows of a table whose columns go by its header.

    Attributes:
        path (str): The file.
        separator (str): What stands between fields.
        header (Header): Where the columns are.
        lines (list[Line]): (N,) the rows as written.
        rows (list[list[str]]): (N,) fields of each row, as many as the
            header has.
        index (list[str], optional): (N,) the index column; None if there is
            none.
    """

    path: str
    separator: str
    header: Header
    lines: List[Line]
    rows: List[List[str]]
    index: Optional[List[str]]

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, name: str) -> bool:
        return name in self.header.position

    @property
    def decimal_comma(self) -> bool:
        """bool: Whether a comma can stand in a number."""
        return self.separator != ','

    def column(self, name: str) -> List[str]:
        """Return the fields of a known column, (N,).

        Args:
            name (str): One of ``columns`` of :func:`read_table`.
        """
        place = self.header.position[name]
        return [row[place] for row in self.rows]

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
        values = [read(text, self.decimal_comma)
                  for text in self.column(name)]
        if None in values:
            row = values.index(None)
            raise self.error(
                row, f'{name} is {self.column(name)[row]!r}, which is no '
                f'{wanted}', 'Correct the row.')
        return values

    def error(self, row: int, reason: str, way_out: str) -> ValueError:
        """Make the error for a row.

        Args:
            row (int): Its position, from 0.
            reason (str): What is wrong, without a full stop.
            way_out (str): One or more sentences on what to do.
        """
        line = self.lines[row]
        return line_error(self.path, line.number, line.text, reason, way_out)


def read_table(path: PathLike,
               columns: Mapping[str, Sequence[str]],
               kind: str,
               optional: Sequence[str] = (),
               others: bool = True,
               headless: Optional[Sequence[str]] = None) -> TextTable:
    """Read a table whose first line says what its columns are.

    Args:
        path (str or os.PathLike): The file.
        columns (Mapping[str, Sequence[str]]): Names that each column may
            have, in the form of :func:`column_key`.
        kind (str): What the file should be, for messages.
        optional (Sequence[str]): Columns that may be missing.
        others (bool): Whether unknown columns are passed over. Defaults to
            True; False: they are refused.
        headless (Sequence[str], optional): All columns in their order, of a
            table that may lack its header; known by its number of fields.

    Returns:
        TextTable: Its rows, at least none. Rows of separators alone are not
        in it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be decoded; it has no header of this kind, or
            one with a column twice; a row has too few or too many fields;
            see also :func:`split_fields`.
    """
    text = read_text(path, kind)
    lines = filled_lines(text)
    wanted = [name for name in columns if name not in optional]
    if not lines:
        raise ValueError(
            f'{text.path}: the file is empty ({text.size} bytes), so it has '
            f'no column {", ".join(wanted)}; it must be a {kind}.')
    lines, forced = _take_separator(lines)
    separator, header = _find_header(text.path, lines, columns, wanted, forced)
    start = 1
    if header is None and headless is not None and not _known_columns(
            _first_fields(lines[0], separator), columns):
        for tried in [forced] if forced else (',', ';', '\t'):
            fields = split_fields(text.path, lines[:1], tried)[0]
            if len(fields) == len(headless):
                separator, start = tried, 0
                header = match_columns(headless, columns)
                break
    if header is None:
        fields = _first_fields(lines[0], separator)
        found = _known_columns(fields, columns)
        missing = ', '.join(name for name in wanted if name not in found)
        raise line_error(
            text.path, lines[0].number, lines[0].text,
            f'the header has no column {missing}; split at every '
            f'{SEPARATORS[separator]}, its columns are '
            f'{", ".join(map(repr, fields))}', f'It must be a {kind}.')
    if header.others and not others:
        raise line_error(
            text.path, lines[0].number, lines[0].text,
            f'nothing is known of the column {header.others[0]!r}',
            f'A {kind} has the columns {", ".join(columns)}. Correct the '
            'name, or remove the column.')
    lines = lines[start:]
    rows = split_fields(text.path, lines, separator)
    # A row of separators alone is what spreadsheets leave of emptied rows.
    full = [i for i, row in enumerate(rows) if any(row)]
    lines, rows = [lines[i] for i in full], [rows[i] for i in full]
    needed = 1 + max(header.position[name] for name in wanted)
    rows, header = _fit_rows(text.path, lines, rows, separator, header,
                             needed if others else len(header.names))
    index = None
    if header.index is not None:
        index = [row[header.index] for row in rows]
        if header.index == -1:
            rows = [row[:-1] for row in rows]
    return TextTable(text.path, separator, header, lines, rows, index)


def _take_separator(
        lines: List[Line]) -> Tuple[List[Line], Optional[str]]:
    """Lines without Excel's ``sep=;``, and the separator that it states."""
    match = re.fullmatch(r'"?sep=(.)"?', lines[0].text, re.IGNORECASE)
    if match is None and lines[0].text.lower() == 'sep=' and len(lines) > 1:
        # The tab behind it is white space around the line.
        return lines[1:], '\t'
    if match is None or match[1] not in SEPARATORS or len(lines) < 2:
        return lines, None
    return lines[1:], match[1]


def _first_fields(line: Line, separator: str) -> List[str]:
    """Fields of a line, the empty ones at its end aside; [] if it has none."""
    try:
        fields = split_fields('', [line], separator)[0]
    except ValueError:
        return []
    while fields and not fields[-1]:
        fields.pop()
    return fields


def _known_columns(fields: Sequence[str],
                   columns: Mapping[str, Sequence[str]]) -> List[str]:
    """The columns that some fields of a header stand for."""
    keys = set(map(column_key, fields))
    return [name for name, aliases in columns.items()
            if keys.intersection(aliases)]


def _find_header(
        path: str, lines: Sequence[Line],
        columns: Mapping[str, Sequence[str]], wanted: Sequence[str],
        forced: Optional[str]) -> Tuple[str, Optional[Header]]:
    """The separator by which the first line is a header, and the header.

    Without a header, the separator by which the line has most fields.
    """
    candidates = [forced] if forced else [';', '\t', ',']
    if not forced and lines[0].text.startswith('"'):
        # As R writes tables.
        candidates.append(' ')
    fields = {s: _first_fields(lines[0], s) for s in candidates}
    found = {s: len(_known_columns(fields[s], columns)) for s in candidates}
    best = max(candidates, key=lambda s: (found[s], len(fields[s])))
    if not found[best]:
        # A row may have equal fields, a header may not.
        return best, None
    try:
        header = match_columns(fields[best], columns)
    except ValueError as error:
        raise line_error(
            path, lines[0].number, lines[0].text, str(error),
            'Give each column one name of its own, or remove one.') from None
    if all(name in header.position for name in wanted):
        return best, header
    return best, None


def _fit_rows(path: str, lines: Sequence[Line], rows: List[List[str]],
              separator: str, header: Header,
              needed: int) -> Tuple[List[List[str]], Header]:
    """Rows of the header's length; an index without a name goes last.

    Args:
        path, lines, rows, separator: The table.
        header (Header): Of it.
        needed (int): Fields that no row may lack; those behind may be left
            out where they are empty, as Excel does.
    """
    width = len(header.names)
    if header.index is None and rows and all(
            len(row) == width + 1 for row in rows) and is_index(
                [row[0] for row in rows]):
        return [[*row[1:], row[0]] for row in rows], header._replace(index=-1)
    fitted = []
    for line, row in zip(lines, rows):
        if not needed <= len(row) <= width:
            extra = row[width:]
            if len(row) < needed or any(extra):
                raise line_error(
                    path, line.number, line.text,
                    f'{len(row)} {SEPARATORS[separator]}-separated fields '
                    f'instead of {width}',
                    'Was the file copied completely? A field that holds a '
                    f'{SEPARATORS[separator]} is put in quotes.')
            row = row[:width]
        fitted.append(row + [''] * (width - len(row)))
    return fitted, header


def is_index(fields: Sequence[str]) -> bool:
    """Whether fields are what pandas or R number rows with.

    Args:
        fields (Sequence[str]): (N,) of a column.
    """
    values = [whole_number(field) for field in fields]
    return None not in values and len(set(values)) == len(values)


# -- lists of images ---------------------------------------------------------
class ListRow(NamedTuple):
    """A row of a list of images.

    Attributes:
        line (Line): As written.
        fields (list[str]): Image, then the values, whatever the order of
            the columns.
    """

    line: Line
    fields: List[str]


class ImageRows(NamedTuple):
    """A list of images as read; see :func:`read_list`.

    Attributes:
        file (TextFile): The file.
        rows (list[ListRow]): At least one.
        separator (str, optional): What stands between fields; None: white
            space.
    """

    file: TextFile
    rows: List[ListRow]
    separator: Optional[str]

    @property
    def decimal_comma(self) -> bool:
        """bool: Whether a comma can stand in a number."""
        return self.separator != ','


def read_list(path: PathLike,
              columns: Mapping[str, Sequence[str]],
              kind: str,
              example: str,
              too_short: Tuple[str, str],
              classes: Optional[Sequence[str]] = None,
              is_image: Optional[Callable[[str], bool]] = None) -> ImageRows:
    """Read a list of images with values, with or without a header.

    Fields are separated by semicolons, commas, tabs or white space, which is
    found from the first rows. Between white space, the values are the last
    fields, and the name of an image may contain spaces.

    A line that starts with ``#`` is a comment, unless ``is_image`` knows the
    image that the line would name as a row. Comments are counted, and one is
    named in the log. ``./#a.png 3`` is a row at any rate.

    Args:
        path (str or os.PathLike): The file.
        columns (Mapping[str, Sequence[str]]): Names that a header may have
            for the image and for each value, in this order.
        kind (str): What the file should be, for messages.
        example (str): What a row looks like, for messages.
        too_short (tuple[str, str]): What is wrong with a row that lacks
            values, and the way out, for messages.
        classes (Sequence[str], optional): Names that a value may be.
        is_image (Callable[[str], bool], optional): Whether an image of a
            name exists. Defaults to None: of no name that starts with ``#``.

    Returns:
        ImageRows: Its rows, and what was found.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be decoded; it has no rows; a header has
            unknown columns; a row has too few or too many fields; see also
            :func:`split_fields`.
    """
    text = read_text(path, kind)
    reader = _ListReader(text, columns, example, too_short, classes or (),
                         is_image or (lambda name: False))
    return reader.read()


class _ListReader:
    """See :func:`read_list`."""

    # Rows that are looked at to find the separator.
    num_tried = 50

    def __init__(self, text: TextFile, columns: Mapping[str, Sequence[str]],
                 example: str, too_short: Tuple[str, str],
                 classes: Sequence[str], is_image: Callable[[str], bool]):
        self.text = text
        self.columns = columns
        self.names = list(columns)
        self.count = len(columns) - 1
        self.example = example
        self.too_short = too_short
        self.is_image = is_image
        self.known = {name.strip().casefold() for name in classes}
        # The last word of a line is not the whole of these.
        self.spaced = [name for name in self.known if len(name.split()) > 1]
        self.separator: Optional[str] = None
        self.header: Optional[Header] = None

    def read(self) -> ImageRows:
        """Find the format, then split all rows by it."""
        lines = filled_lines(self.text)
        # Comments may stand above the header, so they do not tell the format.
        body = [line for line in lines if line.text[0] != '#'] or lines
        if not body:
            raise self._no_rows('no rows')
        first = body[0]
        body, forced = _take_separator(body)
        self._find_format(body, forced)
        left_out = {first.number} if forced else set()
        if self.header is not None:
            left_out.add(body[0].number)
        lines = [line for line in lines if line.number not in left_out]
        lines = self._without_comments(lines)
        if not lines:
            raise self._no_rows('no rows' if self.header is None else
                                'a header but no rows')
        rows = self._split_space(lines) if self.separator is None else \
            self._split_separator(lines)
        if self.header is None:
            self._check_first(rows)
        return ImageRows(self.text, rows, self.separator)

    # -- finding the format
    def _find_format(self, body: List[Line], forced: Optional[str]) -> None:
        """Set ``separator`` and ``header`` by the first rows."""
        words = [unquoted(word) for word in body[0].text.split()]
        if forced is None and len(words) == len(self.names):
            keys = [column_key(word) for word in words]
            roles = [next((name for name, aliases in self.columns.items()
                           if key in aliases), None) for key in keys]
            if sorted(map(str, roles)) == sorted(self.names) \
                    and '"' not in body[0].text and '\t' not in body[0].text:
                self.header = match_columns(words, self.columns)
                return
        separator, self.header = _find_header(
            self.text.path, body, self.columns, self.names, forced)
        if self.header is not None or forced:
            self.separator = separator
        else:
            self.separator = self._find_separator(body[:self.num_tried])
        if self.header is not None and self.header.others:
            raise line_error(
                self.text.path, body[0].number, body[0].text,
                f'nothing is known of the column {self.header.others[0]!r}',
                f'The columns of this list are '
                f'{known_columns(self.columns)}. Correct the name, or remove '
                'the column.')

    def _find_separator(self, body: Sequence[Line]) -> Optional[str]:
        """What separates the fields of rows without a header."""
        for line in body:
            for separator in (';', ','):
                fields = _first_fields(line, separator)
                if self._is_row(fields):
                    return separator
            if self._is_row(self._split_words(line)):
                return None
        for separator in (';', ','):
            if all(len(_first_fields(line, separator)) == len(self.names)
                   for line in body):
                return separator
        return None

    def _is_row(self, fields: Sequence[str]) -> bool:
        return len(fields) > self.count and all(
            map(self._is_value, fields[-self.count:]))

    def _is_value(self, field: str) -> bool:
        """Whether a field can be a value, be it a wrong one."""
        field = unquoted(field)
        if _DECIMAL_COMMA.fullmatch(field) or field.casefold() in self.known:
            return True
        try:
            # Looser than what is taken for a label, so that the message is
            # about the label.
            float(field)
        except ValueError:
            return False
        return True

    # -- rows
    def _without_comments(self, lines: List[Line]) -> List[Line]:
        """All lines but comments, which are reported."""
        kept, comments, likely = [], [], []
        for line in lines:
            if line.text[0] != '#':
                kept.append(line)
                continue
            fields = self._split_words(line) if self.separator is None else \
                _first_fields(line, self.separator)
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
                f'"#" are left out as comments, e.g. line {line.number}: '
                f'{line.text[:80]!r}. If that is the name of an image, write '
                '"./" before it.', 'current',
                level=logging.WARNING if likely else logging.INFO)
        return kept

    def _split_words(self, line: Line) -> List[str]:
        """Image and values of a line of white space."""
        text = line.text
        if self.count == 1:
            for name in self.spaced:
                start = len(text) - len(name)
                if (start > 1 and text[start - 1].isspace()
                        and text[start:].casefold() == name):
                    return [unquoted(text[:start].rstrip()), text[start:]]
        if self.header is None or self.header.position[self.names[0]] == 0:
            fields = text.rsplit(None, self.count)
        else:
            fields = text.split(None, self.count)
        return [unquoted(field) for field in fields]

    def _split_space(self, lines: Sequence[Line]) -> List[ListRow]:
        order = range(len(self.names)) if self.header is None else \
            [self.header.position[name] for name in self.names]
        rows = []
        for line in lines:
            fields = self._split_words(line)
            if len(fields) < len(self.names):
                raise line_error(self.text.path, line.number, line.text,
                                 *self.too_short)
            fields = [fields[place] for place in order]
            if '\t' in fields[0]:
                raise line_error(
                    self.text.path, line.number, line.text,
                    f'there are {len(line.text.split(chr(9)))} tab-separated '
                    f'fields instead of {len(self.names)}',
                    f'Keep {" and ".join(self.names)}, or name the columns '
                    'in a header.')
            rows.append(ListRow(line, fields))
        return rows

    def _split_separator(self, lines: Sequence[Line]) -> List[ListRow]:
        path, names = self.text.path, self.names
        header = self.header or match_columns(
            names, {name: [name] for name in names})
        fields = split_fields(path, lines, self.separator)
        full = [i for i, row in enumerate(fields) if any(row)]
        if not full:
            raise self._no_rows('no rows')
        lines = [lines[i] for i in full]
        fields, header = _fit_rows(
            path, lines, [fields[i] for i in full], self.separator, header,
            len(header.names))
        order = [header.position[name] for name in names]
        return [ListRow(line, [row[i] for i in order])
                for line, row in zip(lines, fields)]

    # -- messages
    def _check_first(self, rows: Sequence[ListRow]) -> None:
        """Raise if the first row seems to be a header that is unknown."""
        if len(rows) > 1 and not self._is_row(rows[0].fields) \
                and self._is_row(rows[1].fields):
            line, fields = rows[0]
            wrong = next(f for f in fields[1:] if not self._is_value(f))
            raise line_error(
                self.text.path, line.number, line.text,
                f'{wrong!r} is not an integer, as the next row has, nor the '
                'name of a class' if self.count == 1 else
                f'{wrong!r} is not a number, as the next row has',
                'If this line is a header, its columns are to be '
                f'{known_columns(self.columns)}, in any order. If it is a '
                'row, correct it.')

    def _no_rows(self, what: str) -> ValueError:
        return ValueError(
            f'{self.text.path}: the file has {what} ({self.text.size} '
            f'bytes). Expected lines such as {self.example}; was it copied '
            'completely?')


def has_suffix(path: str) -> bool:
    """Whether the name of a file has an ending, such as ``.jpg``.

    Args:
        path (str): A path with either separator.
    """
    return _SUFFIX.search(path_key(path)) is not None


def known_columns(columns: Mapping[str, Sequence[str]]) -> str:
    """Describe the names that columns may have, for a message.

    Args:
        columns (Mapping[str, Sequence[str]]): See :func:`read_list`.
    """
    return ' and '.join(
        f'{name} (or {", ".join(a for a in aliases if a and a != name)})'
        if len(aliases) > 1 else name for name, aliases in columns.items())
