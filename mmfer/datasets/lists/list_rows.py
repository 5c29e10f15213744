"""Read a list of images and labels whose classes are not known."""

import csv
import os.path as osp
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mmfer.datasets.images import IMAGE_EXTENSIONS
from mmfer.utils.text_files import filled_lines, iterate_lines, read_text
from mmfer.utils.text_lists import read_list
from mmfer.utils.text_tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    class_index,
    column_key,
    find_header,
    parse_whole_number,
    path_key,
    read_table,
    suggest_name,
    take_separator,
)

COLUMNS = dict(image=IMAGE_COLUMNS, label=LABEL_COLUMNS)
# More classes than this, or than a share of the rows, are no classes.
MAX_CLASSES = 1000
MAX_SHARE = 0.5


class Rows(NamedTuple):
    """Rows of a list, (N,) each.

    Attributes:
        images (list[str]): Paths of the images, as written.
        labels (list[str]): Labels, as written.
        lines (list[int]): Line numbers.
        columns (dict[str, list[str]]): Further columns by name.
    """

    images: List[str]
    labels: List[str]
    lines: List[int]
    columns: Dict[str, List[str]]


class Repeats(NamedTuple):
    """Rows with an image that an earlier row has, too.

    Attributes:
        same (list[int]): Rows that say the same again.
        other (list[tuple[int, int]]): Rows with another label, and the earlier row.
    """

    same: List[int]
    other: List[Tuple[int, int]]


def read_rows(path: str) -> Rows:
    """Read a list with or without a header; further columns are kept.

    Args:
        path (str): The list, see :func:`~mmfer.datasets.lists.read_label_list`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no such list.
    """
    _refuse_unknown_header(path)
    if _has_header(path):
        table = read_table(path, COLUMNS, 'list of images and labels', others='keep')
        known = set(IMAGE_COLUMNS) | set(LABEL_COLUMNS)
        rows = Rows(
            table.columns['image'],
            table.columns['label'],
            table.line_numbers,
            {n: c for n, c in table.others.items() if column_key(n) not in known},
        )
        if not rows.images:
            raise ValueError(
                f'{path}: the list has a header but no rows. Was it copied completely?'
            )
        return rows
    found = read_list(
        path,
        COLUMNS,
        'list of images and labels',
        '"photo 1.jpg,happy"',
        (
            'there is no label after the image',
            'A row is the image, a comma and the label, e.g. "photo 1.jpg,happy".',
        ),
    )
    return Rows(
        [row.fields[0] for row in found.rows],
        [row.fields[1] for row in found.rows],
        [row.line.number for row in found.rows],
        {},
    )


def _refuse_unknown_header(path: str) -> None:
    """Refuse a first line with the names of columns that lacks the needed ones.

    Only the first line of such a list has no name of an image.

    Args:
        path (str): The list.

    Raises:
        ValueError: The message says how to rename the columns.
    """
    lines = [line.text for line in read_text(path, 'list of images and labels').filled]
    if len(lines) < 2:
        return
    separator = next((s for s in '\t;,' if s in lines[0]), None)
    if separator is None or separator not in lines[1]:
        return
    names, row = (next(csv.reader([line], delimiter=separator)) for line in lines[:2])
    keys = {column_key(name) for name in names}
    lacking = {
        kind: known
        for kind, known in (('image', IMAGE_COLUMNS), ('label', LABEL_COLUMNS))
        if keys.isdisjoint(known)
    }
    if not lacking or any(map(_is_image, names)) or not any(map(_is_image, row)):
        return
    header = ', '.join(names)
    if len(lacking) == 2:
        found = f'no column of this header ({header}) is known'
    else:
        found = f'this header ({header}) has no known column of the {min(lacking)}s'
    renames = ' and '.join(f'that of the {kind}s to "{kind}"' for kind in lacking)
    raise ValueError(
        f'{path}, line 1: {found}. Rename {renames}. Other columns, such as '
        'persons, may stay.'
    )


def _is_image(field: str) -> bool:
    """Return whether a field has the form of the name of an image."""
    return field.strip().lower().endswith(IMAGE_EXTENSIONS)


