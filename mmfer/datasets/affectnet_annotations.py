"""Annotations of AffectNet: read them from either release, and check them."""

import logging
import os
import os.path as osp
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Union, cast

import numpy as np
from mmengine.logging import print_log

from mmfer.utils import text_tables
from mmfer.utils.safe_pickle import Limits, read_array
from mmfer.utils.string_table import all_different
from mmfer.utils.text_files import clipped

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
# A file of one number has some hundred bytes.
SCALAR = Limits(file_size=1 << 20)
Number = Union[str, bytes, int, float]


@dataclass(frozen=True, eq=False)
class Annotations:
    """Annotations of N images, with unparsed values.

    Attributes:
        names (list[str]): Paths of the images below the folder of images.
        expression (list[str | int | float]): Numbers of the expressions.
        valence (list[str | int | float]): Valence, -2 for missing.
        arousal (list[str | int | float]): Arousal, -2 for missing.
        where (Callable): Function that returns file and line, or files, of a
            row, for messages.
        sample_id (list[str], optional): Numbers of the samples, in a table that
            mmfer wrote from a set with repeated images. Defaults to None.
    """

    names: List[str]
    expression: Sequence[Number]
    valence: Sequence[Number]
    arousal: Sequence[Number]
    where: Callable[[int], str]
    sample_id: Optional[List[str]] = None

    def labels(self) -> np.ndarray:
        """Return the expressions, int64 (N,), from 0 to 10.

        Raises:
            ValueError: An annotation is no whole number from 0 to 10.
        """
        # Parse each distinct field once; there are eleven.
        known = {written: _expression(written) for written in set(self.expression)}
        labels = np.fromiter(
            map(known.__getitem__, self.expression), np.int64, len(self.expression)
        )
        wrong = np.flatnonzero(labels < 0)
        if wrong.size:
            row = int(wrong[0])
            raise ValueError(
                f'{self.where(row)}: the expression of {clipped(self.names[row])!r} '
                f'is {clipped(repr(self.expression[row]))}. AffectNet numbers '
                f'{len(EMOTIONS)} emotions from 0, then none, uncertain and no face '
                f'up to {NUM_IDS - 1}. Correct or remove it.'
            )
        return labels

    def va(self, rows: np.ndarray) -> np.ndarray:
        """Return valence and arousal of some images.

        Args:
            rows (np.ndarray): int64 (n,).

        Returns:
            np.ndarray: float32 (n, 2) in [-1, 1], NaN for -2, which means
            missing.

        Raises:
            ValueError: A value is neither in [-1, 1] nor -2.
        """
        columns = dict(valence=self.valence, arousal=self.arousal)
        values = np.stack([as_numbers(c)[rows] for c in columns.values()], axis=1)
        known = (values >= -1) & (values <= 1)
        wrong = np.argwhere(~known & (values != MISSING_VA))
        if wrong.size:
            row, name = int(rows[wrong[0, 0]]), list(columns)[wrong[0, 1]]
            raise ValueError(
                f'{self.where(row)}: the {name} of {clipped(self.names[row])!r} is '
                f'{clipped(repr(columns[name][row]))}, neither in [-1, 1] nor '
                f'{MISSING_VA} for missing. Correct it, or write {MISSING_VA}.'
            )
        return np.where(known, values, np.nan).astype(np.float32)


def _expression(written: Number) -> int:
    """Return an expression from 0 to 10; -1 for anything else."""
    value = (
        text_tables.parse_whole_number(written)
        if isinstance(written, str)
        else as_number(written)
    )
    return int(value) if value is not None and value in range(NUM_IDS) else -1


def as_numbers(column: Sequence[Number]) -> np.ndarray:
    """Return fields as numbers, float64 (N,); see :func:`as_number`."""
    if all(type(written) is str for written in column):
        numbers = text_tables.parse_numbers(cast(Sequence[str], column))
        return np.array(numbers, dtype=np.float64)
    return np.array([as_number(written) for written in column], dtype=np.float64)


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


