"""Reading of decisions for a data set from a score table."""

from typing import Optional, Sequence, Set, Tuple

import numpy as np

from mmfer.utils.text_tables import TextTable, parse_whole_number, path_key

from .columns import CLASS_COLUMNS, FILE_NAME, ScoreTable
from .reading import read_columns, read_decision_column, read_label_column
from .writing import class_text


def read_decisions(
    path: str,
    images: Sequence[str],
    given_labels: np.ndarray,
    sample_ids: np.ndarray,
    num_classes: int,
    classes: Optional[Sequence[str]] = None,
) -> ScoreTable:
    """Read decisions from a table, and check that it fits the data set.

    Args:
        path (str): The table.
        images (Sequence[str]): Name of each image, by ``sample_id``.
        given_labels (np.ndarray): Given labels by ``sample_id``, int64 (N,).
        sample_ids (np.ndarray): Samples that the table must have. Unreadable
            images are not among them.
        num_classes (int): Number of classes.
        classes (Sequence[str], optional): Class names. Labels in the table may
            be names, and the columns of class names are compared with them.

    Returns:
        dict[str, np.ndarray]: Columns by ascending ``sample_id``, see
        :meth:`~mmfer.datasets.FERDataset.apply_decisions`.

    Raises:
        FileNotFoundError: The table does not exist.
        ValueError: The file is no such table; it was made from other samples
            or labels; a suggested label is out of range; or every sample is
            dropped.
    """
    try:
        text = read_columns(path, optional=tuple(CLASS_COLUMNS))
        table = _checked_columns(text, images, given_labels, num_classes, classes)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'decisions: {path} does not exist. Name a {FILE_NAME} from the work '
            'dir of a run, or one that tools/clean_labels.py wrote.'
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
            f'decisions: {path} drops every sample, so no sample is left to '
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
    row = _first_wrong_row(table, ids, images)
    # Numbers before this row are those of samples.
    rows = np.array(ids[:row], dtype=np.int64)
    relabelled = decisions[: len(rows)] == 'relabel'
    target = suggested[: len(rows)]
    wrong = (given[: len(rows)] != given_labels[rows]) | (
        relabelled & ((target < 0) | (target >= num_classes))
    )
    if wrong.any():
        row = int(wrong.argmax())
    if row is not None:
        raise _row_error(
            table, row, ids, images, given, suggested, given_labels, num_classes
        )
    if classes is not None:
        _check_class_names(table, 'given_class', given, classes)
        _check_class_names(
            table, 'suggested_class', suggested, classes, decisions == 'relabel'
        )
    return dict(
        sample_id=rows,
        given_label=given_labels[rows],
        noise_score=np.array(scores, dtype=float),
        suggested_label=suggested,
        decision=decisions,
    )


def _first_wrong_row(
    table: TextTable, ids: Sequence[int], images: Sequence[str]
) -> Optional[int]:
    """Return the first row without a sample, or with one of an earlier row.

    Args:
        table (TextTable): The table.
        ids (Sequence[int]): Its sample numbers, (N,).
        images (Sequence[str]): Name of each image, by ``sample_id``.
    """
    seen = bytearray(len(images))
    for row, (i, image) in enumerate(zip(ids, table.columns['image'])):
        if not 0 <= i < len(images) or seen[i] or not _same_image(image, images[i]):
            return row
        seen[i] = 1
    return None


def _same_image(written: str, name: str) -> bool:
    """Return whether the name in a table is that of an image."""
    return written == name or path_key(written) == path_key(name.strip())


def _row_error(
    table: TextTable,
    row: int,
    ids: Sequence[int],
    images: Sequence[str],
    given: np.ndarray,
    suggested: np.ndarray,
    given_labels: np.ndarray,
    num_classes: int,
) -> ValueError:
    """Make the error for the first row that does not fit the data set."""
    i = ids[row]
    image = table.columns['image'][row]
    if not 0 <= i < len(images) or not _same_image(image, images[i]):
        return table.error(
            row,
            f'sample {i}: the table calls its image {image!r}, and no '
            'sample of the data set has this number and this image',
            'The table was made from another data set.',
        )
    first = ids.index(i)
    if first != row:
        return table.error(
            row,
            f'the table has samples twice: sample {i} is also in line '
            f'{table.line_numbers[first]}',
            'Remove one of the two.',
        )
    if given[row] != given_labels[i]:
        return table.error(
            row,
            f'sample {i}: its given label is {given[row]} in the '
            f'table and {given_labels[i]} in the data set',
            'The table was made from other labels: with another '
            'label_noise, or another list.',
        )
    return table.error(
        row,
        f'sample {i}: suggested_label {suggested[row]} is outside [0, {num_classes})',
        'Correct the label or the decision.',
    )


def _check_class_names(
    table: TextTable,
    name: str,
    labels: np.ndarray,
    classes: Sequence[str],
    rows: Optional[np.ndarray] = None,
) -> None:
    """Raise if a column of class names contradicts the numbers beside it.

    Only the numbers are used. Without this check, two mistakes would stay
    unnoticed: a person corrected the name but not the number, or the table
    has another order of the classes.

    Args:
        table (TextTable): The table. Older tables lack the column.
        name (str): One of :data:`CLASS_COLUMNS`. An empty field is not
            compared.
        labels (np.ndarray): The numbers, int64 (N,).
        classes (Sequence[str]): Class names.
        rows (np.ndarray, optional): Rows to compare, bool (N,). Defaults to
            all.
    """
    # Compare each distinct pair once.
    right: Set[Tuple[str, int]] = set()
    pairs = zip(table.columns.get(name, ()), labels.tolist())
    for row, pair in enumerate(pairs):
        field = pair[0]
        if pair in right or not field or (rows is not None and not rows[row]):
            continue
        expected = class_text(int(labels[row]), classes)
        # pandas writes the class name '1' as '1.0' if a field of the column is
        # empty.
        number = parse_whole_number(field, table.decimal_comma)
        found = ' '.join(field.split()) if number is None else str(number)
        if expected.casefold() not in (found.casefold(), field.casefold()):
            raise table.error(
                row,
                f'{name} is {field!r}, but {CLASS_COLUMNS[name]} is '
                f'{labels[row]}, and that is the class {expected!r}',
                'Correct one of the two; the number counts. If only the names '
                f'of classes have changed, remove the column {name}.',
            )
        right.add(pair)