def _has_header(path: str) -> bool:
    """Return whether the first line names the columns of image and label."""
    # Undecodable and missing files get their messages here.
    read_text(path, 'list of images and labels')
    lines = filled_lines(iterate_lines(path, 'list of images and labels'))
    first = [line for _, line in zip(range(2), lines)]
    if not first:
        return False
    first, stated = take_separator(first)
    return bool(first) and (
        find_header(path, first[0], COLUMNS, ['image', 'label'], stated)[1] is not None
    )


def guess_classes(rows: Rows, path: str) -> List[str]:
    """Return the names of the classes that the labels of a list show.

    Whole numbers stay in their order, and numbers between them that no row has are
    classes, too. Names are sorted; those that differ only in case are one class.

    Args:
        rows (Rows): The list.
        path (str): Its file, for messages.

    Raises:
        ValueError: A row has no label; or there are one class or too many classes.
    """
    for label, line in zip(rows.labels, rows.lines):
        if not label.strip():
            raise ValueError(
                f'{path}, line {line}: there is no label. Complete or remove the row.'
            )
    numbers = {parse_whole_number(label) for label in set(rows.labels)}
    if None in numbers:
        spellings: Dict[str, str] = {}
        for label in rows.labels:
            name = ' '.join(label.split())
            spellings.setdefault(name.casefold(), name)
        different = len(spellings)
        classes = sorted(spellings.values(), key=str.casefold)
    else:
        found = sorted(number for number in numbers if number is not None)
        different = len(found)
        # A list that counts from 0 or 1 may lack a class in between.
        dense = found[0] in (0, 1) and found[-1] - found[0] < 2 * len(found)
        whole = range(found[0], found[-1] + 1) if dense else found
        classes = [str(number) for number in whole]
    if len(classes) == 1:
        raise ValueError(
            f'{path}: all rows have the label {classes[0]!r}. Wrong labels are found '
            'by comparing classes, so at least two are needed.'
        )
    if different > min(MAX_CLASSES, max(2, MAX_SHARE * len(rows.labels))):
        raise ValueError(
            f'{path}: the {len(rows.labels)} rows have {different} different labels, '
            f'such as {rows.labels[0]!r} and {rows.labels[-1]!r}. Is this the column '
            'of the labels? Name it "label" in a header.'
        )
    return classes


def label_indices(rows: Rows, classes: Sequence[str], path: str) -> np.ndarray:
    """Return the labels of a list as positions in a list of classes, int64 (N,).

    Args:
        rows (Rows): The list.
        classes (Sequence[str]): Names of the classes. If none of the labels is a
            name, whole numbers count the classes from 0, or from 1 if no label is 0.
        path (str): File of the list, for messages.

    Raises:
        ValueError: A label is no class.
    """
    texts = {label: ' '.join(label.split()) for label in set(rows.labels)}
    index: Dict[str, Optional[int]] = {
        label: class_index(text, classes) for label, text in texts.items()
    }
    if all(place is None for place in index.values()):
        numbers = {label: parse_whole_number(text) for label, text in texts.items()}
        if None not in numbers.values():
            values = [n for n in numbers.values() if n is not None]
            base = 0 if min(values) == 0 else 1
            index = {
                label: n - base
                if n is not None and 0 <= n - base < len(classes)
                else None
                for label, n in numbers.items()
            }
    else:
        for label, place in index.items():
            number = parse_whole_number(label)
            if place is None and number is not None:
                index[label] = class_index(str(number), classes)
    for label, line in zip(rows.labels, rows.lines):
        if index[label] is None:
            raise ValueError(
                f'{path}, line {line}: the label {label!r} is none of the classes. '
                + suggest_name(label, classes)
            )
    return np.array([index[label] for label in rows.labels], dtype=np.int64)


def find_repeats(images: Sequence[str], labels: np.ndarray, root: str) -> Repeats:
    """Find rows with an image that an earlier row has, too.

    Args:
        images (Sequence[str]): Paths as written, (N,).
        labels (np.ndarray): Labels, (N,).
        root (str): Folder that relative paths start from.
    """
    first: Dict[str, int] = {}
    same: List[int] = []
    other: List[Tuple[int, int]] = []
    for row, image in enumerate(images):
        before = first.setdefault(path_key(osp.join(root, image)), row)
        if before == row:
            continue
        if labels[before] == labels[row]:
            same.append(row)
        else:
            other.append((row, before))
    return Repeats(same, other)
