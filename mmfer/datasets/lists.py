"""Reading and writing lists of image names and labels.

Noisy label lists for RAF-DB circulate in several shapes, differing in their
rows, in the first class index, in how they write a name and in how they end
a line. :func:`read_label_list` takes them all and says what it saw:

| `format` | rows | a row looks like | first index |
|---|---|---|---|
| 'rafdb' | train and test | `train_00001.jpg 5` | 1 |
| 'resup' | train and test | `train_00001.jpg 5` | 1 |
| 'jointgan' | train and test | `train_00001.jpg 5` | 1 |
| 'eac' | train | `train_00001.jpg 5` | 1 |
| 'scn' | train | `/any/where/train_00001_aligned.jpg 4` | 0 |
| 'plain' | any | `image label` or `image,label` | 0 or 1 |

Published lists that hold test rows hold *wrong* ones: ReSup's are flipped
like its train rows, the joint GAN's are a model's predictions. Test labels
are therefore only ever taken from RAF-DB's own list (format 'rafdb'), and
train rows are joined by name, never by position.
"""

import os
import re
import uuid
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mmfer.utils.text_files import Line, PathLike, line_error
from mmfer.utils.text_lists import ImageRows, read_list
from mmfer.utils.text_tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    class_index,
    is_foreign_path,
    is_number_like,
    join_listed,
    nearest,
    number,
    path_key,
    unquoted,
    whole_number,
)

FORMATS = ('resup', 'eac', 'scn', 'jointgan', 'rafdb', 'plain')

RAFDB_LIST_NAMES = ('list_patition_label.txt', 'list_partition_label.txt')
"""File name of RAF-DB's own list: as published, and spelt correctly."""

RAFDB_CLASS_COUNTS = dict(
    train=(1290, 281, 717, 4772, 1982, 705, 2524),
    test=(329, 74, 160, 1185, 478, 162, 680),
)
"""Images per class of RAF-DB (basic) in its own order: surprise, fear,
disgust, happiness, sadness, anger, neutral; 12,271 and 3,068 in all."""

_RAFDB_NAME = re.compile(r'((train|test)_[0-9]+)(?:_aligned)?(?:\.[A-Za-z]+)?')


@dataclass(frozen=True, eq=False)
class LabelList:
    """A label list as read from a file; see :func:`read_label_list`.

    Attributes:
        path (str): The file.
        names (tuple[str]): (N,) base names of the images, as written.
        paths (tuple[str]): (N,) the images as written, folders included.
        labels (np.ndarray): int64, (N,), in 0..num_classes - 1 whatever the
            file starts counting at. Read-only; copy it to change it.
        num_classes (int): Number of classes.
        format (str): One of 'resup', 'eac', 'scn', 'jointgan', 'rafdb' and
            'plain'.
        label_base (int): 0 or 1, the first class index in the file.
        newline (str): 'LF', 'CRLF', 'CR' or 'mixed'.
        final_newline (bool): Whether the last line is ended by one.
        by_name (bool): Whether the labels are written as class names;
            ``label_base`` is then 0.
    """

    path: str
    names: Tuple[str, ...]
    paths: Tuple[str, ...]
    labels: np.ndarray
    num_classes: int
    format: str
    label_base: int
    newline: str
    final_newline: bool
    by_name: bool = False

    def __len__(self) -> int:
        return len(self.names)


class VAList(NamedTuple):
    """Image names with valence and arousal; see :func:`read_va_list`.

    Attributes:
        names (tuple[str]): (N,) base names, as written.
        va (np.ndarray): float32, (N, 2), valence and arousal, not clipped.
    """

    names: Tuple[str, ...]
    va: np.ndarray

    @property
    def value_range(self) -> Tuple[float, float]:
        """tuple[float, float]: Smallest and largest value."""
        return float(self.va.min()), float(self.va.max())


def _base_name(path: str) -> str:
    """Base name of a path with either separator, on any system."""
    return re.split(r'[/\\]', path)[-1]


