"""Changes of files: what editors, spreadsheets, disks and attackers do to them."""

import re
from typing import Callable, Dict, Iterator, List

from hypothesis import strategies as st

NUMBERS = (
    *('1e400', 'nan', '-inf', '-0', '0x10', '¹', '３', '٣', '½', '1_0', ' 3', '3 '),
    *('3.0', '3,0', '3.5', '-1', '+3', '03', '1e0', '1.000', '', '7', '8', '99'),
    *('1' + '0' * 30, '9' * 19, '-' + '9' * 19, '9' * 5000, '1' * 40, '2**3', 'True'),
)
PATHS = (
    *('../a.jpg', '/etc/a.jpg', '..\\a.jpg', 'C:\\a.jpg', '\\\\host\\a.jpg', 'a.jpg '),
    *('./a.jpg', 'd/../a.jpg', 'a\u0301.jpg', '\u00e1.jpg', '~/a.jpg', '\u202ea.jpg'),
    *('a' * 300 + '.jpg', 'nul', 'file://a.jpg', '.', '..', '/', 'a//b.jpg'),
)
TEXTS = (
    *('"', '""', "'", ',', ';', '\t', ' ', '#', '=1+1', '@', 'sep=;', 'sep=,', '\x0b'),
    *('\x1c', '\x85', '\u2028', '\xa0', '\u200b', '\ufeff', '\ufffd', '\x00', '\r'),
    *('image', 'label', 'image,label', '\x1b[31m', 'happiness', '[', '{', '-', '%s'),
)
JUNK = tuple(text.encode() for text in (*NUMBERS, *PATHS, *TEXTS))
SEPARATORS = (b',', b';', b'\t', b' ', b'|', b'  ', b', ')
_FIELD = re.compile(rb'[^,;\t \r\n]+')

Change = Callable[[bytes, int, int], bytes]


# -- bytes -----------------------------------------------------------------------
def _flip(data: bytes, where: int, what: int) -> bytes:
    if not data:
        return data
    place = where % len(data)
    return data[:place] + bytes([data[place] ^ (1 << what % 8)]) + data[place + 1 :]


def _overwrite(data: bytes, where: int, what: int) -> bytes:
    place = where % (len(data) + 1)
    new = (b'\xff' * 4, b'\0' * 4, b'\x7f\xff\xff\xff', b'\x80', bytes([what % 256]))
    part = new[what % len(new)]
    return data[:place] + part + data[place + len(part) :]


def _delete(data: bytes, where: int, what: int) -> bytes:
    place = where % (len(data) + 1)
    return data[:place] + data[place + 1 + what % 40 :]


def _repeat(data: bytes, where: int, what: int) -> bytes:
    place = where % (len(data) + 1)
    return data[: place + 1 + what % 40] + data[place:]


def _swap(data: bytes, where: int, what: int) -> bytes:
    first, second = sorted((where % (len(data) + 1), what % (len(data) + 1)))
    return data[second:] + data[first:second] + data[:first]


def _cut(data: bytes, where: int, what: int) -> bytes:
    return data[: where % (len(data) + 1)]


def _insert(data: bytes, where: int, what: int) -> bytes:
    place = where % (len(data) + 1)
    return data[:place] + JUNK[what % len(JUNK)] + data[place:]


def _zeros(data: bytes, where: int, what: int) -> bytes:
    place = where % (len(data) + 1)
    return data[:place] + bytes(1 + what % 64) + data[place + 1 + what % 64 :]


def _grow(data: bytes, where: int, what: int) -> bytes:
    place = where % (len(data) + 1)
    return data[:place] + data[place : place + 1] * (1 << what % 18) + data[place:]


BYTES: Dict[str, Change] = dict(
    flip=_flip,
    overwrite=_overwrite,
    delete=_delete,
    repeat=_repeat,
    swap=_swap,
    cut=_cut,
    insert=_insert,
    zeros=_zeros,
    grow=_grow,
)


# -- text ------------------------------------------------------------------------
def _with_lines(change: Callable[[List[bytes], int, int], List[bytes]]) -> Change:
    def changed(data: bytes, where: int, what: int) -> bytes:
        return b'\n'.join(change(data.split(b'\n'), where, what))

    return changed


def _double_line(lines: List[bytes], where: int, what: int) -> List[bytes]:
    place = where % len(lines)
    return [
        *lines[: what % (len(lines) + 1)],
        lines[place],
        *lines[what % len(lines) :],
    ]


def _remove_line(lines: List[bytes], where: int, what: int) -> List[bytes]:
    place = where % len(lines)
    return lines[:place] + lines[place + 1 :]


def _move_line(lines: List[bytes], where: int, what: int) -> List[bytes]:
    line = lines.pop(where % len(lines))
    lines.insert(what % (len(lines) + 1), line)
    return lines


