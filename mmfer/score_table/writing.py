"""Writing of score tables; only this module turns their numbers into text."""

import csv
import io
from typing import List, Mapping, Optional, Sequence

import numpy as np

from mmfer.utils.files import write_atomic

from .columns import CLASS_COLUMNS


def format_table(
    table: Mapping[str, np.ndarray], classes: Optional[Sequence[str]] = None
) -> bytes:
    r"""Format a table as CSV.

    Whole numbers are written as they are, other numbers with six digits. The
    column ``clean_label`` is always written. It is empty if the clean labels
    are not known.

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
    texts = {name: _column_texts(column) for name, column in table.items()}
    count = len(next(iter(texts.values())))
    clean = texts.pop('clean_label', [''] * count)
    named = {name: texts.pop(name) for name in CLASS_COLUMNS if name in texts}
    if classes is not None and list(classes) != [str(i) for i in range(len(classes))]:
        named = {
            name: [class_text(label, classes) for label in table[numbers].tolist()]
            for name, numbers in CLASS_COLUMNS.items()
        }
    texts.update(clean_label=clean, **named)
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(texts)
    writer.writerows(zip(*texts.values()))
    return text.getvalue().encode()


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
    """Return a column as text, (N,)."""
    values = np.asarray(column)
    if values.dtype.kind == 'f':
        return [f'{value:.6g}' for value in values.tolist()]
    if values.dtype.kind in 'iub':
        return [str(int(value)) for value in values.tolist()]
    return [str(value) for value in values.tolist()]


def class_text(label: int, classes: Sequence[str]) -> str:
    """Return the name of a class on one line; empty for no class.

    Args:
        label (int): The class. A number outside ``[0, len(classes))`` means no
            class.
        classes (Sequence[str]): Class names.
    """
    return ' '.join(classes[label].split()) if 0 <= label < len(classes) else ''