def _error(rows: ImageRows, row: int, reason: str, way_out: str) -> ValueError:
    """Make the error for a row: where, what, why, and what to do."""
    line = rows.rows[row].line
    return line_error(rows.file.path, line.number, line.text, reason, way_out)


def _parse_labels(
    rows: ImageRows,
    num_classes: int,
    classes: Optional[Sequence[str]],
    label_base: Optional[int],
) -> Tuple[List[int], bool]:
    """Labels as written, or by name, and whether they are by name."""
    fields = [row.fields[1] for row in rows.rows]
    labels = [whole_number(field, rows.decimal_comma) for field in fields]
    named = None
    if classes is not None:
        # Most lists have few different labels.
        known = {field: class_index(field, classes) for field in set(fields)}
        named = [known[field] for field in fields]
        if None not in named and _names_decide(rows, labels, classes, label_base):
            return named, True
    by_name = (
        classes is not None
        and None in labels
        and any(
            place is not None and label is None for place, label in zip(named, labels)
        )
    )
    if by_name:
        row = named.index(None)
        if labels[row] is not None:
            raise _error(
                rows,
                row,
                f'the label {fields[row]!r} is a number, and '
                'those of other rows are names of classes',
                'Write all labels as names, or all as numbers.',
            )
        raise _error(
            rows,
            row,
            f'the label {fields[row]!r} is not an integer, nor the name of a class',
            nearest(fields[row], classes),
        )
    for row, label in enumerate(labels):
        if label is None:
            _refuse_label(rows, row, fields[row], classes)
        if label < 0:
            raise _error(
                rows,
                row,
                f'the label {label} is negative',
                'Class indices start at 0 or 1; drop rows that have no label.',
            )
        if label > num_classes:
            raise _error(
                rows,
                row,
                f'the label {label} is out of range for {num_classes} classes',
                'Correct the row, or num_classes.',
            )
    return labels, False


def _refuse_label(
    rows: ImageRows, row: int, field: str, classes: Optional[Sequence[str]]
) -> None:
    """Raise the error for a label that is no whole number."""
    if is_number_like(field):
        raise _error(
            rows,
            row,
            f'the label {field!r} is not an integer',
            'The label is the last field of a row, a whole number such as 3 '
            'in the digits 0 to 9. (Valence and arousal are read by '
            'read_va_list.)',
        )
    if not field:
        way_out = 'Drop rows that have no label.'
    elif classes is None:
        way_out = (
            'Labels are numbers, unless the classes are named: '
            'classes=["...", ...] in ImageList.'
        )
    else:
        way_out = nearest(field, classes)
    raise _error(
        rows,
        row,
        f'the label {field!r} is not an integer'
        + ('' if classes is None else ', nor the name of a class'),
        way_out,
    )


def _names_decide(
    rows: ImageRows,
    labels: Sequence[Optional[int]],
    classes: Sequence[str],
    label_base: Optional[int],
) -> bool:
    """Return whether labels that all are class names are meant as names.

    Raises:
        ValueError: They are numbers, too, and mean other classes as such.
    """
    if None in labels:
        return True
    if label_base is not None:
        return False
    values = [whole_number(name) for name in classes]
    if None in values or values in (
        list(range(len(values))),
        list(range(1, len(values) + 1)),
    ):
        return True
    if max(labels) > len(classes) or min(labels) < 0:
        return True
    raise _error(
        rows,
        0,
        f'the label {labels[0]} is the name of a class as well as '
        f'the number of one, and the classes {", ".join(classes)} are not '
        'in the order of their numbers',
        'Say label_base=0 or label_base=1 if labels are numbers, or give '
        'the classes other names.',
    )


def _image_key(name: str) -> str:
    """What two rows must not share: RAF-DB's key, else the base name."""
    match = _RAFDB_NAME.fullmatch(name)
    return match.group(1) if match else name


