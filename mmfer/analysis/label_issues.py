"""Convert between cleanlab's tables of label issues and sample-score tables.

cleanlab has one row for each sample, in the order of the data set (here by
ascending ``sample_id``)::

    is_label_issue, label_score, given_label, predicted_label

as ``Datalab.get_issues('label')`` returns them. ``CleanLearning.get_label_issues``
calls the second column ``label_quality``. If there is the index column that
pandas writes, it tells which sample a row belongs to, whatever its name.
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
"""Names that cleanlab gives the column of scores; small for issues."""

COLUMNS = dict(
    is_label_issue=['is_label_issue'],
    label_score=list(QUALITY),
    given_label=['given_label'],
    predicted_label=['predicted_label'],
)
"""Columns of cleanlab's tables, each with the names that it may have."""


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
    """Read cleanlab's table, for ``decisions`` of a data set.

    Args:
        path (str): A table of cleanlab, as CSV (``issues.to_csv(path)``).
            Rows may be in any order if it has the index column.
        dataset (FERDataset): The data set that cleanlab examined: as many
            samples in the same order, with the same labels.
        decision (str): What becomes of issues: ``'drop'``; or ``'relabel'``,
            to the predicted label. Defaults to ``'drop'``.

    Returns:
        dict[str, np.ndarray]: Columns of a sample-score table, (N,) by
        ascending ``sample_id``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is no such table, or one of other samples; or
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
            f'{path} has {len(table)} rows, and the data set has {len(ids)} '
            'samples. Name a table of the whole data set, and the config that '
            'it was made with.'
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
    place = {s: i for i, s in enumerate(dataset.sample_ids.tolist())}
    infos = [dataset.get_data_info(place[sample_id]) for sample_id in ids.tolist()]
    return dict(
        sample_id=ids,
        image=np.array(
            [dataset.image_name(info['img_path']) for info in infos], dtype=object
        ),
        given_label=given,
        candidate=issue,
        noise_score=1 - np.array(table.numbers('label_score'))[order],
        suggested_label=predicted,
        decision=np.where(change, decision, 'keep'),
    )


def _read_flags(table: TextTable) -> np.ndarray:
    """Return which rows are issues, bool (N,).

    Args:
        table (TextTable): The table.

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
            'cleanlab does; a spreadsheet may have translated it into another '
            'language.',
        )
    return np.array(flags, dtype=bool)


def _row_order(table: TextTable) -> List[int]:
    """Return the row of each sample, by the index column if there is one."""
    index = table.index or _named_index(table)
    if index is None:
        return list(range(len(table)))
    row_of: Dict[int, int] = {}
    for row, text in enumerate(index):
        position = parse_whole_number(text)
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
                f'the index {position} is also in line {table.line_numbers[first]}',
                'Remove one of the two.',
            )
    return [row_of[position] for position in range(len(table))]


def _named_index(table: TextTable) -> Optional[List[str]]:
    """Return the first column if it numbers the rows under another name.

    pandas writes the name of an index, such as ``id``, into the header. Only
    an index has every number below the number of rows, each once.
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

    cleanlab counts classes from 0. A whole number is such an index if the
    given labels then are those of the data set, even if a class has another
    number as its name. Otherwise a whole number is the name of a class.

    Args:
        table (TextTable): The table.
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
                    suggest_name(column[row], names) + ' Numbers count them from 0.',
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
        table (TextTable): The table.
        names (Sequence[str]): Class names.

    Returns:
        tuple[dict, dict]: By field, None for no class: whole numbers as
        indices, and whole numbers as names.
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
