"""Decisions on labels, read back from a sample-score table."""

from typing import Dict, List, Optional, Sequence

import numpy as np

from mmfer.utils.text_tables import (
    TextTable,
    class_index,
    nearest,
    path_key,
    read_table,
    whole_number,
)

DECISIONS = ('keep', 'relabel', 'drop')
COLUMNS = (
    'sample_id',
    'image',
    'given_label',
    'noise_score',
    'suggested_label',
    'decision',
)
KIND = 'sample_scores.csv'
# What fits into int64, with room.
MAX_LABEL = 2**62


def read_scores(
    path: str,
    columns: Sequence[str] = COLUMNS,
    optional: Sequence[str] = (),
    others: str = 'skip',
) -> TextTable:
    """Read a ``sample_scores.csv``, also as a spreadsheet saved it.

    Args:
        path (str): The table.
        columns (Sequence[str]): Those that are needed. Defaults to those of
            every table.
        optional (Sequence[str]): Those that are read if they are there.
        others (str): What is done with further columns, which methods have
            of their own; see :func:`~mmfer.utils.text_tables.read_table`.
            Defaults to ``'skip'``.

    Returns:
        TextTable: At least one row.

    Raises:
        FileNotFoundError: There is no table.
        ValueError: It is no such table, or has no rows.
    """
    table = read_table(
        path, {name: [name] for name in (*columns, *optional)}, KIND, optional, others
    )
    if not len(table):
        raise ValueError(
            f'{table.path}: the table has a header but no rows; it must be a '
            f'{KIND}. Was it copied completely?'
        )
    return table


def read_score_rows(path: str) -> List[dict]:
    """Read all columns of a ``sample_scores.csv``.

    Args:
        path (str): The table.

    Returns:
        list[dict]: Rows by column: ``sample_id``, ``given_label`` and
        ``suggested_label`` (int), ``noise_score`` (float), ``decision``
        (str), ``clean_label`` (int; missing unless every row has one), all
        others as text.

    Raises:
        FileNotFoundError: There is no table.
        ValueError: It is no such table, or a field is not what it should be.
    """
    optional = ('image', 'clean_label')
    table = read_scores(
        path,
        [name for name in COLUMNS if name not in optional],
        optional,
        others='keep',
    )
    columns = {**table.others, **table.columns}
    columns.update(
        sample_id=table.whole_numbers('sample_id'),
        given_label=read_labels(table, 'given_label', None),
        suggested_label=read_labels(table, 'suggested_label', None),
        noise_score=table.numbers('noise_score'),
        decision=read_decision_column(table),
    )
    columns.pop('clean_label', None)
    if all(table.columns.get('clean_label', [''])):
        columns['clean_label'] = table.whole_numbers('clean_label')
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def read_decision_column(table: TextTable) -> List[str]:
    """Read the decisions of a table, in any letters.

    Args:
        table (TextTable): The table.

    Returns:
        list[str]: (N,) keep, relabel or drop.

    Raises:
        ValueError: A field is something else.
    """
    decisions = [text.lower() for text in table.columns['decision']]
    for row, decision in enumerate(decisions):
        if decision not in DECISIONS:
            raise table.error(
                row,
                f'decision {table.columns["decision"][row]!r} is none of '
                f'{", ".join(DECISIONS)}',
                'Write one of them.',
            )
    return decisions


def read_labels(
    table: TextTable, name: str, classes: Optional[Sequence[str]]
) -> List[int]:
    """Read a column of class indices, which may also be names of classes.

    Args:
        table (TextTable): The table.
        name (str): The column.
        classes (Sequence[str], optional): Names of the classes; a number is
            an index, whatever they are called.

    Returns:
        list[int]: (N,) as written; names as their indices.

    Raises:
        ValueError: A field is neither.
    """
    fields = table.columns[name]
    # Few differ, and a table may have 10^5 rows.
    known: Dict[str, Optional[int]] = {}
    for field in set(fields):
        value = whole_number(field, table.decimal_comma)
        if value is not None and not -MAX_LABEL <= value <= MAX_LABEL:
            value = None
        elif value is None and classes is not None:
            value = class_index(field, classes)
        known[field] = value
    labels = [known[field] for field in fields]
    if None in labels:
        row = labels.index(None)
        raise table.error(
            row,
            f'{name} is {fields[row]!r}, which is no whole number'
            + ('' if classes is None else ' and no class'),
            'Correct the row.' if classes is None else nearest(fields[row], classes),
        )
    return labels


