"""Writing of score tables; only this module turns their numbers into text."""

import csv
import io
from typing import Iterable, List, Mapping, Optional, Sequence

import numpy as np

from mmfer.utils.csv_cells import guard_cell, guard_cells
from mmfer.utils.files import write_atomic

from .columns import CLASS_COLUMNS

# Number of rows that are formatted at a time.
_CHUNK = 8192


def format_table(
    table: Mapping[str, np.ndarray], classes: Optional[Sequence[str]] = None
) -> bytes:
    r"""Format a table as CSV.

    Whole numbers are written as they are, other numbers with six digits. The
    column ``clean_label`` is always written. It is empty if the clean labels
    are not known. A text that a spreadsheet would compute gets an apostrophe, see
    :func:`~mmfer.utils.csv_cells.guard_cell`.

    Args:
        table (Mapping[str, np.ndarray]): Columns (N,), in the order of the
            file.
        classes (Sequence[str], optional): Class names, for the columns
            ``given_class`` and ``suggested_class``. If there are no names, or
            only '0', '1', ..., these columns are not added. Columns that the
            table has already are written as they are.

    Returns:
        bytes: UTF-8, lines end with ``\n``.
    """
    columns = {name: np.asarray(column) for name, column in table.items()}
    names = [n for n in columns if n not in ('clean_label', *CLASS_COLUMNS)]
    named = [name for name in CLASS_COLUMNS if name in columns]
    numbered = classes is None or list(classes) == [str(i) for i in range(len(classes))]
    if not numbered:
        named = list(CLASS_COLUMNS)
    count = len(next(iter(columns.values())))
    parts = [_csv_rows([guard_cells([*names, 'clean_label', *named])])]
    # Texts of all rows at once would take ten times as much memory as the file.
    for start in range(0, count, _CHUNK):
        rows = slice(start, start + _CHUNK)
        texts = [_column_texts(columns[name][rows]) for name in names]
        if 'clean_label' in columns:
            texts.append(_column_texts(columns['clean_label'][rows]))
        else:
            texts.append([''] * len(texts[0]))
        texts += [
            _column_texts(columns[name][rows])
            if numbered
            else _class_texts(columns[CLASS_COLUMNS[name]][rows], classes or ())
            for name in named
        ]
        parts.append(_csv_rows(zip(*texts)))
    return b''.join(parts)


def _csv_rows(rows: Iterable[Sequence[str]]) -> bytes:
    """Format rows as CSV in UTF-8."""
    text = io.StringIO(newline='')
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue().encode()


def _class_texts(labels: np.ndarray, classes: Sequence[str]) -> List[str]:
    """Return the names of classes, (n,); see :func:`class_text`."""
    values = labels.tolist()
    names = {label: guard_cell(class_text(label, classes)) for label in set(values)}
    return [names[label] for label in values]


def write_score_table(
    path: str, table: Mapping[str, np.ndarray], classes: Optional[Sequence[str]] = None
) -> None:
    """Write a table as CSV; see :func:`format_table`.

    Args:
        path (str): The file; replaced if it exists.
        table (Mapping[str, np.ndarray]): Columns (N,).
        classes (Sequence[str], optional): Class names.
    """
    write_atomic(path, format_table(table, classes))


def _column_texts(column: np.ndarray) -> List[str]:
    """Return the values of a column as text, (n,)."""
    if column.dtype.kind == 'f':
        return [f'{value:.6g}' for value in column.tolist()]
    if column.dtype.kind in 'iub':
        return [str(int(value)) for value in column.tolist()]
    return guard_cells(list(map(str, column.tolist())))


def class_text(label: int, classes: Sequence[str]) -> str:
    """Return the name of a class on one line; empty for no class.

    Args:
        label (int): The class. A number outside ``[0, len(classes))`` means no
            class.
        classes (Sequence[str]): Class names.
    """
    return ' '.join(classes[label].split()) if 0 <= label < len(classes) else ''