def check_repeats(
    annotations: Annotations, labels: np.ndarray, rows: np.ndarray
) -> None:
    """Log images that are annotated more than once.

    Args:
        annotations (Annotations): Annotations of N images.
        labels (np.ndarray): Their expressions, int64 (N,).
        rows (np.ndarray): Rows of the samples in use, int64 (n,).

    Raises:
        ValueError: An image has several labels, and no ``sample_id`` shows
            that they belong to several samples.
    """
    names, where = annotations.names, annotations.where
    if all_different([names[row] for row in rows.tolist()], text_tables.path_key):
        return
    numbers = annotations.sample_id
    seen: Dict[str, int] = {}
    repeats, differ = [], 0
    for row in rows.tolist():
        first = seen.setdefault(text_tables.path_key(names[row]), row)
        if first == row:
            continue
        if labels[first] != labels[row]:
            if not numbers or not numbers[first] or numbers[first] == numbers[row]:
                raise ValueError(
                    f'{where(row)}: {clipped(names[row])!r} has the '
                    f'expression {labels[row]}, and {labels[first]} at '
                    f'{where(first)}. An image can have one expression only. '
                    'Remove one of the two.'
                )
            differ += 1
        repeats.append((first, row))
    first, second = repeats[0]
    print_log(
        f'AffectNet: {len(repeats)} of {len(rows)} samples repeat '
        f'an image, {differ} of them with another expression, e.g. '
        f'{names[second]} at {where(first)} and {where(second)}. All are '
        'used.',
        'current',
        level=logging.WARNING,
    )


def read_release_table(path: str) -> Annotations:
    """Read a table of the CSV release, with or without its header.

    Args:
        path (str): ``training.csv`` or ``validation.csv``.

    Returns:
        Annotations: Annotations of all rows.

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
    names, expression, valence, arousal = (table.columns[name] for name in WANTED)
    if table.decimal_comma:
        expression, valence, arousal = (
            [text.replace(',', '.') for text in column]
            for column in (expression, valence, arousal)
        )
    return Annotations(
        names, expression, valence, arousal, table.where, table.columns.get('sample_id')
    )


def annotated_names(folder: str) -> List[str]:
    """Return the ids of the files ``<id>_exp.npy`` of a folder, by number."""
    end = '_exp.npy'
    names = [name[: -len(end)] for name in os.listdir(folder) if name.endswith(end)]
    # Ids have no leading zeros, so this order is that of the numbers.
    return sorted(names, key=lambda name: (len(name), name))


def read_annotations(folder: str, names: Iterable[str]) -> Annotations:
    """Read the annotations of the per-image release.

    Args:
        folder (str): Folder of ``<id>_exp.npy``, ``<id>_val.npy`` and
            ``<id>_aro.npy``.
        names (Iterable[str]): Ids of the images.

    Returns:
        Annotations: Annotations of all ids; the image of each is ``<id>.jpg``.

    Raises:
        FileNotFoundError: One of the three files is missing.
        ValueError: A file does not hold one number.
    """
    images: List[str] = []
    columns: Dict[str, List[Number]] = dict(exp=[], val=[], aro=[])
    for name in names:
        images.append(f'{name}.jpg')
        for end, column in columns.items():
            column.append(read_scalar(osp.join(folder, f'{name}_{end}.npy')))

    def where(row: int) -> str:
        return f'{osp.join(folder, images[row].removesuffix(".jpg"))}_*.npy'

    return Annotations(images, columns['exp'], columns['val'], columns['aro'], where)


def read_scalar(path: str) -> Number:
    """Read a ``.npy`` file that holds one value, a number or text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold one value. Pickles are refused, because
            they can run code.
    """
    try:
        value = read_array(path, SCALAR).item()
        return value.decode() if isinstance(value, bytes) else value
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing: AffectNet has an _exp, a _val and an '
            '_aro.npy for every image. Copy the annotations again, or remove '
            'those of this image.'
        ) from None
    except ValueError as error:
        raise ValueError(
            f'{path} does not hold a single number ({clipped(str(error))}). Copy '
            'the file again, or remove the annotations of this image.'
        ) from error