def _split_line(lines: List[bytes], where: int, what: int) -> List[bytes]:
    place = where % len(lines)
    cut = what % (len(lines[place]) + 1)
    return [*lines[:place], lines[place][:cut], lines[place][cut:], *lines[place + 1 :]]


def _quote_line(lines: List[bytes], where: int, what: int) -> List[bytes]:
    place = where % len(lines)
    lines[place] = b'"' + lines[place] + (b'"' if what % 2 else b'')
    return lines


def _comment_line(lines: List[bytes], where: int, what: int) -> List[bytes]:
    place = where % len(lines)
    lines[place] = b'#' + lines[place]
    return lines


def _only_header(data: bytes, where: int, what: int) -> bytes:
    return data.split(b'\n')[0] + b'\n' * (what % 3)


def _separator(data: bytes, where: int, what: int) -> bytes:
    return data.replace(
        SEPARATORS[where % len(SEPARATORS)], SEPARATORS[what % len(SEPARATORS)]
    )


def _field(data: bytes, where: int, what: int) -> bytes:
    fields = list(_FIELD.finditer(data))
    if not fields:
        return data
    found = fields[where % len(fields)]
    return data[: found.start()] + JUNK[what % len(JUNK)] + data[found.end() :]


def _swap_fields(data: bytes, where: int, what: int) -> bytes:
    fields = list(_FIELD.finditer(data))
    if len(fields) < 2:
        return data
    a, b = sorted((where % len(fields), what % len(fields)))
    first, second = fields[a], fields[b]
    if a == b:
        return data
    return (
        data[: first.start()]
        + second.group()
        + data[first.end() : second.start()]
        + first.group()
        + data[second.end() :]
    )


def _quote_fields(data: bytes, where: int, what: int) -> bytes:
    return _FIELD.sub(rb'"\g<0>"', data)


def _huge_field(data: bytes, where: int, what: int) -> bytes:
    fields = list(_FIELD.finditer(data))
    if not fields:
        return data
    found = fields[where % len(fields)]
    length = (200, 5000, 130_000, 300_000)[what % 4]
    part = (found.group(), b'1', b'a', b'"', b' ', b'.', b'-')[what % 7]
    field = part * (length // len(part)) + (b'', b'x', b',5', b'-1')[where % 4]
    return data[: found.start()] + field + data[found.end() :]


def _line_ends(data: bytes, where: int, what: int) -> bytes:
    return data.replace(b'\n', (b'\r\n', b'\r', b'\n\r', b'\n\n', b'\r\r\n')[what % 5])


def _encode(data: bytes, where: int, what: int) -> bytes:
    names = ('utf-16', 'utf-8-sig', 'utf-16-le', 'latin-1', 'utf-32', 'cp1252')
    text = data.decode('utf-8', 'replace')
    return text.encode(names[what % len(names)], 'replace')


TEXT: Dict[str, Change] = dict(
    double_line=_with_lines(_double_line),
    remove_line=_with_lines(_remove_line),
    move_line=_with_lines(_move_line),
    split_line=_with_lines(_split_line),
    quote_line=_with_lines(_quote_line),
    comment_line=_with_lines(_comment_line),
    only_header=_only_header,
    separator=_separator,
    field=_field,
    other_field=_field,
    swap_fields=_swap_fields,
    quote_fields=_quote_fields,
    huge_field=_huge_field,
    line_ends=_line_ends,
    encode=_encode,
)


# Bytes of one change: its kind, a place and a value.
_SIZE = 9
MOST = 3
"""Largest number of changes of one file."""


def seeds(inputs: int) -> st.SearchStrategy:
    """Return a strategy of the bytes from which :func:`changed` takes its choices.

    Hypothesis draws one text of bytes much faster than many numbers.

    Args:
        inputs (int): Number of files to make of one content.
    """
    size = inputs * (1 + MOST * _SIZE)
    return st.binary(min_size=size, max_size=size)


def changed(data: bytes, text: bool, seed: bytes) -> Iterator[bytes]:
    """Yield files with one to three changes.

    Args:
        data (bytes): A valid file.
        text (bool): Whether it has lines of text.
        seed (bytes): See :func:`seeds`.
    """
    kinds = [*BYTES, *TEXT, 'field', 'field'] if text else list(BYTES)
    for start in range(0, len(seed), 1 + MOST * _SIZE):
        result = data
        for number in range(1 + seed[start] % MOST):
            place = start + 1 + number * _SIZE
            kind = kinds[seed[place] % len(kinds)]
            where = int.from_bytes(seed[place + 1 : place + 5], 'big')
            what = int.from_bytes(seed[place + 5 : place + 9], 'big')
            result = (BYTES.get(kind) or TEXT[kind])(result, where, what)
        yield result
