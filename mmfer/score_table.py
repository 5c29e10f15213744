"""The sample-score table: its columns, decisions and files.

``sample_scores.csv`` has one row for each training sample. In memory, a table
is a dict of columns, each an array with one value for each sample:

========================  =====================================================
``sample_id``             Row of the sample in the full list, int64.
``image``                 Name of the image, see ``FERDataset.image_name``.
``given_label``           Label before any change, int64.
measurements              What the method measured, such as ``uncertainty``;
                          none, one or several columns.
``noise_score``           Larger is more suspicious; comparable within a table.
``suggested_label``       Label that the method suggests, int64; -1 for none.
``decision``              One of :data:`DECISIONS`.
``clean_label``           True label, int64, where it is known.
``given_class``           Name of ``given_label``, where names are known.
``suggested_class``       Name of ``suggested_label``; empty for none.
========================  =====================================================

Numbers become text only in :func:`format_table`, with six digits. Figures such
as an AUROC are computed from the columns, before they are rounded.
"""

import csv
import io
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mmfer.utils.files import write_atomic
from mmfer.utils.text_tables import (
    TextTable,
    class_index,
    column_key,
    nearest,
    path_key,
    read_table,
    whole_number,
)

DECISIONS = ('keep', 'relabel', 'drop')
"""What can become of a sample."""

COLUMNS = (
    'sample_id',
    'image',
    'given_label',
    'noise_score',
    'suggested_label',
    'decision',
)
"""Columns of every table."""

FILE_NAME = 'sample_scores.csv'
"""Name of the table in a work dir."""

CLASS_COLUMNS = dict(given_class='given_label', suggested_class='suggested_label')
"""Columns of class names, and the columns whose numbers they name."""

ScoreTable = Dict[str, np.ndarray]

# Largest label that is read; it fits into int64.
_MAX_LABEL = 2**62


# -- columns ------------------------------------------------------------------
def score_columns(
    sample_ids: np.ndarray,
    images: Sequence[str],
    labels: np.ndarray,
    scores: np.ndarray,
    uncertainty: np.ndarray,
    threshold: float,
) -> ScoreTable:
    """Make a table from the predictions of a model, without clean labels.

    ``noise_score`` is one minus the probability of the given label. The
    decision is ``relabel`` where the largest probability exceeds that of the
    given label by more than ``threshold``.

    Args:
        sample_ids (np.ndarray): int64 (N,).
        images (Sequence[str]): (N,) names.
        labels (np.ndarray): Given labels, int64 (N,).
        scores (np.ndarray): Probabilities (N, C).
        uncertainty (np.ndarray): Uncertainty of each prediction, (N,).
        threshold (float): In [0, 1].

    Returns:
        dict[str, np.ndarray]: Columns (N,), in the order of the file.
    """
    given = scores[np.arange(len(labels)), labels]
    best = scores.max(axis=1)
    return dict(
        sample_id=np.asarray(sample_ids),
        image=np.array(images, dtype=object),
        given_label=np.asarray(labels),
        uncertainty=np.asarray(uncertainty),
        confidence=best,
        noise_score=1 - given,
        suggested_label=scores.argmax(axis=1),
        decision=np.where(best - given > threshold, 'relabel', 'keep'),
    )


def insert_measurements(
    table: ScoreTable, measured: Mapping[str, np.ndarray]
) -> ScoreTable:
    """Replace ``noise_score`` by the measurements of a method.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
        measured (Mapping[str, np.ndarray]): Columns (N,) of numbers, among
            them a ``noise_score``.

    Returns:
        dict[str, np.ndarray]: Columns (N,), the measured ones in the place of
        ``noise_score``.
    """
    result: ScoreTable = {}
    for name, column in table.items():
        if name == 'noise_score':
            result.update({key: np.asarray(value) for key, value in measured.items()})
        else:
            result[name] = column
    return result


def merge_decisions(
    table: ScoreTable, label_decisions: Mapping[str, np.ndarray]
) -> ScoreTable:
    """Replace decisions by those of a method that cleaned the set before.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
        label_decisions (Mapping[str, np.ndarray]): Columns of at least the
            same samples, in any order; see
            :meth:`~mmfer.datasets.FERDataset.apply_decisions`.

    Returns:
        dict[str, np.ndarray]: Columns (N,), with ``suggested_label``,
        ``decision``, ``noise_score`` and measurements of the method.
    """
    place = {s: i for i, s in enumerate(label_decisions['sample_id'].tolist())}
    order = [place[sample_id] for sample_id in table['sample_id'].tolist()]
    taken = ('sample_id', 'given_label', 'suggested_label', 'decision')
    result = insert_measurements(
        table, {k: v[order] for k, v in label_decisions.items() if k not in taken}
    )
    for name in ('suggested_label', 'decision'):
        result[name] = label_decisions[name][order]
    return result