def _check_native(path: str, lines: Sequence[Line], images: Sequence[str]) -> None:
    """Raise if a path starts at a drive that this system has not."""
    for line, image in zip(lines, images):
        if is_foreign_path(image):
            raise line_error(
                path,
                line.number,
                line.text,
                f'{image!r} is an absolute path of Windows, and this system '
                'has no drives',
                'Write the paths relative to data_prefix, e.g. '
                f'{_base_name(image)!r}; backslashes between folders do no '
                'harm.',
            )


def _check_unique(
    path: str,
    lines: Sequence[Line],
    names: Sequence[str],
    by_path: bool = False,
    root: Optional[str] = None,
) -> None:
    """Raise if two rows name the same image."""
    seen: Dict[str, int] = {}
    # A path below the root and the same one from the top are one image.
    root = (
        ''
        if root is None or not any(name.startswith('/') for name in names)
        else os.path.abspath(root)
    )
    for row, name in enumerate(names):
        if not name:
            raise line_error(
                path,
                lines[row].number,
                lines[row].text,
                'there is no image name before the label',
                'Drop the row, or name its image.',
            )
        key = path_key(os.path.join(root, name)) if by_path else _image_key(name)
        first = seen.setdefault(key, row)
        if first != row:
            raise line_error(
                path,
                lines[row].number,
                lines[row].text,
                f'the image {name!r} already has a label in line '
                f'{lines[first].number}: {lines[first].text!r}',
                'Keep one of the two rows'
                + (
                    f'; both name {key!r}.'
                    if by_path
                    else '; only the base name of a path counts.'
                ),
            )


def _detect_base(rows: ImageRows, labels: List[int], num_classes: int) -> int:
    """First class index of a file, 0 or 1, from the labels that occur."""
    has_zero, has_last = 0 in labels, num_classes in labels
    if has_zero and has_last:
        zero, last = labels.index(0), labels.index(num_classes)
        line = rows.rows[zero].line
        raise _error(
            rows,
            last,
            f'the label {num_classes} needs labels to start at 1, but line '
            f'{line.number}, {line.text!r}, has a 0: that '
            f'makes more than {num_classes} classes',
            'Correct one of the two rows, or num_classes.',
        )
    if not has_zero and not has_last:
        raise ValueError(
            f'{rows.file.path}: the labels span {min(labels)}..'
            f'{max(labels)}, which fits {num_classes} classes counted from 0 '
            'as well as from 1. Say which with label_base=0 or label_base=1.'
        )
    return 0 if has_zero else 1


def _check_base(
    rows: ImageRows, labels: List[int], num_classes: int, base: int
) -> None:
    """Raise if labels do not fit a first class index that was given."""
    if base not in (0, 1):
        raise ValueError(
            f'label_base={base!r} is neither 0 nor 1, the index that the '
            'first class has in the file. Leave it out to have it detected.'
        )
    excluded = 0 if base == 1 else num_classes
    if excluded in labels:
        raise _error(
            rows,
            labels.index(excluded),
            f'the label {excluded} is outside {base}..'
            f'{num_classes - 1 + base}, the range for {num_classes} classes '
            f'with label_base={base}',
            'Leave label_base out to have it detected, or correct the row.',
        )


def _rafdb_splits(names: List[str]) -> Optional[np.ndarray]:
    """(N,) 'train' or 'test' of RAF-DB image names; None if one is not."""
    matches = [_RAFDB_NAME.fullmatch(name) for name in names]
    if not all(matches):
        return None
    return np.array([match.group(2) for match in matches])


def _excess_over_rafdb(splits: np.ndarray, labels: np.ndarray, num_classes: int) -> int:
    """How many rows exceed RAF-DB's class counts; 0 for its own labels.

    Flipping labels keeps the number of rows but not the number in each
    class, so a noisy full list has some class with too many rows, whatever
    the file is called. Not defined for other than RAF-DB's 7 classes: 0.
    """
    if num_classes != 7:
        return 0
    excess = 0
    for split, counts in RAFDB_CLASS_COUNTS.items():
        found = np.bincount(labels[splits == split], minlength=7)
        excess += int(np.maximum(found - counts, 0).sum())
    return excess


