"""Reading of score tables, including those that a spreadsheet saved."""

from typing import Dict, Optional, Sequence

import numpy as np

from mmfer.utils.csv_cells import unguard_cell
from mmfer.utils.text_tables import (
    TextTable,
    class_index,
    column_key,
    parse_whole_number,
    read_table,
    suggest_name,
)

from .columns import CLASS_COLUMNS, COLUMNS, DECISIONS, FILE_NAME, ScoreTable

# Largest label that is read; it fits into int64.
_MAX_LABEL = 2**62


def read_columns(
    path: str,
    columns: Sequence[str] = COLUMNS,
    optional: Sequence[str] = (),
    others: str = 'skip',
    kind: str = FILE_NAME,
) -> TextTable:
    """Read columns of a score table as text.

    The table may also have been saved by a spreadsheet.

    Args:
        path (str): The table.
        columns (Sequence[str]): Columns that are needed. Defaults to
            :data:`COLUMNS`.
        optional (Sequence[str]): Columns that are read if they exist.
        others (str): What to do with further columns, see
            :func:`~mmfer.utils.text_tables.read_table`. Defaults to
            ``'skip'``.
        kind (str): What the file should be, for messages. Defaults to
            :data:`FILE_NAME`.

    Returns:
        TextTable: At least one row.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is no such table, or has no rows.
    """
    table = read_table(
        path, {name: [name] for name in (*columns, *optional)}, kind, optional, others
    )
    if not len(table):
        raise ValueError(
            f'{table.path}: the table has a header but no rows; it must be a '
            f'{kind}. Was it copied completely?'
        )
    return table


def read_score_table(path: str) -> ScoreTable:
    """Read all columns of a table.

    Args:
        path (str): The table.

    Returns:
        dict[str, np.ndarray]: Columns (N,) in the order of the file:
        ``sample_id``, ``given_label`` and ``suggested_label`` (int64),
        ``noise_score`` (float64), ``decision`` (str), ``clean_label`` (int64,
        only if every row has one), and all other columns as text.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is no such table, or a field cannot be read.
    """
    optional = ('image', 'clean_label')
    table = read_columns(
        path,
        [name for name in COLUMNS if name not in optional],
        optional,
        others='keep',
    )
    read: ScoreTable = dict(
        sample_id=np.array(table.whole_numbers('sample_id'), dtype=np.int64),
        given_label=read_label_column(table, 'given_label'),
        suggested_label=read_label_column(table, 'suggested_label'),
        noise_score=np.array(table.numbers('noise_score'), dtype=float),
        decision=read_decision_column(table),
    )
    clean = table.columns.get('clean_label', [''])
    if all(clean):
        read['clean_label'] = np.array(
            table.whole_numbers('clean_label'), dtype=np.int64
        )
    result: ScoreTable = {}
    for name, fields in table.others.items():
        # A header may differ in case: 'Sample_ID' is the column sample_id.
        key = column_key(name)
        if key in read:
            result[key] = read[key]
        elif key != 'clean_label':
            known = key == 'image' or key in CLASS_COLUMNS
            texts = list(map(unguard_cell, fields))
            result[key if known else unguard_cell(name)] = np.array(texts, dtype=object)
    return result


def read_decision_column(table: TextTable) -> np.ndarray:
    """Read the decisions of a table, in upper or lower case.

    Args:
        table (TextTable): The table.

    Returns:
        np.ndarray: str (N,), each one of :data:`DECISIONS`.

    Raises:
        ValueError: A field is none of them.
    """
    fields = table.columns['decision']
    known = {field: field.lower() for field in set(fields)}
    wrong = {field for field, decision in known.items() if decision not in DECISIONS}
    if wrong:
        row = next(row for row, field in enumerate(fields) if field in wrong)
        raise table.error(
            row,
            f'decision {fields[row]!r} is none of {", ".join(DECISIONS)}',
            'Write one of them.',
        )
    return np.array([known[field] for field in fields])


def read_label_column(
    table: TextTable, name: str, classes: Optional[Sequence[str]] = None
) -> np.ndarray:
    """Read a column of labels, given as numbers or as class names.

    Args:
        table (TextTable): The table.
        name (str): The column.
        classes (Sequence[str], optional): Class names. A number always counts
            as an index, even if a class has this number as its name.

    Returns:
        np.ndarray: int64 (N,); numbers as written, names as their indices.

    Raises:
        ValueError: A field is neither a whole number nor a class name.
    """
    fields = table.columns[name]
    # Parse each distinct field once: a table may have 10^5 rows.
    known: Dict[str, int] = {}
    for field in set(fields):
        value = parse_whole_number(field, table.decimal_comma)
        if value is not None and not -_MAX_LABEL <= value <= _MAX_LABEL:
            value = None
        elif value is None and classes is not None:
            value = class_index(field, classes)
        if value is not None:
            known[field] = value
    if len(known) < len(set(fields)):
        row = next(row for row, field in enumerate(fields) if field not in known)
        field = fields[row]
        raise table.error(
            row,
            f'{name} is {field!r}, which is no whole number'
            + ('' if classes is None else ' and no class'),
            'Correct the row.' if classes is None else suggest_name(field, classes),
        )
    return np.array([known[field] for field in fields], dtype=np.int64)
