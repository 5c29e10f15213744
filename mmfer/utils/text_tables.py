"""The one reader of text files: class names, lists and tables.

Whatever a person, a spreadsheet or another program has saved comes in here:

- Encodings: UTF-8 with or without a byte order mark; UTF-16 and UTF-32 with
  one. Anything else is refused with file and line.
- Line ends: LF, CRLF, CR, or several of them in one file.
- Every error names the file, the line, what was found and what is right.
"""
import codecs
import csv
import numbers
import os
from typing import List, NamedTuple, Optional, Sequence, Union

import mmengine

PathLike = Union[str, os.PathLike]

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
