"""Annotations of AffectNet: read them from either release, and check them."""

import logging
import os
import os.path as osp
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Union

import numpy as np
from mmengine.logging import print_log

from mmfer.utils import text_tables

from .noise import MISSING_VA

EMOTIONS = (
    'neutral',
    'happy',
    'sad',
    'surprise',
    'fear',
    'disgust',
    'anger',
    'contempt',
)
# Number of labels in the release: the emotions, then none, uncertain and no face.
NUM_IDS = len(EMOTIONS) + 3
# Columns of the CSV release in its order, in lower case.
COLUMNS = (
    'subdirectory_filepath',
    'face_x',
    'face_y',
    'face_width',
    'face_height',
    'facial_landmarks',
    'expression',
    'valence',
    'arousal',
)
WANTED = ('subdirectory_filepath', 'expression', 'valence', 'arousal')
Number = Union[str, bytes, int, float]


class Annotation(NamedTuple):
    """Annotation of one image, with unparsed values.

    Attributes:
        name (str): Path of the image below the folder of images.
        where (str): File and line, or files, for messages.
        expression (str | bytes | int | float): Number of the expression.
        valence (str | bytes | int | float): Valence, -2 for missing.
        arousal (str | bytes | int | float): Arousal, -2 for missing.
        sample_id (str): Number of the sample, in a table that mmfer wrote
            from a set with repeated images; '' in other tables.
    """

    name: str
    where: str
    expression: Number
    valence: Number
    arousal: Number
    sample_id: str = ''


def expression_label(annotation: Annotation) -> int:
    """Return the expression of an image, from 0 to 10.

    Raises:
        ValueError: The annotation is no whole number from 0 to 10.
    """
    written = annotation.expression
    value = (
        text_tables.parse_whole_number(written)
        if isinstance(written, str)
        else as_number(written)
    )
    if value is None or value not in range(NUM_IDS):
        raise ValueError(
            f'{annotation.where}: the expression of {annotation.name!r} is '
            f'{written!r}. AffectNet numbers {len(EMOTIONS)} emotions from '
            f'0, then none, uncertain and no face up to {NUM_IDS - 1}. '
            'Correct or remove it.'
        )
    return int(value)


def as_number(written: Number) -> float:
    """Return a field of a table or the content of a file as a number.

    Args:
        written (str | bytes | int | float): Value in the release.

    Returns:
        float: NaN if it is not a number.
    """
    if isinstance(written, str):
        value = text_tables.parse_number(written)
        return np.nan if value is None else value
    try:
        return float(written)
    except (TypeError, ValueError):
        return np.nan


def va_pair(annotation: Annotation) -> np.ndarray:
    """Return valence and arousal of an image.

    Returns:
        np.ndarray: float32 (2,) in [-1, 1], NaN for -2, which means missing.

    Raises:
        ValueError: A value is neither in [-1, 1] nor -2.
    """
    pair = np.full(2, np.nan, dtype=np.float32)
    for i, name in enumerate(('valence', 'arousal')):
        written = getattr(annotation, name)
        value = as_number(written)
        if -1 <= value <= 1:
            pair[i] = value
        elif value != MISSING_VA:
            raise ValueError(
                f'{annotation.where}: the {name} of {annotation.name!r} is '
                f'{written!r}, neither in [-1, 1] nor {MISSING_VA} for '
                f'missing. Correct it, or write {MISSING_VA}.'
            )
    return pair


def check_repeats(annotations: Sequence[Annotation]) -> None:
    """Log images that are annotated more than once.

    Args:
        annotations (Sequence[Annotation]): Annotations of all samples.

    Raises:
        ValueError: An image has several labels, and no ``sample_id`` shows
            that they belong to several samples.
    """
    seen: Dict[str, Annotation] = {}
    repeats, differ = [], 0
    for annotation in annotations:
        key = text_tables.path_key(annotation.name)
        first = seen.setdefault(key, annotation)
        if first is annotation:
            continue
        labels = expression_label(first), expression_label(annotation)
        if labels[0] != labels[1]:
            if not first.sample_id or first.sample_id == annotation.sample_id:
                raise ValueError(
                    f'{annotation.where}: {annotation.name!r} has the '
                    f'expression {labels[1]}, and {labels[0]} at '
                    f'{first.where}. An image can have one expression only. '
                    'Remove one of the two.'
                )
            differ += 1
        repeats.append((first, annotation))
    if repeats:
        first, second = repeats[0]
        print_log(
            f'AffectNet: {len(repeats)} of {len(annotations)} samples repeat '
            f'an image, {differ} of them with another expression, e.g. '
            f'{second.name} at {first.where} and {second.where}. All are '
            'used.',
            'current',
            level=logging.WARNING,
        )


def read_release_table(path: str) -> Iterator[Annotation]:
    """Read a table of the CSV release, with or without its header.

    Args:
        path (str): ``training.csv`` or ``validation.csv``.

    Yields:
        Annotation: Annotation of each row.

    Raises:
        ValueError: The table or a row has other columns.
    """
    table = text_tables.read_table(
        path,
        {name: [name] for name in (*WANTED, 'sample_id')},
        'training.csv or '
        'validation.csv of the manually annotated part of AffectNet, with '
        f'the columns {", ".join(WANTED)} (in upper or lower case), or without '
        f'a header and with all {len(COLUMNS)} columns',
        optional=['sample_id'],
        headless=COLUMNS,
    )
    columns = [table.columns[name] for name in WANTED]
    ids = table.columns.get('sample_id', [''] * len(table))
    for row, (name, *values) in enumerate(zip(*columns)):
        if table.decimal_comma:
            values = [value.replace(',', '.') for value in values]
        expression, valence, arousal = values
        yield Annotation(name, table.where(row), expression, valence, arousal, ids[row])


def annotated_names(folder: str) -> List[str]:
    """Return the ids of the files ``<id>_exp.npy`` of a folder, by number."""
    end = '_exp.npy'
    names = [name[: -len(end)] for name in os.listdir(folder) if name.endswith(end)]
    # Ids have no leading zeros, so this order is that of the numbers.
    return sorted(names, key=lambda name: (len(name), name))


def read_annotations(folder: str, names: Iterable[str]) -> Iterator[Annotation]:
    """Read the annotations of the per-image release.

    Args:
        folder (str): Folder of ``<id>_exp.npy``, ``<id>_val.npy`` and
            ``<id>_aro.npy``.
        names (Iterable[str]): Ids of the images.

    Yields:
        Annotation: Annotation of each id; its name is ``<id>.jpg``.

    Raises:
        FileNotFoundError: One of the three files is missing.
        ValueError: A file does not hold one number.
    """
    for name in names:
        stem = osp.join(folder, name)
        yield Annotation(
            f'{name}.jpg',
            f'{stem}_*.npy',
            read_scalar(f'{stem}_exp.npy'),
            read_scalar(f'{stem}_val.npy'),
            read_scalar(f'{stem}_aro.npy'),
        )


def read_scalar(path: str) -> Number:
    """Read a ``.npy`` file that holds one value, a number or text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold one value. Pickles are refused, because
            they can run code.
    """
    try:
        value = np.load(path, allow_pickle=False).item()
        return value.decode() if isinstance(value, bytes) else value
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing: AffectNet has an _exp, a _val and an '
            '_aro.npy for every image. Copy the annotations again, or remove '
            'those of this image.'
        ) from None
    except (EOFError, ValueError, AttributeError) as error:
        raise ValueError(
            f'{path} does not hold a single number ({error}). Copy the file '
            'again, or remove the annotations of this image.'
        ) from error
