"""Reading of decisions for a data set from a score table."""

from typing import Dict, List, Optional, Sequence, Set, Tuple

import numpy as np

from mmfer.utils.csv_cells import unguard_cell
from mmfer.utils.text_tables import TextTable, parse_whole_number, path_key

from .columns import CLASS_COLUMNS, COLUMNS, FILE_NAME, ScoreTable
from .reading import read_columns, read_decision_column, read_label_column
from .writing import class_text


def read_decisions(
    path: str,
    images: Sequence[str],
    given_labels: np.ndarray,
    sample_ids: np.ndarray,
    num_classes: int,
    classes: Optional[Sequence[str]] = None,
    extra: Sequence[str] = (),
) -> ScoreTable:
    """Read decisions from a table, and check that it fits the data set.

    A table without the column ``sample_id`` is matched by the names of the images. If
    a name is in several rows, these must have the same decision.

    Args:
        path (str): The table.
        images (Sequence[str]): Name of each image, by ``sample_id``.
        given_labels (np.ndarray): Given labels by ``sample_id``, int64 (N,).
        sample_ids (np.ndarray): Samples that the table must have. Unreadable
            images are not among them.
        num_classes (int): Number of classes.
        classes (Sequence[str], optional): Class names. Labels in the table may
            be names, and the columns of class names are compared with them.
        extra (Sequence[str]): Further columns to return as text, if the table has
            them and is matched by ``sample_id``.

    Returns:
        dict[str, np.ndarray]: Columns by ascending ``sample_id``, see
        :meth:`~mmfer.datasets.FERDataset.apply_decisions`.

    Raises:
        FileNotFoundError: The table does not exist.
        ValueError: The file is no such table; it was made from other samples
            or labels; a suggested label is out of range; every sample is
            dropped; or it lacks ``sample_id``, and an image has different decisions.
    """
    try:
        text = _read(path, extra)
        if 'sample_id' in text.columns:
            table = _checked_columns(text, images, given_labels, num_classes, classes)
            for name in extra:
                if name in text.columns:
                    texts = list(map(unguard_cell, text.columns[name]))
                    table[name] = np.array(texts, dtype=object)
        else:
            table = _columns_by_name(
                text, images, given_labels, sample_ids, num_classes, classes
            )
    except FileNotFoundError:
        raise FileNotFoundError(
            f'decisions: {path} does not exist. Name a table that you downloaded '
            'from a review page (it is where your browser puts downloads), or the '
            f'{FILE_NAME} of a run, a scan or a cleaning.'
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


def _read(path: str, extra: Sequence[str]) -> TextTable:
    """Read the table; the column ``sample_id`` may be missing.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_columns`.
    """
    try:
        return read_columns(path, optional=(*CLASS_COLUMNS, *extra))
    except ValueError as error:
        others = [name for name in COLUMNS if name != 'sample_id']
        try:
            table = read_columns(path, others, ('sample_id', *CLASS_COLUMNS))
        except ValueError:
            raise error from None
        if 'sample_id' in table.columns:
            raise
        return table


def _columns_by_name(
    table: TextTable,
    images: Sequence[str],
    given_labels: np.ndarray,
    sample_ids: np.ndarray,
    num_classes: int,
    classes: Optional[Sequence[str]],
) -> ScoreTable:
    """Return the columns of a table that has names of images, but no numbers.

    See :func:`read_decisions` for the arguments.
    """
    given = read_label_column(table, 'given_label', classes)
    suggested = read_label_column(table, 'suggested_label', classes)
    decisions = read_decision_column(table)
    samples: Dict[str, List[int]] = {}
    for i in sample_ids.tolist():
        samples.setdefault(path_key(images[i].strip()), []).append(i)
    first: Dict[str, int] = {}
    row_of: Dict[int, int] = {}
    for row, written in enumerate(table.columns['image']):
        keys = path_key(unguard_cell(written)), path_key(written)
        key = next((key for key in keys if key in samples), None)
        if key is None:
            raise table.error(
                row,
                f'no sample of the data set has the image {written!r}',
                _why_unknown(written),
            )
        before = first.setdefault(key, row)
        same = decisions[row] == decisions[before] and (
            decisions[row] != 'relabel' or suggested[row] == suggested[before]
        )
        if not same:
            raise table.error(
                row,
                f'the image {written!r} has another decision in line '
                f'{table.line_numbers[before]}, and the table has no column sample_id '
                'that says which sample each of them is for',
                'Add the column sample_id, write the table again with this version '
                'of mmfer, or give both rows the same decision.',
            )
        for i in samples[key]:
            # Samples of one image may have different labels.
            if i not in row_of or given[row_of[i]] != given_labels[i]:
                row_of[i] = row
    ids = np.array(sorted(row_of), dtype=np.int64)
    rows = np.array([row_of[i] for i in ids.tolist()], dtype=np.int64)
    target = suggested[rows]
    wrong = (given[rows] != given_labels[ids]) | (
        (decisions[rows] == 'relabel') & ((target < 0) | (target >= num_classes))
    )
    if wrong.any():
        place = int(wrong.argmax())
        row, i = int(rows[place]), int(ids[place])
        raise _label_error(table, row, i, given, suggested, given_labels, num_classes)
    return dict(
        sample_id=ids,
        given_label=given_labels[ids],
        noise_score=np.array(table.numbers('noise_score'), dtype=float)[rows],
        suggested_label=target,
        decision=decisions[rows],
    )


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
        # A name that was typed as the label is no mistake in a number.
        numbers = np.array(
            [
                parse_whole_number(field, table.decimal_comma) is not None
                for field in table.columns['suggested_label']
            ]
        )
        _check_class_names(
            table,
            'suggested_class',
            suggested,
            classes,
            (decisions == 'relabel') & numbers,
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
    if written == name or unguard_cell(written) == name:
        return True
    key = path_key(name.strip())
    return key in (path_key(written), path_key(unguard_cell(written)))


def _why_unknown(image: str) -> str:
    """Return why a table has an image that no sample has, and the way out."""
    try:
        meant = image.encode('cp1252').decode('utf-8')
    except UnicodeError:
        meant = image
    if meant == image:
        return 'The table was made from another data set.'
    return (
        f'It may mean {meant!r}: a program, such as Excel, opened the table as if it '
        'were not UTF-8. Download the table again, and open it in Excel with Data > '
        'From Text/CSV and the encoding UTF-8.'
    )


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
            _why_unknown(image),
        )
    first = ids.index(i)
    if first != row:
        return table.error(
            row,
            f'the table has samples twice: sample {i} is also in line '
            f'{table.line_numbers[first]}',
            'Remove one of the two.',
        )
    return _label_error(table, row, i, given, suggested, given_labels, num_classes)


def _label_error(
    table: TextTable,
    row: int,
    sample_id: int,
    given: np.ndarray,
    suggested: np.ndarray,
    given_labels: np.ndarray,
    num_classes: int,
) -> ValueError:
    """Make the error for a row whose labels do not fit the data set."""
    i = sample_id
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
        written = (found, field, unguard_cell(found))
        if expected.casefold() not in map(str.casefold, written):
            raise table.error(
                row,
                f'{name} is {field!r}, but {CLASS_COLUMNS[name]} is '
                f'{labels[row]}, and that is the class {expected!r}',
                'Correct one of the two; the number counts. If only the names '
                f'of classes have changed, remove the column {name}.',
            )
        right.add(pair)
