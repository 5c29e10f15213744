"""Decoding of text files, whatever program has saved them.

- Encodings: UTF-8 with or without a byte order mark; UTF-16 and UTF-32 with
  one. Anything else is refused with file and line.
- Line ends: LF, CRLF, CR, or several of them in one file.

Files are read line by line: a table may have several hundred MB.
"""

import codecs
import io
import os
from typing import BinaryIO, Iterable, Iterator, List, NamedTuple, Union

import mmengine

PathLike = Union[str, os.PathLike]

# The marks of UTF-32 begin with those of UTF-16, so they come first.
_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
_NEWLINES = {None: 'LF', '\n': 'LF', '\r\n': 'CRLF', '\r': 'CR'}
_SAVE = (
    'Save it as UTF-8 ("CSV UTF-8" in Excel) and check that it is the file you meant.'
)


class Line(NamedTuple):
    """Line that holds something.

    Attributes:
        number (int): Its number in the file, from 1.
        text (str): Its text without white space around it.
        raw (str): Its text with it; tabs at an end are empty fields.
    """

    number: int
    text: str
    raw: str


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

    @property
    def filled(self) -> List[Line]:
        """list[Line]: The lines that are not blank."""
        return list(filled_lines(self.lines))


def line_error(
    path: PathLike, line: int, found: str, reason: str, way_out: str
) -> ValueError:
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
    return ValueError(f'{os.fspath(path)}, line {line}: {found!r}: {reason}. {way_out}')


def filled_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Number lines, and leave blank ones out.

    Args:
        lines (Iterable[str]): All lines of a file.
    """
    for number, raw in enumerate(lines, start=1):
        text = raw.strip()
        if text:
            yield Line(number, text, raw)


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
        ValueError: See :func:`iterate_lines`.
    """
    path = _existing(path, kind)
    with _open(path) as file, _decoded(file) as stream:
        lines = list(_checked(stream, path))
        found, size = stream.newlines, file.seek(0, os.SEEK_END)
    return TextFile(
        path=path,
        lines=[line.removesuffix('\n') for line in lines],
        newline='mixed' if isinstance(found, tuple) else _NEWLINES[found],
        final_newline=bool(lines) and lines[-1].endswith('\n'),
        size=size,
    )


def iterate_lines(path: PathLike, kind: str = 'file') -> Iterator[str]:
    """Iterate over the lines of a text file, without their ends.

    Args:
        path (str or os.PathLike): See :func:`read_text`.
        kind (str): What it should be, for messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Its bytes are not text in one of the encodings, or the
            text holds NUL characters or a second byte order mark. The
            message names file and line.
    """
    path = _existing(path, kind)
    with _open(path) as file, _decoded(file) as stream:
        for line in _checked(stream, path):
            yield line.removesuffix('\n')


def _existing(path: PathLike, kind: str) -> str:
    path = os.path.expanduser(os.fspath(path))
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(
            f'{path}: there is no such {kind}. Check the path; it is '
            f'relative to {os.getcwd()} unless it starts at the root.'
        )
    return path


def _open(path: str) -> BinaryIO:
    if '://' in path:
        return io.BytesIO(mmengine.fileio.get(path))
    return open(path, 'rb')


def _encoding(start: bytes) -> str:
    return next((name for mark, name in _MARKS if start.startswith(mark)), 'utf-8')


def _decoded(file: BinaryIO) -> io.TextIOWrapper:
    """Open the text of a file, with ``\\n`` for all ends of lines."""
    encoding = _encoding(file.read(4))
    file.seek(0)
    # Not splitlines(): it also splits at characters a name may contain.
    return io.TextIOWrapper(file, encoding, newline=None)


def _checked(lines: Iterable[str], path: str) -> Iterator[str]:
    """Lines as they are; what cannot be text raises."""
    try:
        for line in lines:
            if '\0' in line or '\ufeff' in line:
                raise _fault(path)
            yield line
    except UnicodeDecodeError:
        raise _fault(path) from None


def _fault(path: str) -> ValueError:
    """Make the error for a file that is no text: which line, and why."""
    # A decoder reads ahead, so the place is looked up in the whole file.
    with _open(path) as file:
        data = file.read()
    encoding = _encoding(data[:4])
    name = encoding.replace('-sig', '').upper()
    zero = data.find(b'\0')
    if zero >= 0 and name == 'UTF-8':
        line = _line_number(data[:zero].decode('latin-1'))
        return ValueError(
            f'{path}, line {line}: there is a zero byte, so this is UTF-16 '
            f'without its byte order mark, or no text at all. {_SAVE}'
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        # What precedes the error can be decoded.
        line = _line_number(data[: error.start].decode(encoding, 'ignore'))
        return ValueError(
            f'{path}, line {line}: byte {data[error.start]:#04x} is not '
            f'{name} text ({error.reason}). {_SAVE}'
        )
    place = min(i for i in (text.find('\0'), text.find('\ufeff'), len(text)) if i >= 0)
    what = (
        'a NUL character'
        if text[place : place + 1] == '\0'
        else 'a byte order mark inside the text'
    )
    return ValueError(
        f'{path}, line {_line_number(text[:place])}: there is {what}. Were '
        f'several files joined, or is this no text? {_SAVE}'
    )


def _line_number(before: str) -> int:
    """Number of the line in which a text ends, from 1."""
    return before.count('\n') + before.count('\r') - before.count('\r\n') + 1
