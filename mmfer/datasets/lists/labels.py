"""Parsing of the labels in a list: class indices from 0 or 1, or class names."""

from typing import List, Optional, Sequence, Tuple

from mmfer.utils.text_lists import ImageRows
from mmfer.utils.text_tables import (
    class_index,
    is_number_like,
    parse_whole_number,
    suggest_name,
)


def parse_labels(
    rows: ImageRows,
    num_classes: int,
    classes: Optional[Sequence[str]],
    label_base: Optional[int],
) -> Tuple[List[int], bool]:
    """Parse the labels of a list.

    Args:
        rows (ImageRows): Rows with the fields image and label.
        num_classes (int): Number of classes.
        classes (Sequence[str], optional): Class names, if labels may be
            names instead of numbers.
        label_base (int, optional): The first class index, if it is known.

    Returns:
        tuple[list[int], bool]: Labels, (N,), and whether the file has class
        names. Numbers are returned as written, names as their positions.

    Raises:
        ValueError: A label is neither a number in range nor a class name; or
            labels could be names as well as numbers.
    """
    fields = [row.fields[1] for row in rows.rows]
    numbers = [parse_whole_number(field, rows.decimal_comma) for field in fields]
    if classes is not None:
        # Look up each distinct label once; most lists have only a few.
        known = {field: class_index(field, classes) for field in set(fields)}
        positions = [known[field] for field in fields]
        named = [place for place in positions if place is not None]
        if len(named) == len(positions) and _are_names(
            rows, numbers, classes, label_base
        ):
            return named, True
        # One class name that is not a number shows that all labels are names.
        if any(
            place is not None and label is None
            for place, label in zip(positions, numbers)
        ):
            raise _not_a_name(rows, positions.index(None), numbers, classes)
    return _checked_numbers(rows, numbers, num_classes, classes), False


def first_class_index(
    rows: ImageRows, labels: List[int], num_classes: int, label_base: Optional[int]
) -> int:
    """Find or check the first class index of a list of numbers, 0 or 1.

    Args:
        rows (ImageRows): The rows, for messages.
        labels (list[int]): (N,) labels as written, in 0..num_classes.
        num_classes (int): Number of classes.
        label_base (int, optional): The first class index, if it is known.

    Raises:
        ValueError: The index is contradictory or ambiguous, or
            ``label_base`` does not fit the labels.
    """
    if label_base is None:
        return _detect_base(rows, labels, num_classes)
    _check_base(rows, labels, num_classes, label_base)
    return label_base


def _are_names(
    rows: ImageRows,
    numbers: Sequence[Optional[int]],
    classes: Sequence[str],
    label_base: Optional[int],
) -> bool:
    """Return whether labels are class names, if all of them could be names.

    Raises:
        ValueError: The labels could also be numbers of other classes.
    """
    labels = [label for label in numbers if label is not None]
    if len(labels) < len(numbers):
        return True
    if label_base is not None:
        return False
    values = [parse_whole_number(name) for name in classes]
    count = len(values)
    if None in values or values in (list(range(count)), list(range(1, count + 1))):
        return True
    if max(labels) > count or min(labels) < 0:
        return True
    raise rows.error(
        0,
        f'the label {labels[0]} is the name of one class and the number of '
        f'another, because the classes {", ".join(classes)} are not in the '
        'order of their numbers',
        'Set label_base=0 or label_base=1 if the labels are numbers, or give '
        'the classes other names.',
    )


def _not_a_name(
    rows: ImageRows, row: int, numbers: Sequence[Optional[int]], classes: Sequence[str]
) -> ValueError:
    """Make the error for a label that is not a class name among class names."""
    field = rows.rows[row].fields[1]
    if numbers[row] is not None:
        return rows.error(
            row,
            f'the label {field!r} is a number, but the labels of other rows '
            'are names of classes',
            'Write all labels as names, or all as numbers.',
        )
    return rows.error(
        row,
        f'the label {field!r} is not an integer, nor the name of a class',
        suggest_name(field, classes),
    )


def _checked_numbers(
    rows: ImageRows,
    numbers: Sequence[Optional[int]],
    num_classes: int,
    classes: Optional[Sequence[str]],
) -> List[int]:
    """Return the labels of a list of numbers, each in 0..num_classes."""
    labels = []
    for row, label in enumerate(numbers):
        if label is None:
            raise _not_a_number(rows, row, classes)
        if label < 0:
            raise rows.error(
                row,
                f'the label {label} is negative',
                'Class indices start at 0 or 1; remove rows that have no label.',
            )
        if label > num_classes:
            raise rows.error(
                row,
                f'the label {label} is out of range for {num_classes} classes',
                'Correct the row, or num_classes.',
            )
        labels.append(label)
    return labels


def _not_a_number(
    rows: ImageRows, row: int, classes: Optional[Sequence[str]]
) -> ValueError:
    """Make the error for a label that is not a whole number."""
    field = rows.rows[row].fields[1]
    if is_number_like(field):
        return rows.error(
            row,
            f'the label {field!r} is not an integer',
            'The label is the last field of a row, a whole number such as 3 '
            'in the digits 0 to 9. (Valence and arousal are read by '
            'read_va_list.)',
        )
    if not field:
        way_out = 'Remove rows that have no label.'
    elif classes is None:
        way_out = (
            'Labels must be numbers unless the classes are named: '
            'classes=["...", ...] in ImageList.'
        )
    else:
        way_out = suggest_name(field, classes)
    return rows.error(
        row,
        f'the label {field!r} is not an integer'
        + ('' if classes is None else ', nor the name of a class'),
        way_out,
    )


def _detect_base(rows: ImageRows, labels: List[int], num_classes: int) -> int:
    """Return the first class index, 0 or 1, found from the labels.

    Raises:
        ValueError: The labels contain both 0 and ``num_classes``, or neither.
    """
    has_zero, has_last = 0 in labels, num_classes in labels
    if has_zero and has_last:
        line = rows.rows[labels.index(0)].line
        raise rows.error(
            labels.index(num_classes),
            f'the label {num_classes} needs labels to start at 1, but line '
            f'{line.number}, {line.text!r}, has a 0: that '
            f'makes more than {num_classes} classes',
            'Correct one of the two rows, or num_classes.',
        )
    if not has_zero and not has_last:
        raise ValueError(
            f'{rows.file.path}: the labels span {min(labels)}..'
            f'{max(labels)}, which fits {num_classes} classes counted from 0 '
            'as well as from 1. Set label_base=0 or label_base=1.'
        )
    return 0 if has_zero else 1


def _check_base(
    rows: ImageRows, labels: List[int], num_classes: int, base: int
) -> None:
    """Refuse labels that do not fit the given first class index."""
    if base not in (0, 1):
        raise ValueError(
            f'label_base={base!r} is neither 0 nor 1, the index that the '
            'first class has in the file. Remove it to have it detected.'
        )
    excluded = 0 if base == 1 else num_classes
    if excluded in labels:
        raise rows.error(
            labels.index(excluded),
            f'the label {excluded} is outside {base}..'
            f'{num_classes - 1 + base}, the range for {num_classes} classes '
            f'with label_base={base}',
            'Remove label_base to have it detected, or correct the row.',
        )