def _detect_format(
    path: str,
    paths: List[str],
    names: List[str],
    labels: np.ndarray,
    num_classes: int,
    base: int,
) -> str:
    """Which of ``FORMATS`` a list has."""
    splits = _rafdb_splits(names)
    if splits is None:
        return 'plain'
    complete = len(names) == sum(map(sum, RAFDB_CLASS_COUNTS.values()))
    own_name = os.path.basename(path).lower() in RAFDB_LIST_NAMES
    if (own_name or (complete and num_classes == 7)) and not _excess_over_rafdb(
        splits, labels, num_classes
    ):
        return 'rafdb'
    if (splits == 'train').all():
        has_folder = any(x != y for x, y in zip(paths, names, strict=True))
        if base == 0 and has_folder:
            return 'scn'
        return 'eac' if base == 1 and not has_folder else 'plain'
    if base == 0:
        return 'plain'
    # The two differ in nothing but their labels; the published name tells.
    named = 'affectnetmodel' in os.path.basename(path).lower()
    return 'jointgan' if named else 'resup'


def _check_format(
    path: str, names: List[str], labels: np.ndarray, num_classes: int, format: str
) -> None:
    """Raise if a format that was given cannot be the one of the list."""
    if format not in FORMATS:
        raise ValueError(
            f'format={format!r} is none of {", ".join(FORMATS)}. Leave it '
            'out to have it detected.'
        )
    if format == 'plain':
        return
    splits = _rafdb_splits(names)
    if splits is None:
        other = next(x for x in names if not _RAFDB_NAME.fullmatch(x))
        raise ValueError(
            f'{path}: the image {other!r} is not named as in RAF-DB '
            f'(train_00001.jpg), so this is no {format!r} list. Leave '
            'format out to have it detected.'
        )
    excess = _excess_over_rafdb(splits, labels, num_classes)
    if format == 'rafdb' and excess:
        raise ValueError(
            f'{path}: {excess} rows are more than RAF-DB has of their '
            "class, so these are not RAF-DB's own labels. Give the list "
            'that came with the data set, EmoLabel/list_patition_label.txt.'
        )