def read_decisions(
    path: str,
    images: List[str],
    given_labels: np.ndarray,
    sample_ids: np.ndarray,
    num_classes: int,
    classes: Optional[Sequence[str]] = None,
) -> Dict[str, np.ndarray]:
    """Read a ``sample_scores.csv`` that was made of these samples.

    Args:
        path (str): The table.
        images (list[str]): Name of every sample, by ``sample_id``.
        given_labels (np.ndarray): Their labels as given, int64 (N, ).
        sample_ids (np.ndarray): Those that the table must have; unreadable
            images are not in it.
        num_classes (int): Suggested labels lie below it.
        classes (Sequence[str], optional): Names that labels in the table may
            be instead of numbers.

    Returns:
        dict[str, np.ndarray]: See :meth:`FERDataset.apply_decisions`; by ascending
        ``sample_id``.

    Raises:
        FileNotFoundError: There is no table.
        ValueError: It is no such table, or one of other samples or labels.
    """
    try:
        table = read_scores(path)
        columns = _columns(table, images, given_labels, num_classes, classes)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'decisions: {path} is not there. It is the sample_scores.csv in '
            'the work dir of a training, or of tools/clean_labels.py.'
        ) from None
    except ValueError as error:
        raise ValueError(f'decisions: {error}') from None
    ids, decision = columns['sample_id'], columns['decision']
    lacking = np.setdiff1d(sample_ids, ids)
    if len(lacking):
        raise ValueError(
            f'decisions: {path} lacks {len(lacking)} of {len(sample_ids)} '
            f'samples, e.g. {images[lacking[0]]}. It was made of another '
            'set, or a part of this one.'
        )
    if (decision == 'drop').all():
        raise ValueError(f'decisions: {path} drops every sample.')
    order = ids.argsort()
    return {name: column[order] for name, column in columns.items()}


def _columns(
    table: TextTable,
    images: List[str],
    given_labels: np.ndarray,
    num_classes: int,
    classes: Optional[Sequence[str]],
) -> Dict[str, np.ndarray]:
    """Columns of a table in its order, each row checked."""
    ids = table.whole_numbers('sample_id')
    scores = table.numbers('noise_score')
    given = read_labels(table, 'given_label', classes)
    suggested = read_labels(table, 'suggested_label', classes)
    decisions = read_decision_column(table)
    seen: Dict[int, int] = {}
    for row, image in enumerate(table.columns['image']):
        i = ids[row]
        if not 0 <= i < len(images) or path_key(image) != path_key(images[i].strip()):
            raise table.error(
                row,
                f'sample {i}: the table calls it {image!r}, and no '
                'sample of the data set has that number and name',
                'The table was made of another set.',
            )
        first = seen.setdefault(i, row)
        if first != row:
            raise table.error(
                row,
                f'the table has samples twice: sample {i} is in line '
                f'{table.line_numbers[first]}, too',
                'Remove one of the two.',
            )
        if given[row] != given_labels[i]:
            raise table.error(
                row,
                f'sample {i}: its given label is {given[row]} in the '
                f'table and {given_labels[i]} in the data set',
                'The table was made of other labels: with another '
                'label_noise, or another list.',
            )
        if decisions[row] == 'relabel' and not 0 <= suggested[row] < num_classes:
            raise table.error(
                row,
                f'sample {i}: suggested_label {suggested[row]} is '
                f'outside [0, {num_classes})',
                'Correct it, or the decision.',
            )
    ids = np.array(ids, dtype=np.int64)
    return dict(
        sample_id=ids,
        given_label=given_labels[ids],
        noise_score=np.array(scores, dtype=float),
        suggested_label=np.array(suggested, dtype=np.int64),
        decision=np.array(decisions),
    )
