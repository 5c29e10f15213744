"""Reading of lists with valence and arousal."""

import os
from typing import NamedTuple, Tuple

import numpy as np

from mmfer.utils.text_files import PathLike
from mmfer.utils.text_lists import read_list
from mmfer.utils.text_tables import IMAGE_COLUMNS, parse_number

from .images import base_name, check_unique


class VAList(NamedTuple):
    """Images with valence and arousal; see :func:`read_va_list`.

    Attributes:
        names (tuple[str]): (N,) base names, as written.
        va (np.ndarray): float32 (N, 2), valence and arousal, not clipped.
    """

    names: Tuple[str, ...]
    va: np.ndarray

    @property
    def value_range(self) -> Tuple[float, float]:
        """Smallest and largest value."""
        return float(self.va.min()), float(self.va.max())


def read_va_list(path: PathLike) -> VAList:
    """Read a valence-arousal list, such as the joint GAN's for RAF-DB.

    A row is ``train_00001.jpg -0.341 -0.129``: image, valence, arousal.

    Values are returned as written. A network predicted them, so they can lie
    outside [-1, 1]; in the published file, they go from about -1.09 to 1.23.
    ``value_range`` of the result is their smallest and largest value. The
    joint GAN needs values in [-1, 1]: clip them with ``np.clip(va, -1, 1)``.
    The published file also has test rows. They are predictions, too, and must
    not be used for evaluation.

    Args:
        path (str or os.PathLike): The file.

    Returns:
        VAList: ``(names, va)``, base names and float32 (N, 2).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty or not text; a row cannot be parsed; a
            value is not finite; or an image appears twice.
    """
    path = os.fspath(path)
    wrong = (
        'there are no two numbers after the image name',
        'A row is image, valence and arousal. (Label lists are read by '
        'read_label_list.)',
    )
    rows = read_list(
        path,
        dict(
            image=IMAGE_COLUMNS, valence=('valence', 'val'), arousal=('arousal', 'aro')
        ),
        'list of valence and arousal',
        '"train_00001.jpg -0.341 -0.129"',
        wrong,
    )
    names, values = [], []
    for position, row in enumerate(rows.rows):
        found = [parse_number(x, rows.decimal_comma) for x in row.fields[1:]]
        pair = [value for value in found if value is not None]
        if len(pair) < len(found):
            raise rows.error(position, *wrong)
        # 1e300 is finite as a float64, but not as a float32.
        with np.errstate(over='ignore'):
            finite = np.isfinite(np.array(pair, dtype=np.float32)).all()
        if not finite:
            raise rows.error(
                position,
                'valence or arousal is not finite',
                'Remove rows that have no value.',
            )
        names.append(base_name(row.fields[0]))
        values.append(pair)
    check_unique(path, [row.line for row in rows.rows], names)
    return VAList(tuple(names), np.array(values, dtype=np.float32))