def replace_decisions(
    table: ScoreTable, decision: np.ndarray, suggested_label: np.ndarray
) -> ScoreTable:
    """Replace decisions by others, and suggested class names with them.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
        decision (np.ndarray): (N,) of :data:`DECISIONS`.
        suggested_label (np.ndarray): int64 (N,); -1 for none.

    Returns:
        dict[str, np.ndarray]: Columns (N,), in the same order.
    """
    result = dict(table, decision=decision, suggested_label=suggested_label)
    if 'suggested_class' in table:
        names = {
            label: name
            for column, numbers in CLASS_COLUMNS.items()
            if column in table
            for label, name in zip(table[numbers].tolist(), table[column].tolist())
        }
        result['suggested_class'] = np.array(
            [names.get(label, '') for label in suggested_label.tolist()], dtype=object
        )
    return result


def apply_decisions(table: Mapping[str, np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    """Return which samples the decisions keep, and with which labels.

    Args:
        table (Mapping[str, np.ndarray]): Columns ``given_label``,
            ``suggested_label`` and ``decision``, each (N,).

    Returns:
        tuple[np.ndarray, np.ndarray]: Whether a sample is kept, bool (N,), and
        its label afterwards, int64 (N,). The label of a dropped sample is the
        given one.
    """
    labels = np.where(
        table['decision'] == 'relabel', table['suggested_label'], table['given_label']
    )
    return table['decision'] != 'drop', labels


# -- writing ------------------------------------------------------------------
def format_table(
    table: Mapping[str, np.ndarray], classes: Optional[Sequence[str]] = None
) -> bytes:
    r"""Format a table as CSV.

    Whole numbers are written as they are, others with six digits. The column
    ``clean_label`` is always there, empty where clean labels are not known.

    Args:
        table (Mapping[str, np.ndarray]): Columns (N,), in the order of the
            file.
        classes (Sequence[str], optional): Class names, for the columns
            ``given_class`` and ``suggested_class``. Without names, or with
            names that only repeat the numbers, the table is written without
            these columns, unless it has them already.

    Returns:
        bytes: UTF-8, lines end with ``\n``.
    """
    texts = {name: _column_texts(column) for name, column in table.items()}
    count = len(next(iter(texts.values())))
    clean = texts.pop('clean_label', [''] * count)
    named = {name: texts.pop(name) for name in CLASS_COLUMNS if name in texts}
    if classes is not None and list(classes) != [str(i) for i in range(len(classes))]:
        named = {
            name: [_class_text(label, classes) for label in table[numbers].tolist()]
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


def _class_text(label: int, classes: Sequence[str]) -> str:
    """Return the name of a class on one line; empty for no class."""
    return ' '.join(classes[label].split()) if 0 <= label < len(classes) else ''


# -- reading ------------------------------------------------------------------
def read_columns(
    path: str,
    columns: Sequence[str] = COLUMNS,
    optional: Sequence[str] = (),
    others: str = 'skip',
    kind: str = FILE_NAME,
) -> TextTable:
    """Read columns of a table as text, also as a spreadsheet saved it.

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
        ``noise_score`` (float64), ``decision`` (str), ``clean_label`` (int64;
        missing unless every row has one), and all others as text.

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
        # Headers may be in other letters: 'Sample_ID' is the column sample_id.
        key = column_key(name)
        if key in read:
            result[key] = read[key]
        elif key != 'clean_label':
            known = key == 'image' or key in CLASS_COLUMNS
            result[key if known else name] = np.array(fields, dtype=object)
    return result


def read_decision_column(table: TextTable) -> np.ndarray:
    """Read the decisions of a table, in upper or lower case.

    Args:
        table (TextTable): The table.

    Returns:
        np.ndarray: str (N,), each one of :data:`DECISIONS`.

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
    return np.array(decisions)


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
        value = whole_number(field, table.decimal_comma)
        if value is not None and not -_MAX_LABEL <= value <= _MAX_LABEL:
            value = None
        elif value is None and classes is not None:
            value = class_index(field, classes)
        if value is not None:
            known[field] = value
    for row, field in enumerate(fields):
        if field not in known:
            raise table.error(
                row,
                f'{name} is {field!r}, which is no whole number'
                + ('' if classes is None else ' and no class'),
                'Correct the row.' if classes is None else nearest(field, classes),
            )
    return np.array([known[field] for field in fields], dtype=np.int64)


# -- decisions for a data set ---------------------------------------------------
def read_decisions(
    path: str,
    images: Sequence[str],
    given_labels: np.ndarray,
    sample_ids: np.ndarray,
    num_classes: int,
    classes: Optional[Sequence[str]] = None,
) -> ScoreTable:
    """Read a table that was made from the samples of a data set.

    Args:
        path (str): The table.
        images (Sequence[str]): Name of each image, by ``sample_id``.
        given_labels (np.ndarray): Labels as given, by ``sample_id``, int64.
        sample_ids (np.ndarray): Samples that the table must have. Unreadable
            images are not among them.
        num_classes (int): Suggested labels lie below this number.
        classes (Sequence[str], optional): Class names. Labels in the table may
            be names, and the columns of class names are compared with them.

    Returns:
        dict[str, np.ndarray]: Columns by ascending ``sample_id``, see
        :meth:`~mmfer.datasets.FERDataset.apply_decisions`.

    Raises:
        FileNotFoundError: The table does not exist.
        ValueError: The file is no such table, or was made from other samples
            or labels.
    """
    try:
        text = read_columns(path, optional=tuple(CLASS_COLUMNS))
        table = _checked_columns(text, images, given_labels, num_classes, classes)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'decisions: {path} does not exist. Name a {FILE_NAME} from the work '
            'dir of a training, or one that tools/clean_labels.py wrote.'
        ) from None
    except ValueError as error:
        raise ValueError(f'decisions: {error}') from None
    ids, decision = table['sample_id'], table['decision']
    lacking = np.setdiff1d(sample_ids, ids)
    if len(lacking):
        raise ValueError(
            f'decisions: {path} lacks {len(lacking)} of {len(sample_ids)} '
            f'samples, e.g. {images[lacking[0]]}. It was made from another data '
            'set, or from a part of this one. Name the table of this data set.'
        )
    if (decision == 'drop').all():
        raise ValueError(
            f'decisions: {path} drops every sample, so that nothing is left to '
            'train on. Was the column decision filled by mistake?'
        )
    order = ids.argsort()
    return {name: column[order] for name, column in table.items()}


def _checked_columns(
    table: TextTable,
    images: Sequence[str],
    given_labels: np.ndarray,
    num_classes: int,
    classes: Optional[Sequence[str]],
) -> ScoreTable:
    """Return the columns of :func:`read_decisions` in the order of the file."""
    ids = table.whole_numbers('sample_id')
    scores = table.numbers('noise_score')
    given = read_label_column(table, 'given_label', classes)
    suggested = read_label_column(table, 'suggested_label', classes)
    decisions = read_decision_column(table)
    seen: Dict[int, int] = {}
    for row, image in enumerate(table.columns['image']):
        i = ids[row]
        if not 0 <= i < len(images) or path_key(image) != path_key(images[i].strip()):
            raise table.error(
                row,
                f'sample {i}: the table calls it {image!r}, and no '
                'sample of the data set has that number and name',
                'The table was made from another data set.',
            )
        first = seen.setdefault(i, row)
        if first != row:
            raise table.error(
                row,
                f'the table has samples twice: sample {i} is also in line '
                f'{table.line_numbers[first]}',
                'Remove one of the two.',
            )
        if given[row] != given_labels[i]:
            raise table.error(
                row,
                f'sample {i}: its given label is {given[row]} in the '
                f'table and {given_labels[i]} in the data set',
                'The table was made from other labels: with another '
                'label_noise, or another list.',
            )
        if decisions[row] == 'relabel' and not 0 <= suggested[row] < num_classes:
            raise table.error(
                row,
                f'sample {i}: suggested_label {suggested[row]} is '
                f'outside [0, {num_classes})',
                'Correct it, or the decision.',
            )
    if classes is not None:
        _check_class_names(table, 'given_class', given, classes)
        _check_class_names(
            table, 'suggested_class', suggested, classes, decisions == 'relabel'
        )
    rows = np.array(ids, dtype=np.int64)
    return dict(
        sample_id=rows,
        given_label=given_labels[rows],
        noise_score=np.array(scores, dtype=float),
        suggested_label=suggested,
        decision=decisions,
    )


def _check_class_names(
    table: TextTable,
    name: str,
    labels: np.ndarray,
    classes: Sequence[str],
    rows: Optional[np.ndarray] = None,
) -> None:
    """Raise if a column of class names contradicts the numbers beside it.

    Otherwise a name that a person corrected would be ignored without a word,
    and so would another order of the classes.

    Args:
        table (TextTable): The table; older ones lack the column.
        name (str): One of :data:`CLASS_COLUMNS`. An empty field is not
            compared.
        labels (np.ndarray): The numbers, int64 (N,).
        classes (Sequence[str]): Class names.
        rows (np.ndarray, optional): Rows to compare, bool (N,). Defaults to
            all.
    """
    for row, field in enumerate(table.columns.get(name, ())):
        if not field or (rows is not None and not rows[row]):
            continue
        expected = _class_text(int(labels[row]), classes)
        # The class '1' is '1.0' in a table that was saved with empty fields.
        number = whole_number(field, table.decimal_comma)
        found = ' '.join(field.split()) if number is None else str(number)
        if expected.casefold() not in (found.casefold(), field.casefold()):
            raise table.error(
                row,
                f'{name} is {field!r}, but {CLASS_COLUMNS[name]} is '
                f'{labels[row]}, and that is the class {expected!r}',
                'Correct one of the two; the number counts. If only the names '
                f'of classes have changed, remove the column {name}.',
            )
