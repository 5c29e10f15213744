"""Reading and writing of label lists: one image and one label per row."""

import os
from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

import numpy as np
from numpy.typing import ArrayLike

from mmfer.utils.files import write_atomic
from mmfer.utils.text_files import Line, PathLike, line_error
from mmfer.utils.text_lists import ImageRows, read_list
from mmfer.utils.text_tables import IMAGE_COLUMNS, LABEL_COLUMNS, join_listed, unquoted

from .formats import check_format, detect_format
from .images import base_name, check_native, check_unique
from .labels import first_class_index, parse_labels


@dataclass(frozen=True, eq=False)
class LabelList:
    """A label list as read from a file; see :func:`read_label_list`.

    Attributes:
        path (str): The file.
        names (tuple[str]): (N,) base names of the images, as written.
        paths (tuple[str]): (N,) paths of the images, as written.
        labels (np.ndarray): int64 (N,), in 0..num_classes - 1, even if the
            file counts classes from 1. Read-only; copy it to change it.
        num_classes (int): Number of classes.
        format (str): One of 'resup', 'eac', 'scn', 'jointgan', 'rafdb' and
            'plain'.
        label_base (int): First class index of the file, 0 or 1.
        newline (str): 'LF', 'CRLF', 'CR' or 'mixed'.
        final_newline (bool): Whether the last line ends with a newline.
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


def read_label_list(
    path: PathLike,
    num_classes: int,
    label_base: Optional[int] = None,
    format: Optional[str] = None,
    by_path: bool = False,
    classes: Optional[Sequence[str]] = None,
    root: Optional[str] = None,
) -> LabelList:
    """Read a list of images and labels, such as a published one for RAF-DB.

    A row has an image and a label, separated by white space, a comma, a
    semicolon or a tab. With white space, the label is the last field and the
    name may contain spaces. A header such as ``image,label`` or
    ``path,emotion`` says which column is which; names that contain a
    separator are quoted. Encodings, line ends, index columns and comments
    are handled by :func:`~mmfer.utils.text_lists.read_list`.

    - First class index: found from the labels. If a label is 0, they start
      at 0. If a label is ``num_classes``, they start at 1.
    - Format: found from the image names, the rows and the first class index,
      see :func:`~mmfer.datasets.lists.formats.detect_format`.

    Args:
        path (str or os.PathLike): The file.
        num_classes (int): Number of classes, e.g. 7 for RAF-DB.
        label_base (int, optional): First class index of the file, 0 or 1.
            Needed where it cannot be found.
        format (str, optional): One of ``FORMATS``, for a list whose format
            is detected wrongly. The class counts are checked for 'rafdb'
            all the same. Defaults to None: the format is detected.
        by_path (bool): Whether images are identified by their whole path
            instead of their base name, for images in several folders.
            ``./a``, ``d/../a`` and ``a`` are the same path. Defaults to False.
        classes (Sequence[str], optional): Class names, if labels may be
            names instead of numbers.
        root (str, optional): With ``by_path``, the folder that paths start
            from. A line that starts with ``#`` is then a row if the image
            that it names exists.

    Returns:
        LabelList: Names, 0-based labels, format and first class index.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty or not text; a header has unknown
            columns; a row cannot be parsed; a label is out of range or not a
            class name; an image appears twice; with ``by_path``, a path
            belongs to another system; the first class index is contradictory
            or ambiguous; or ``format`` does not fit. The message gives file,
            line, reason and a way out.
    """
    path = os.fspath(path)
    rows = _read_rows(path, classes, root)
    written, by_name = parse_labels(rows, num_classes, classes, label_base)
    lines = [row.line for row in rows.rows]
    paths = [row.fields[0] for row in rows.rows]
    names = [base_name(x) for x in paths]
    if by_path:
        check_native(path, lines, paths)
    check_unique(path, lines, paths if by_path else names, by_path, root)
    base = 0 if by_name else first_class_index(rows, written, num_classes, label_base)
    labels = np.array(written, dtype=np.int64) - base
    labels.flags.writeable = False
    if format is None:
        format = detect_format(path, paths, names, labels, num_classes, base)
    else:
        check_format(path, names, labels, num_classes, format)
    return LabelList(
        path=path,
        names=tuple(names),
        paths=tuple(paths),
        labels=labels,
        num_classes=num_classes,
        format=format,
        label_base=base,
        newline=rows.file.newline,
        final_newline=rows.file.final_newline,
        by_name=by_name,
    )


def _read_rows(
    path: str, classes: Optional[Sequence[str]], root: Optional[str]
) -> ImageRows:
    """Read the rows image and label; see :func:`read_label_list`."""
    return read_list(
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


def write_label_list(
    path: PathLike,
    names: Sequence[str],
    labels: ArrayLike,
    label_base: int = 0,
    by_path: bool = False,
) -> None:
    """Write a list that :func:`read_label_list` reads back unchanged.

    The file has one row ``image label`` per image in the given order, in
    UTF-8 with LF. With ``by_path``, ``./`` is written before a path that
    starts with ``#``. The file is written completely or not at all.

    If neither the first nor the last class occurs, the labels do not show the
    first class index. Such a list must be read with ``label_base=``.

    Args:
        path (str or os.PathLike): The file; replaced if it exists.
        names (Sequence[str]): (N,) images, N at least 1. Their base names
            (with ``by_path``, their paths) must differ.
        labels (array-like): (N,) 0-based class indices.
        label_base (int): Index of the first class in the file, 0 or 1.
            Defaults to 0.
        by_path (bool): See :func:`read_label_list`. Defaults to False.

    Raises:
        ValueError: There are no rows; the numbers of names and labels
            differ; labels are not integers of at least 0; ``label_base`` is
            neither 0 nor 1; or a name would not be read back unchanged.
    """
    path = os.fspath(path)
    array = np.asarray(labels)
    _check_written_labels(path, len(names), array, label_base)
    lines = []
    for row, (name, label) in enumerate(zip(names, array, strict=True), start=1):
        if by_path and name[:1] == '#':
            # This is the same path, but is not read as a comment.
            name = f'./{name}'
        text = f'{name} {int(label) + label_base}'
        line = Line(row, text, text)
        if not _is_read_back(name):
            raise line_error(
                path,
                line,
                f'the name {name!r} would not be read back: '
                'it is empty, has white space at an end, a line break or a '
                'tab, a "#" in front, quotes around it, or a comma or '
                'semicolon at the end',
                'Rename the image.',
            )
        lines.append(line)
    images = names if by_path else [base_name(name) for name in names]
    check_unique(path, lines, images, by_path)
    write_atomic(path, ''.join(f'{line.text}\n' for line in lines).encode())


def _check_written_labels(
    path: str, num_names: int, labels: np.ndarray, label_base: int
) -> None:
    """Refuse labels that :func:`write_label_list` cannot write."""
    if label_base not in (0, 1):
        raise ValueError(
            f'label_base={label_base!r} is neither 0 nor 1, the index that '
            'the first class gets in the file. Give one of the two.'
        )
    if labels.shape != (num_names,) or not num_names:
        raise ValueError(
            f'{path}: {num_names} names and labels of shape {labels.shape} '
            'do not make a list. Give one label for each name, and at least '
            'one row.'
        )
    if labels.dtype.kind not in 'iu' or labels.min() < 0:
        raise ValueError(
            f'{path}: labels have dtype {labels.dtype} and start at '
            f'{labels.min()}. Give 0-based class indices as integers; '
            'label_base says how they are written.'
        )


def _is_read_back(name: str) -> bool:
    """Return whether an image name is read back unchanged from a written row."""
    return not (
        not name
        or name != name.strip()
        or name[-1] in ',;'
        or any(x in name for x in '\n\r\t\0\ufeff')
        or unquoted(name) != name
        or name[0] == '#'
    )
