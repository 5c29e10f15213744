"""Reading of text files in any common encoding and with any line ends.

- Encodings: UTF-8 with or without a byte order mark; UTF-16 and UTF-32 with
  one. Anything else is refused; the message names file and line.
- Line ends: LF, CRLF, CR, or several of them in one file.

Files are read line by line, because a table may have several hundred MB.
"""

import codecs
import io
import os
from typing import BinaryIO, Iterable, Iterator, List, NamedTuple, Union

import mmengine

PathLike = Union[str, os.PathLike]

# The UTF-32 marks begin with the UTF-16 marks, so they must come first.
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
    """Line of a file that is not blank.

    Attributes:
        number (int): Line number in the file, from 1.
        text (str): Text without leading and trailing white space.
        raw (str): Text as written. A tab at the start or the end of a line
            belongs to an empty field, so it must not be removed.
    """

    number: int
    text: str
    raw: str


class TextFile(NamedTuple):
    """A decoded text file.

    Attributes:
        path (str): The file.
        lines (list[str]): Its lines without line ends; line number i + 1 is
            at index i. If the file ends with a line end, no empty line
            follows it.
        newline (str): ``'LF'``, ``'CRLF'``, ``'CR'`` or ``'mixed'``.
        final_newline (bool): Whether the last line has a line end.
        size (int): Number of bytes of the file.
    """

    path: str
    lines: List[str]
    newline: str
    final_newline: bool
    size: int

    @property
    def filled(self) -> List[Line]:
        """Lines that are not blank."""
        return list(filled_lines(self.lines))


def clipped(text: str, most: int = 200) -> str:
    """Return a text without its middle if it is too long for a message.

    A field of a damaged file may have 100,000 characters.

    Args:
        text (str): Text from a file.
        most (int): Number of characters that are kept. Defaults to 200.
    """
    if len(text) <= most:
        return text
    end = most // 4
    return f'{text[: most - end]} ... {text[-end:]}'


def line_error(path: PathLike, line: Line, reason: str, way_out: str) -> ValueError:
    """Make the error for one line of a file.

    Args:
        path (str or os.PathLike): The file.
        line (Line): The line.
        reason (str): What is wrong with it, without a full stop.
        way_out (str): One or more sentences on what to do.
    """
    return ValueError(
        f'{os.fspath(path)}, line {line.number}: {clipped(line.text)!r}: '
        f'{clipped(reason, 800)}. {clipped(way_out, 1600)}'
    )


def filled_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Yield the lines of a file that are not blank, with their numbers.

    Args:
        lines (Iterable[str]): All lines of a file.

    Yields:
        Line: Each line that is not blank.
    """
    for number, raw in enumerate(lines, start=1):
        text = raw.strip()
        if text:
            yield Line(number, text, raw)


def read_text(path: PathLike, kind: str = 'file') -> TextFile:
    """Read a whole text file in any of the supported encodings.

    Args:
        path (str or os.PathLike): The file, or an address that one of
            mmengine's file backends reads.
        kind (str): Kind of the file, for messages, e.g. 'label list'.

    Returns:
        TextFile: Its lines, line ends and size.

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
        kind (str): Kind of the file, for messages.

    Yields:
        str: Each line, blank ones included.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Its bytes are not text in one of the encodings, or the
            text contains NUL characters or a second byte order mark. The
            message names file and line.
    """
    path = _existing(path, kind)
    with _open(path) as file, _decoded(file) as stream:
        for line in _checked(stream, path):
            yield line.removesuffix('\n')


def _existing(path: PathLike, kind: str) -> str:
    """Return a path with ``~`` expanded; raise an error if no file is there."""
    path = os.path.expanduser(os.fspath(path))
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(
            f'{path}: there is no such {kind}. Check the path; unless it is '
            f'absolute, it is relative to {os.getcwd()}.'
        )
    return path


def _open(path: str) -> BinaryIO:
    """Open a file or an address that one of mmengine's file backends reads."""
    if '://' in path:
        return io.BytesIO(mmengine.fileio.get(path))
    return open(path, 'rb')


def _encoding(start: bytes) -> str:
    """Return the encoding of a file, found from its first four bytes."""
    return next((name for mark, name in _MARKS if start.startswith(mark)), 'utf-8')


def _decoded(file: BinaryIO) -> io.TextIOWrapper:
    """Decode a file; every line end becomes ``\\n``."""
    encoding = _encoding(file.read(4))
    file.seek(0)
    # str.splitlines would also split at characters that a name may contain.
    return io.TextIOWrapper(file, encoding, newline=None)


def _checked(lines: Iterable[str], path: str) -> Iterator[str]:
    """Yield the lines unchanged; raise ValueError if the file is not text."""
    try:
        for line in lines:
            if '\0' in line or '\ufeff' in line:
                raise _fault(path)
            yield line
    except UnicodeDecodeError:
        raise _fault(path) from None


def _fault(path: str) -> ValueError:
    """Make the error for a file that is not text, with line and reason."""
    # The decoder reads ahead, so it does not tell the line. Search the whole file.
    with _open(path) as file:
        data = file.read()
    encoding = _encoding(data[:4])
    name = encoding.replace('-sig', '').upper()
    zero = data.find(b'\0')
    if zero >= 0 and name == 'UTF-8':
        line = _line_number(data[:zero].decode('latin-1'))
        return ValueError(
            f'{path}, line {line}: there is a zero byte, so this is UTF-16 '
            f'without its byte order mark, or not text at all. {_SAVE}'
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        # The bytes before the error can be decoded.
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
        f'several files joined, or is this not text? {_SAVE}'
    )


def _line_number(before: str) -> int:
    """Return the number of the line in which a text ends, from 1."""
    return before.count('\n') + before.count('\r') - before.count('\r\n') + 1
