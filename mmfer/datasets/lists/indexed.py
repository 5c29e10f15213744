"""Reading of label lists whose images are numbered, as for CIFAR."""

import os.path as osp
import re
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log

from mmfer.utils.text_files import Line, clipped, line_error, read_text
from mmfer.utils.text_tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    class_index,
    known_columns,
    match_columns,
    parse_whole_number,
    split_fields,
    take_separator,
    unquoted,
)

INDEX_COLUMNS = (
    'index',
    'id',
    'sample_id',
    'image_id',
    'original_index',
    *IMAGE_COLUMNS,
)
"""Names that the column of image numbers may have."""

# No data set has a number of more digits, and int() refuses thousands of them.
_NUMBERED = re.compile(r'(?:\S*[/\\])?(?:train_|test_)?([0-9]{1,18})(?:\.[A-Za-z]+)?')


@dataclass(frozen=True)
class _IndexedLabel:
    """A row of an indexed label list.

    Attributes:
        where (str): File, line and text of the row, for messages.
        index (int, optional): Number of the image; None if the row has none.
        label (int): The label, 0-based.
    """

    where: str
    index: Optional[int]
    label: int


def image_number(name: str) -> Optional[int]:
    """Return the number in the name of an image; None if it is not numbered.

    ``12``, ``00012.jpg``, ``train/00012.jpg`` and ``train_00012`` all give 12.

    Args:
        name (str): Image name or path, with either separator.
    """
    match = _NUMBERED.fullmatch(name)
    return None if match is None else int(match[1])


def read_indexed_labels(
    path: str,
    count: int,
    num_classes: int,
    partial: bool = False,
    classes: Optional[Sequence[str]] = None,
) -> np.ndarray:
    """Read a list of labels for the numbered images of a split.

    The file has one label per line in the original order of the images, or
    rows ``index label`` in any order. In such rows:

    - the fields may be separated by a comma, a semicolon or a tab;
    - the index may be a numbered image name such as ``train_00012``;
    - the label may come first, if there is a header;
    - the line ``sep=;`` of a spreadsheet may come before the rows.

    Blank lines and lines that start with ``#`` are skipped. Labels and
    indices start at 0.

    Args:
        path (str): The file.
        count (int): Number of images N.
        num_classes (int): Number of classes.
        partial (bool): Whether some images may have no row. If True, every
            row needs an index. Defaults to False.
        classes (Sequence[str], optional): Class names, if labels may be
            names instead of numbers.

    Returns:
        np.ndarray: int64 (N,), in the original order; -1 where a partial
        list has no row.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not text; a row has another form; a label is
            out of range; or there is not exactly one label for each image.
    """
    rows = _read_rows(path, num_classes, classes)
    labels = np.full(count, -1, dtype=np.int64)
    for position, row in enumerate(rows):
        if (row.index is None) != (rows[0].index is None):
            raise ValueError(
                f'{row.where}: some rows have an index and others '
                'do not. Give all of them one, or none.'
            )
        index = position if row.index is None else row.index
        if index >= count:
            continue
        if labels[index] >= 0:
            raise ValueError(
                f'{row.where}: image {index} already has a label. '
                'Keep one row for each image.'
            )
        labels[index] = row.label
    if partial:
        _check_partial(path, rows, count)
    else:
        _check_complete(path, rows, labels)
    return labels


def _check_partial(path: str, rows: Sequence[_IndexedLabel], count: int) -> None:
    """Refuse a partial list without indices, or with an index out of range."""
    if not rows or rows[0].index is None:
        where = rows[0].where if rows else path
        raise ValueError(
            f'{where}: with partial_list, each row needs the index of its '
            'image, as in "12 6". Add it, or remove partial_list.'
        )
    for row in rows:
        if row.index is not None and row.index >= count:
            raise ValueError(
                f'{row.where}: there is no image {row.index}, because this split has '
                f'only {count}. Use a list that was made for this split.'
            )


def _check_complete(
    path: str, rows: Sequence[_IndexedLabel], labels: np.ndarray
) -> None:
    """Refuse a list unless it has exactly one label for each image."""
    missing = np.flatnonzero(labels < 0)
    if len(rows) != len(labels) or missing.size:
        first = f', none for image {missing[0]}' if missing.size else ''
        raise ValueError(
            f'{path} has {len(rows)} labels for {len(labels)} images{first}. '
            'Use the list that was made for all images of this split. If '
            'images were removed on purpose, e.g. by a cleaning, give each row '
            'an index and set partial_list=True.'
        )