def read_label_list(
    path: PathLike,
    num_classes: int,
    label_base: Optional[int] = None,
    format: Optional[str] = None,
    by_path: bool = False,
    classes: Optional[Sequence[str]] = None,
    root: Optional[str] = None,
) -> LabelList:
    """Read a label list: a published one of RAF-DB, or any plain one.

    A row is an image and a label, separated by white space (then the label
    is the last field and the name may contain spaces), a comma, a semicolon
    or a tab. A header such as ``image,label`` or ``path,emotion`` tells which
    column is which; a name with a separator in it is quoted. Encodings, line
    ends, index columns and comments are those of
    :func:`~mmfer.utils.text_lists.read_list`. Of a path only the base name
    counts, unless ``by_path``.

    The first class index is found from the labels: a 0 means that they
    start at 0, a ``num_classes`` that they start at 1.

    The format is found from the image names, the rows and the first class
    index (see the top of this module). RAF-DB's own list is known by its
    file name, or by being complete, and in either case by no class having
    more rows than it has in RAF-DB: a noisy list saved under the name of
    the original is not taken for it. The joint GAN's list is known by its
    file name (``list_label_AffectnetModel.txt``), as it looks like ReSup's.

    Args:
        path (str or os.PathLike): The file.
        num_classes (int): Number of classes, e.g. 7 for RAF-DB.
        label_base (int, optional): 0 or 1, the first class index in the
            file, for a list where it cannot be found.
        format (str, optional): One of ``FORMATS``, for a list where the
            detection is wrong; 'rafdb' still has to be plausible.
        by_path (bool): Tell images apart by their whole path, for a list
            of images in several folders. ``./a``, ``d/../a`` and ``a`` are
            one path. Default: False.
        classes (Sequence[str], optional): Names of the classes, which
            labels may be instead of numbers.
        root (str, optional): With ``by_path``, the folder that paths start
            from: a line that starts with ``#`` is then a row if the image
            that it names is there.

    Returns:
        LabelList: Names, 0-based labels, and what was found.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty or not text; a header has unknown columns; a
            row cannot be parsed; a label is negative, out of range or not
            the name of a class; an image appears twice; with ``by_path``, a
            path is one of another system; the first class index is
            contradictory or cannot be told; ``format`` does not fit. The
            message gives file, line, reason and a way out.
    """
    path = os.fspath(path)
    rows = read_list(
        path,
        dict(image=IMAGE_COLUMNS, label=LABEL_COLUMNS),
        'label list',
        '"train_00001.jpg 5"',
        (
            'there is no label after the image name',
            'A row is the image, a space and the label, e.g. "train_00001.jpg 5".',
        ),
        classes,
        None if root is None else lambda name: os.path.isfile(join_listed(root, name)),
    )
    labels, by_name = _parse_labels(rows, num_classes, classes, label_base)
    lines = [row.line for row in rows.rows]
    paths = [row.fields[0] for row in rows.rows]
    names = [_base_name(x) for x in paths]
    if by_path:
        _check_native(path, lines, paths)
    _check_unique(path, lines, paths if by_path else names, by_path, root)
    if by_name:
        label_base = 0
    elif label_base is None:
        label_base = _detect_base(rows, labels, num_classes)
    else:
        _check_base(rows, labels, num_classes, label_base)
    labels = np.array(labels, dtype=np.int64) - label_base
    labels.flags.writeable = False
    if format is None:
        format = _detect_format(path, paths, names, labels, num_classes, label_base)
    else:
        _check_format(path, names, labels, num_classes, format)
    return LabelList(
        path=path,
        names=tuple(names),
        paths=tuple(paths),
        labels=labels,
        num_classes=num_classes,
        format=format,
        label_base=label_base,
        newline=rows.file.newline,
        final_newline=rows.file.final_newline,
        by_name=by_name,
    )


def read_va_list(path: PathLike) -> VAList:
    """Read a valence-arousal list, such as the joint GAN's for RAF-DB.

    A row is ``train_00001.jpg -0.341 -0.129``: image, valence, arousal.

    Values are returned as written. They are a network's output and leave
    [-1, 1] (the published file spans about -1.09 to 1.23); the result's
    ``value_range`` gives the span. Who needs [-1, 1], as the joint GAN
    does, clips: ``np.clip(va, -1, 1)``. The published file has test rows
    too; they are predictions, nothing to evaluate on.

    Args:
        path (str or os.PathLike): The file.

    Returns:
        VAList: ``(names, va)``, base names and float32 (N, 2).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty or not text; a row cannot be parsed; a value
            is not finite; an image appears twice.
    """
    path = os.fspath(path)
    wrong = (
        'there are no two numbers after the image name',
        'A row is image, valence and arousal. (Lists of classes are '
        'read by read_label_list.)',
    )
    rows = read_list(
        path,
        dict(
            image=IMAGE_COLUMNS, valence=('valence', 'val'), arousal=('arousal', 'aro')
        ),
        'label list',
        '"train_00001.jpg -0.341 -0.129"',
        wrong,
    )
    names, values = [], []
    for position, row in enumerate(rows.rows):
        pair = [number(x, rows.decimal_comma) for x in row.fields[1:]]
        if None in pair:
            raise _error(rows, position, *wrong)
        if not np.isfinite(pair).all():
            raise _error(
                rows,
                position,
                'valence or arousal is not finite',
                'Drop rows that have no value.',
            )
        names.append(_base_name(row.fields[0]))
        values.append(pair)
    _check_unique(path, [row.line for row in rows.rows], names)
    return VAList(tuple(names), np.array(values, dtype=np.float32))


