"""cleanlab's tables of label issues, from and to our sample-score tables.

cleanlab has a row for each sample, in the order of the data set (here: by
ascending ``sample_id``)::

    is_label_issue, label_score, given_label, predicted_label

as ``Datalab.get_issues('label')`` returns them; those of
``CleanLearning.get_label_issues`` call the second ``label_quality``. The
index column that pandas writes tells which sample a row is of, whatever its
name.
"""

import csv
import io
from typing import Dict, List, Optional, Sequence

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.utils.text_tables import (
    TextTable,
    class_index,
    column_key,
    flag,
    nearest,
    read_table,
    whole_number,
)

QUALITY = ('label_score', 'label_quality')
COLUMNS = dict(
    is_label_issue=['is_label_issue'],
    label_score=list(QUALITY),
    given_label=['given_label'],
    predicted_label=['predicted_label'],
)


def to_label_issues(rows: Sequence[Dict[str, str]]) -> bytes:
    """A table of cleanlab's kind, as CSV.

    A sample is an issue if its decision is not to keep it; its score is one
    minus ``noise_score``.

    Args:
        rows (Sequence[dict]): Of a ``sample_scores.csv``.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(
        ['', 'is_label_issue', QUALITY[0], 'given_label', 'predicted_label']
    )
    ordered = sorted(rows, key=lambda row: int(row['sample_id']))
    for number, row in enumerate(ordered):
        writer.writerow(
            [
                number,
                row['decision'] != 'keep',
                f'{1 - float(row["noise_score"]):.6g}',
                row['given_label'],
                row['suggested_label'],
            ]
        )
    return text.getvalue().encode()


def from_label_issues(
    path: str, dataset: FERDataset, decision: str = 'drop'
) -> List[dict]:
    """Rows of a sample-score table, for ``decisions`` of a data set.

    Args:
        path (str): A table of cleanlab's, as CSV (``issues.to_csv(path)``).
            Rows may be in any order if it has the index column.
        dataset (FERDataset): What cleanlab judged: as many samples in the
            same order, with the same labels.
        decision (str): What is done with issues: ``'drop'``; or
            ``'relabel'``, to the predicted label. Defaults to ``'drop'``.

    Returns:
        list[dict]: By ascending ``sample_id``.

    Raises:
        FileNotFoundError: There is no table.
        ValueError: It is no such table, or one of other samples; or
            ``is_label_issue`` is neither true nor false in some row.
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
            f'{path} has {len(table)} rows, and the data set {len(ids)} '
            'samples; it must be one of the whole set.'
        )
    order = _row_order(table)
    own = dataset.given_labels[ids].tolist()
    given, predicted = _read_labels(
        table, order, own, list(dataset.metainfo['classes'])
    )
    flags = [flag(text) for text in table.columns['is_label_issue']]
    if None in flags:
        row = flags.index(None)
        raise table.error(
            row,
            f'is_label_issue is '
            f'{table.columns["is_label_issue"][row]!r}, which is neither true '
            'nor false',
            'Write True or False (also 1 or 0, yes or no), as '
            'cleanlab does; a spreadsheet may have put it into another '
            'language.',
        )
    scores = table.numbers('label_score')
    place = {s: i for i, s in enumerate(dataset.sample_ids.tolist())}
    rows = []
    for sample_id, row in zip(ids.tolist(), order):
        issue = flags[row]
        # A relabelling to the same is none.
        change = issue and (decision == 'drop' or predicted[row] != given[row])
        info = dataset.get_data_info(place[sample_id])
        rows.append(
            dict(
                sample_id=sample_id,
                image=dataset.image_name(info['img_path']),
                given_label=given[row],
                candidate=int(issue),
                noise_score=f'{1 - scores[row]:.6g}',
                suggested_label=predicted[row],
                decision=decision if change else 'keep',
                clean_label='',
            )
        )
    return rows


def _row_order(table: TextTable) -> List[int]:
    """Row of the table for each sample, by the index column if it has one."""
    index = table.index or _named_index(table)
    if index is None:
        return list(range(len(table)))
    row_of: Dict[int, int] = {}
    for row, text in enumerate(index):
        position = whole_number(text)
        if position is None or not 0 <= position < len(table):
            raise table.error(
                row,
                f'the index {text!r} is no number below {len(table)}, '
                'the number of samples',
                'cleanlab numbers the samples of the whole set from 0; write '
                'the table with issues.to_csv(path) before rows are chosen.',
            )
        first = row_of.setdefault(position, row)
        if first != row:
            raise table.error(
                row,
                f'the index {position} is in line {table.line_numbers[first]}, too',
                'Remove one of the two.',
            )
    return [row_of[position] for position in range(len(table))]


def _named_index(table: TextTable) -> Optional[List[str]]:
    """The first column, if it numbers the rows under a name of its own.

    pandas writes the name of an index, such as ``id``, into the header. Only
    an index has every number below the number of rows, each once.
    """
    name = next(iter(table.others))
    if column_key(name) in {alias for aliases in COLUMNS.values() for alias in aliases}:
        return None
    fields = table.others[name]
    numbers = {whole_number(text) for text in fields}
    return fields if numbers == set(range(len(fields))) else None


def _read_labels(
    table: TextTable, order: Sequence[int], own: Sequence[int], names: Sequence[str]
) -> List[List[int]]:
    """Given and predicted labels by row, as indices of classes.

    cleanlab counts classes from 0. A whole number is that index where this
    gives the labels of the data set, even if a class is called by another
    number; otherwise it is the name of a class.

    Args:
        table (TextTable): The table.
        order (Sequence[int]): Row of each sample.
        own (Sequence[int]): Given label of each sample in the data set.
        names (Sequence[str]): Of the classes.

    Raises:
        ValueError: A label is neither, or not that of the data set.
    """
    columns = [table.columns['given_label'], table.columns['predicted_label']]
    numbers, by_name = {}, {}
    for text in {text for column in columns for text in column}:
        value = whole_number(text, table.decimal_comma)
        # The name '1' of a float column is '1.0'.
        by_name[text] = class_index(text if value is None else str(value), names)
        if by_name[text] is None:
            by_name[text] = class_index(text, names)
        numbers[text] = (
            by_name[text]
            if value is None
            else value
            if 0 <= value < len(names)
            else None
        )
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
                    nearest(column[row], names) + ' Numbers count them from 0.',
                )
    labels = [[meaning[text] for text in column] for column in columns]
    for row, label in zip(order, own):
        if labels[0][row] != label:
            raise table.error(
                row,
                f'the given label is {columns[0][row]} there and '
                f'{label} ({names[label]}) in the data set',
                'It is a table of other samples, or in another order.',
            )
    return labels