def _read_rows(
    path: str, num_classes: int, classes: Optional[Sequence[str]]
) -> List[_IndexedLabel]:
    """Read the rows of a list and check each by itself."""
    lines, rows = _split_lines(path, _lines_without_comments(path))
    found = []
    for line, fields in zip(lines, rows):
        where = f'{path}, line {line.number}: {clipped(line.text)!r}'
        label = parse_whole_number(fields[-1])
        if label is None and classes is not None:
            label = class_index(fields[-1], classes)
        index = None
        if len(fields) == 2:
            index = parse_whole_number(fields[0])
            if index is None:
                index = image_number(fields[0])
        bad_index = len(fields) == 2 and (index is None or index < 0)
        if label is None or label < 0 or bad_index:
            raise ValueError(
                f'{where} is neither a label nor an index and a '
                'label, such as "12 6". Correct the row.'
            )
        if label >= num_classes:
            raise ValueError(
                f'{where}: the label is outside [0, {num_classes}). Labels '
                'here are 0-based; does the list count from 1?'
            )
        found.append(_IndexedLabel(where, index, label))
    return found


def _lines_without_comments(path: str) -> List[Line]:
    """Return the lines that are neither blank nor comments; log comments."""
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'noisy_list: there is no file {path!r}. Make it from a '
            'published CIFAR-N file with '
            'tools/dataset_converters/convert_cifar_n.py.'
        )
    try:
        filled = read_text(path, 'list of labels').filled
    except ValueError as error:
        raise ValueError(
            f'{path} is not a text file ({error}) Convert a published CIFAR-N '
            'file to text with tools/dataset_converters/convert_cifar_n.py.'
        ) from None
    lines = [line for line in filled if line.text[0] != '#']
    if len(lines) < len(filled):
        comment = next(line for line in filled if line.text[0] == '#')
        print_log(
            f'{path}: {len(filled) - len(lines)} line(s) that start with "#" '
            f'are skipped as comments, e.g. line {comment.number}: '
            f'{comment.text[:80]!r}.',
            'current',
        )
    return lines


def _split_lines(path: str, lines: List[Line]) -> Tuple[List[Line], List[List[str]]]:
    """Split lines into fields: a label, or an index and a label.

    Args:
        path (str): The file, for messages.
        lines (list[Line]): Its lines without comments.

    Returns:
        tuple[list[Line], list[list[str]]]: The lines that are rows, without
        the header and empty rows; and the fields of each row.
    """
    if not lines:
        return [], []
    lines, separator = take_separator(lines)
    if separator is None:
        separator = next((s for s in (';', '\t', ',') if s in lines[0].text), None)
    if separator is None:
        rows = [[unquoted(x) for x in line.text.split()] for line in lines]
    else:
        rows = split_fields(path, lines, separator)
    full = [i for i, row in enumerate(rows) if any(row)]
    lines = [lines[i] for i in full]
    rows = [rows[i] for i in full]
    for row in rows:
        # A spreadsheet leaves separators at the end of a row.
        while not row[-1]:
            row.pop()
    columns = dict(index=INDEX_COLUMNS, label=LABEL_COLUMNS)
    places: Optional[List[int]] = None
    width = 2
    if rows and 'label' in known_columns(rows[0], columns):
        places = _places_of_columns(path, lines[0], rows[0], columns)
        width = len(rows[0])
        lines, rows = lines[1:], rows[1:]
    for line, row in zip(lines, rows):
        if len(row) > width or places is not None and len(row) < width:
            raise line_error(
                path,
                line,
                f'there are {len(row)} fields instead of {width}',
                'A row must be a label, or an index and a label, such as "12 6".',
            )
    if places is not None:
        rows = [[row[place] for place in places] for row in rows]
    return lines, rows


def _places_of_columns(
    path: str, line: Line, names: List[str], columns: dict
) -> List[int]:
    """Return the places of index and label in a header; the index may be missing."""
    try:
        header = match_columns(names, columns)
    except ValueError as error:
        raise line_error(path, line, str(error), 'Keep one of the two.') from None
    if header.others:
        raise line_error(
            path,
            line,
            f'the column {header.others[0]!r} is unknown',
            'This list must have the column label, and may have one more '
            'column, index or image. Remove the other columns.',
        )
    index = header.position.get('index', header.index)
    label = header.position['label']
    return [label] if index is None else [index, label]