def rafdb_key(name: str) -> str:
    """The name that all lists of RAF-DB share for an image.

    ``train_00001.jpg``, ``train_00001_aligned.jpg`` and
    ``/some/where/aligned/train_00001_aligned.jpg`` all give
    ``train_00001``.

    Args:
        name (str): Image name or path, with either separator.

    Returns:
        str: ``train_`` or ``test_`` and the number as written.

    Raises:
        ValueError: It is not named as RAF-DB's images are.
    """
    match = _RAFDB_NAME.fullmatch(_base_name(name))
    if match is None:
        raise ValueError(
            f'{name!r} is not the name of a RAF-DB image. Expected e.g. '
            'train_00001.jpg, test_0001.jpg or train_00001_aligned.jpg.'
        )
    return match.group(1)


def rafdb_split_rows(label_list: LabelList, split: str) -> np.ndarray:
    """Rows of a RAF-DB list that belong to a split.

    Test rows are only given for RAF-DB's own list.

    Args:
        label_list (LabelList): A list of RAF-DB images.
        split (str): 'train' or 'test'.

    Returns:
        np.ndarray: int64, ascending indices into names and labels.

    Raises:
        ValueError: Another split; the list has images of other data sets;
            it has no rows of the split; or its test rows are asked for and
            it is not RAF-DB's own list.
    """
    if split not in ('train', 'test'):
        raise ValueError(
            f"split={split!r} is neither 'train' nor 'test', the two parts "
            'of RAF-DB. It has no validation part; make one from train.'
        )
    keys = [rafdb_key(name) for name in label_list.names]
    rows = np.flatnonzero([key.startswith(split) for key in keys])
    own = "Take test labels from RAF-DB's own list, EmoLabel/list_patition_label.txt."
    if not rows.size:
        raise ValueError(
            f'{label_list.path}: this {label_list.format!r} list of '
            f'{len(label_list)} rows has no {split} rows. '
            + (own if split == 'test' else 'Give a list that has them.')
        )
    if split == 'test' and label_list.format != 'rafdb':
        raise ValueError(
            f'{label_list.path}: the test rows of this '
            f'{label_list.format!r} list cannot be evaluated on. Published '
            'noisy lists have wrong labels there too (ReSup flips test rows '
            "at the rate of the train rows, the joint GAN's are a model's "
            f"predictions), so only RAF-DB's own labels are used. {own} It "
            'is known by its file name and by its class counts.'
        )
    return rows


def merge_rafdb_train_labels(
    clean: LabelList, noisy: LabelList, partial: bool = False
) -> np.ndarray:
    """Noisy labels for the train rows of RAF-DB's own list.

    Rows are joined by :func:`rafdb_key`, never by position. Test rows of
    the noisy list, if it has any, are not looked at.

    Args:
        clean (LabelList): RAF-DB's own list (format 'rafdb').
        noisy (LabelList): Any list of RAF-DB train images.
        partial (bool): It may lack some of them. Defaults to False.

    Returns:
        np.ndarray: int64, one noisy label for each row of
        ``rafdb_split_rows(clean, 'train')``, in that order; -1 of an image
        that a partial list lacks.

    Raises:
        ValueError: ``clean`` is not RAF-DB's own list; the numbers of
            classes differ; a train image of either list is missing in the
            other; or see :func:`rafdb_split_rows`.
    """
    if clean.format != 'rafdb':
        raise ValueError(
            f'{clean.path}: the clean list has format {clean.format!r}, it '
            "is not RAF-DB's own list. Give that one first, then the noisy "
            'one; read a copy under another name with '
            "read_label_list(..., format='rafdb')."
        )
    if clean.num_classes != noisy.num_classes:
        raise ValueError(
            f'{noisy.path} was read with {noisy.num_classes} classes, '
            f'{clean.path} with {clean.num_classes}. Read both with the '
            'same num_classes.'
        )
    wanted = [rafdb_key(clean.names[i]) for i in rafdb_split_rows(clean, 'train')]
    given = {
        rafdb_key(noisy.names[i]): noisy.labels[i]
        for i in rafdb_split_rows(noisy, 'train')
    }
    missing = [key for key in wanted if key not in given]
    if missing and not partial:
        raise ValueError(
            f'{noisy.path} has no label for {len(missing)} of {len(wanted)} '
            f'train images of {clean.path}: {_first_few(missing)}. Complete '
            'the list, or take one made for the same images. If it is to '
            'lack some, as one that was cleaned, say partial_list=True.'
        )
    unknown = sorted(set(given).difference(wanted))
    if unknown:
        raise ValueError(
            f'{noisy.path} has labels for {len(unknown)} train images that '
            f'{clean.path} does not have: {_first_few(unknown)}. Remove '
            'them, or take a list made for the same images.'
        )
    return np.array([given.get(key, -1) for key in wanted], dtype=np.int64)


