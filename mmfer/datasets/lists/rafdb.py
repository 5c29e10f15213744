"""Label lists of RAF-DB: keys of images, splits, and joining of two lists."""

from typing import List, Sequence

import numpy as np

from mmfer.utils.text_files import clipped

from .formats import RAFDB_NAME
from .images import base_name
from .label_list import LabelList


def rafdb_key(name: str) -> str:
    """Return the part of an image name that all lists of RAF-DB share.

    ``train_00001.jpg``, ``train_00001_aligned.jpg`` and
    ``/some/where/aligned/train_00001_aligned.jpg`` all give
    ``train_00001``.

    Args:
        name (str): Image name or path, with either separator.

    Returns:
        str: ``train_`` or ``test_`` and the number as written.

    Raises:
        ValueError: The image is not named as RAF-DB's images are.
    """
    match = RAFDB_NAME.fullmatch(base_name(name))
    if match is None:
        raise ValueError(
            f'{clipped(name)!r} is not the name of a RAF-DB image. Expected e.g. '
            'train_00001.jpg, test_0001.jpg or train_00001_aligned.jpg.'
        )
    return match.group(1)


def rafdb_split_rows(label_list: LabelList, split: str) -> np.ndarray:
    """Return the rows of a RAF-DB list that belong to a split.

    Test rows are returned only for RAF-DB's own list.

    Args:
        label_list (LabelList): A list of RAF-DB images.
        split (str): 'train' or 'test'.

    Returns:
        np.ndarray: int64, ascending indices into names and labels.

    Raises:
        ValueError: The split is unknown; the list has images of other data
            sets; it has no rows of the split; or test rows are requested and
            it is not RAF-DB's own list.
    """
    if split not in ('train', 'test'):
        raise ValueError(
            f"split={split!r} is neither 'train' nor 'test', the two parts "
            'of RAF-DB. It has no validation part; make one from train.'
        )
    keys = _keys(label_list, label_list.names)
    rows = np.flatnonzero([key.startswith(split) for key in keys])
    own = "RAF-DB's own list, EmoLabel/list_patition_label.txt"
    if not rows.size:
        raise ValueError(
            f'{label_list.path}: this {label_list.format!r} list of '
            f'{len(label_list)} rows has no {split} rows. {own}, has both. If this '
            'is that list, unpack the data set again.'
        )
    if split == 'test' and label_list.format != 'rafdb':
        raise ValueError(
            f'{label_list.path}: the test rows of this '
            f'{label_list.format!r} list cannot be evaluated on. Published '
            'noisy lists have wrong labels there too (ReSup flips test rows '
            "at the rate of the train rows, the joint GAN's are a model's "
            "predictions), so only RAF-DB's own labels are used. Take them from "
            f'{own}. It is recognised by its file name and by its class counts.'
        )
    return rows


def merge_rafdb_train_labels(
    clean: LabelList, noisy: LabelList, partial: bool = False
) -> np.ndarray:
    """Return a noisy label for each train row of RAF-DB's own list.

    Rows are joined by :func:`rafdb_key`, never by position. Test rows of the
    noisy list are ignored.

    Args:
        clean (LabelList): RAF-DB's own list (format 'rafdb').
        noisy (LabelList): Any list of RAF-DB train images.
        partial (bool): Whether the noisy list may lack some of them.
            Defaults to False.

    Returns:
        np.ndarray: int64, one noisy label for each row of
        ``rafdb_split_rows(clean, 'train')``, in that order; -1 where a
        partial list has no label.

    Raises:
        ValueError: ``clean`` is not RAF-DB's own list; the numbers of
            classes differ; a train image of one list is missing in the
            other; or see :func:`rafdb_split_rows`.
    """
    if clean.format != 'rafdb':
        raise ValueError(
            f'{clean.path}: the clean list has format {clean.format!r}, it '
            "is not RAF-DB's own list. Give RAF-DB's own list first, then the "
            'noisy one; read a copy under another name with '
            "read_label_list(..., format='rafdb')."
        )
    if clean.num_classes != noisy.num_classes:
        raise ValueError(
            f'{noisy.path} was read with {noisy.num_classes} classes, '
            f'{clean.path} with {clean.num_classes}. Read both with the '
            'same num_classes.'
        )
    wanted = [rafdb_key(clean.names[i]) for i in rafdb_split_rows(clean, 'train')]
    given = {
        rafdb_key(noisy.names[i]): noisy.labels[i]
        for i in rafdb_split_rows(noisy, 'train')
    }
    missing = [key for key in wanted if key not in given]
    if missing and not partial:
        raise ValueError(
            f'{noisy.path} has no label for {len(missing)} of {len(wanted)} '
            f'train images of {clean.path}: {_first_few(missing)}. Complete '
            'the list, or use one made for the same images. If images were '
            'removed on purpose, e.g. by a cleaning, set partial_list=True.'
        )
    unknown = sorted(set(given).difference(wanted))
    if unknown:
        raise ValueError(
            f'{noisy.path} has labels for {len(unknown)} train images that '
            f'{clean.path} does not have: {_first_few(unknown)}. Remove '
            'them, or use a list made for the same images.'
        )
    return np.array([given.get(key, -1) for key in wanted], dtype=np.int64)


def _keys(label_list: LabelList, names: Sequence[str]) -> List[str]:
    """Return the keys of names; the error for a foreign one names the list."""
    try:
        return [rafdb_key(name) for name in names]
    except ValueError as error:
        raise ValueError(f'{label_list.path}: {error}') from None


def _first_few(names: List[str], count: int = 5) -> str:
    """Return the first few names, followed by dots if there are more."""
    few = ', '.join(clipped(name, 80) for name in names[:count])
    return few + (', ...' if len(names) > count else '')
