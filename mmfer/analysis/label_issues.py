"""Convert between cleanlab's tables of label issues and sample-score tables.

cleanlab has one row for each sample, in the order of the data set (here by
ascending ``sample_id``)::

    is_label_issue, label_score, given_label, predicted_label

as ``Datalab.get_issues('label')`` returns them. ``CleanLearning.get_label_issues``
calls the second column ``label_quality``. If the table has the index column that
pandas writes, under any name, this column gives the sample of each row.
"""

import csv
import io
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import ScoreTable
from mmfer.utils.text_tables import (
    TextTable,
    class_index,
    column_key,
    parse_flag,
    parse_whole_number,
    read_table,
    suggest_name,
)

QUALITY = ('label_score', 'label_quality')
"""Names of cleanlab's score column; a small score marks an issue."""

COLUMNS = dict(
    is_label_issue=['is_label_issue'],
    label_score=list(QUALITY),
    given_label=['given_label'],
    predicted_label=['predicted_label'],
)
"""Columns of cleanlab's tables, with all names that each may have."""


def to_label_issues(table: Mapping[str, np.ndarray]) -> bytes:
    r"""Format a sample-score table as cleanlab's table of label issues.

    A sample is an issue if its decision is not ``keep``. Its score is one
    minus ``noise_score``.

    Args:
        table (Mapping[str, np.ndarray]): Columns (N,); see
            :func:`~mmfer.score_table.read_score_table`.

    Returns:
        bytes: CSV in UTF-8; lines end with ``\n``.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(
        ['', 'is_label_issue', QUALITY[0], 'given_label', 'predicted_label']
    )
    order = table['sample_id'].argsort(kind='stable')
    columns = [
        (table['decision'][order] != 'keep').tolist(),
        [f'{1 - score:.6g}' for score in table['noise_score'][order].tolist()],
        table['given_label'][order].tolist(),
        table['suggested_label'][order].tolist(),
    ]
    writer.writerows(zip(range(len(order)), *columns))
    return text.getvalue().encode()


def from_label_issues(
    path: str, dataset: FERDataset, decision: str = 'drop'
) -> ScoreTable:
    """Read cleanlab's table as a score table, for ``decisions`` of a data set.

    Args:
        path (str): CSV file of cleanlab's table (``issues.to_csv(path)``). If it
            has the index column, its rows may be in any order.
        dataset (FERDataset): Data set that cleanlab examined, with the same
            samples in the same order, and the same labels.
        decision (str): Decision about issues: ``'drop'``, or ``'relabel'`` to the
            predicted label. Defaults to ``'drop'``.

    Returns:
        dict[str, np.ndarray]: Columns of a sample-score table, (N,) by
        ascending ``sample_id``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not such a table, has other samples, or has a
            row in which ``is_label_issue`` is neither true nor false.
    """
    table = read_table(
        path,
        COLUMNS,
        "table of cleanlab's label issues, written by issues.to_csv(path)",
        others='keep',
    )
    ids = np.sort(dataset.sample_ids)
    if len(table) != len(ids):
        raise ValueError(
            f'{path} has {len(table)} rows, but the data set has {len(ids)} '
            'samples. Name a table of the whole data set, and the config from '
            'which it was made.'
        )
    order = np.array(_row_order(table))
    own = dataset.given_labels[ids].tolist()
    given, predicted = _read_labels(
        table, order.tolist(), own, list(dataset.metainfo['classes'])
    )
    issue = _read_flags(table)[order]
    given, predicted = given[order], predicted[order]
    # Relabelling a sample with its given label would change nothing.
    change = issue & ((decision == 'drop') | (predicted != given))
    return dict(
        sample_id=ids,
        image=np.array(dataset.image_names(ids), dtype=object),
        given_label=given,
        candidate=issue,
        noise_score=1 - np.array(table.numbers('label_score'))[order],
        suggested_label=predicted,
        decision=np.where(change, decision, 'keep'),
    )


def _read_flags(table: TextTable) -> np.ndarray:
    """Return which rows are issues, bool (N,).

    Args:
        table (TextTable): Table of cleanlab.

    Raises:
        ValueError: A field is neither true nor false.
    """
    flags = [parse_flag(text) for text in table.columns['is_label_issue']]
    if None in flags:
        row = flags.index(None)
        raise table.error(
            row,
            f'is_label_issue is '
            f'{table.columns["is_label_issue"][row]!r}, which is neither true '
            'nor false',
            'Write True or False (also 1 or 0, yes or no), as '
            'cleanlab does. A spreadsheet program may have translated these words '
            'into another language.',
        )
    return np.array(flags, dtype=bool)


def _row_order(table: TextTable) -> List[int]:
    """Return the row of each sample, from the index column if there is one."""
    index = table.index or _named_index(table)
    if index is None:
        return list(range(len(table)))
    row_of: Dict[int, int] = {}
    for row, text in enumerate(index):
        position = parse_whole_number(text)
        if position is None or not 0 <= position < len(table):
            raise table.error(
                row,
                f'the index {text!r} is not a whole number below {len(table)}, '
                'the number of samples',
                'cleanlab numbers the samples of the whole set from 0. Write '
                'the table with issues.to_csv(path) before you select rows.',
            )
        first = row_of.setdefault(position, row)
        if first != row:
            raise table.error(
                row,
                f'the index {position} is also in line {table.line_numbers[first]}',
                'Remove one of the two.',
            )
    return [row_of[position] for position in range(len(table))]


def _named_index(table: TextTable) -> Optional[List[str]]:
    """Return the first column if it is an index with a name.

    pandas writes the name of an index, such as ``id``, into the header. An index
    is recognised because it has every number below the number of rows once.
    """
    name = next(iter(table.others))
    if column_key(name) in {alias for aliases in COLUMNS.values() for alias in aliases}:
        return None
    fields = table.others[name]
    numbers = {parse_whole_number(text) for text in fields}
    return fields if numbers == set(range(len(fields))) else None


def _read_labels(
    table: TextTable, order: Sequence[int], own: Sequence[int], names: Sequence[str]
) -> Tuple[np.ndarray, np.ndarray]:
    """Read given and predicted labels as class indices.

    Classes may have numbers as names, so a whole number has two readings. It is
    read as cleanlab's class index, counted from 0. The exception: only the
    reading as a class name gives the given labels of the data set.

    Args:
        table (TextTable): Table of cleanlab.
        order (Sequence[int]): Row of each sample.
        own (Sequence[int]): Given label of each sample in the data set.
        names (Sequence[str]): Class names.

    Returns:
        tuple[np.ndarray, np.ndarray]: Given and predicted labels by row, int64
        (N,) each.

    Raises:
        ValueError: A label is neither an index nor a name, or a given label is
            not that of the data set.
    """
    columns = [table.columns['given_label'], table.columns['predicted_label']]
    numbers, by_name = _label_meanings(table, names)
    fits = [
        all(meaning[columns[0][row]] == label for row, label in zip(order, own))
        for meaning in (numbers, by_name)
    ]
    meaning = by_name if fits[1] and not fits[0] else numbers
    for column, name in zip(columns, ('given_label', 'predicted_label')):
        for row in order:
            if meaning[column[row]] is None:
                raise table.error(
                    row,
                    f'{name} {column[row]!r} is none of the {len(names)} classes',
                    suggest_name(column[row], names) + ' Numbers count classes from 0.',
                )
    given, predicted = (
        np.array([meaning[text] for text in column], dtype=np.int64)
        for column in columns
    )
    for row, label in zip(order, own):
        if given[row] != label:
            raise table.error(
                row,
                f'the given label is {columns[0][row]} in the table and '
                f'{label} ({names[label]}) in the data set',
                'The table was made from other samples, or in another order.',
            )
    return given, predicted


def _label_meanings(
    table: TextTable, names: Sequence[str]
) -> Tuple[Dict[str, Optional[int]], Dict[str, Optional[int]]]:
    """Return the class index of each field, for both readings of numbers.

    Args:
        table (TextTable): Table of cleanlab.
        names (Sequence[str]): Class names.

    Returns:
        tuple[dict, dict]: Class index by field, None if the field is no class.
        The first dict reads whole numbers as indices, the second as names.
    """
    numbers: Dict[str, Optional[int]] = {}
    by_name: Dict[str, Optional[int]] = {}
    columns = (table.columns['given_label'], table.columns['predicted_label'])
    for text in {text for column in columns for text in column}:
        value = parse_whole_number(text, table.decimal_comma)
        # The class name '1' is '1.0' in a column of floats.
        by_name[text] = class_index(text if value is None else str(value), names)
        if by_name[text] is None:
            by_name[text] = class_index(text, names)
        if value is None:
            numbers[text] = by_name[text]
        else:
            numbers[text] = value if 0 <= value < len(names) else None
    return numbers, by_name