def _first_few(names: List[str], count: int = 5) -> str:
    """The first few names, and a sign that there are more."""
    return ', '.join(names[:count]) + (', ...' if len(names) > count else '')


def _is_read_back(name: str) -> bool:
    """Return whether a row of white space gives back the name of an image."""
    return not (
        not name
        or name != name.strip()
        or name[-1] in ',;'
        or any(x in name for x in '\n\r\t\0\ufeff')
        or unquoted(name) != name
        or name[0] == '#'
    )


def write_label_list(
    path: PathLike,
    names: Sequence[str],
    labels: Sequence[int],
    label_base: int = 0,
    by_path: bool = False,
) -> None:
    """Write a list that :func:`read_label_list` reads back as it was.

    One row ``image label`` per image, UTF-8, LF, in the order given; with
    ``by_path``, a path that starts with ``#`` gets ``./`` in front. The
    file is complete or not there: rows go to a temporary file beside it,
    which then takes its place.

    A list that lacks the first and the last class is read back with
    ``label_base=``; nothing in it says where counting starts.

    Args:
        path (str or os.PathLike): The file; replaced if it exists.
        names (Sequence[str]): (N,) images, N at least 1; base names (or
            paths, with ``by_path``) differ.
        labels (array-like): (N,) 0-based class indices.
        label_base (int): What the file calls the first class, 0 or 1.
            Default: 0.
        by_path (bool): See :func:`read_label_list`. Default: False.

    Raises:
        ValueError: No rows; not one label per name; labels that are not
            integers of at least 0; ``label_base`` neither 0 nor 1; or a
            name that would not be read back as it is.
    """
    path = os.fspath(path)
    labels = np.asarray(labels)
    if label_base not in (0, 1):
        raise ValueError(
            f'label_base={label_base!r} is neither 0 nor 1, the index that '
            'the first class gets in the file.'
        )
    if labels.shape != (len(names),) or not len(names):
        raise ValueError(
            f'{path}: {len(names)} names and labels of shape {labels.shape} '
            'do not make a list. Give one label for each name, and at least '
            'one row.'
        )
    if labels.dtype.kind not in 'iu' or labels.min() < 0:
        raise ValueError(
            f'{path}: labels have dtype {labels.dtype} and start at '
            f'{labels.min()}. Give 0-based class indices as integers; '
            'label_base says how they are written.'
        )
    lines = []
    for row, (name, label) in enumerate(zip(names, labels, strict=True), start=1):
        if by_path and name[:1] == '#':
            # The same path, and no comment.
            name = f'./{name}'
        text = f'{name} {int(label) + label_base}'
        if not _is_read_back(name):
            raise line_error(
                path,
                row,
                text,
                f'the name {name!r} would not be read back: '
                'it is empty, has white space at an end, a line break or a '
                'tab, a "#" in front, quotes around it, or a comma or '
                'semicolon at the end',
                'Rename the image.',
            )
        lines.append(Line(row, text, text))
    if not by_path:
        names = [_base_name(name) for name in names]
    _check_unique(path, lines, names, by_path)
    # Beside the target: os.replace is atomic only within a file system.
    temporary = f'{path}.{uuid.uuid4().hex}.tmp'
    try:
        with open(temporary, 'x', encoding='utf-8', newline='\n') as file:
            file.writelines(f'{line.text}\n' for line in lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
