"""Published formats of RAF-DB's label lists, and how to recognise them."""

import os
import re
from typing import List, Optional

import numpy as np

FORMATS = ('resup', 'eac', 'scn', 'jointgan', 'rafdb', 'plain')

RAFDB_LIST_NAMES = ('list_patition_label.txt', 'list_partition_label.txt')
"""File names of RAF-DB's own list: as published, and in correct spelling."""

RAFDB_CLASS_COUNTS = dict(
    train=(1290, 281, 717, 4772, 1982, 705, 2524),
    test=(329, 74, 160, 1185, 478, 162, 680),
)
"""Images per class of RAF-DB (basic) in its own order: surprise, fear,
disgust, happiness, sadness, anger, neutral; 12,271 and 3,068 in all."""

RAFDB_NAME = re.compile(r'((train|test)_[0-9]+)(?:_aligned)?(?:\.[A-Za-z]+)?')
"""Pattern of RAF-DB's image names; groups 1 and 2 are the key and the split."""


def detect_format(
    path: str,
    paths: List[str],
    names: List[str],
    labels: np.ndarray,
    num_classes: int,
    base: int,
) -> str:
    """Detect the format of a list from its images, labels and file name.

    RAF-DB's own list is recognised by its file name, or because it is
    complete. In either case, no class may have more rows than it has in
    RAF-DB. A noisy list that was saved under the name of the original is
    therefore not mistaken for the original. The joint GAN's list is
    recognised by its file name (``list_label_AffectnetModel.txt``), because
    its rows look like those of ReSup's list.

    Args:
        path (str): The file.
        paths (list[str]): (N,) the images as written.
        names (list[str]): (N,) their base names.
        labels (np.ndarray): (N,) 0-based labels.
        num_classes (int): Number of classes.
        base (int): First class index of the file, 0 or 1.

    Returns:
        str: One of :data:`FORMATS`.
    """
    splits = _rafdb_splits(names)
    if splits is None:
        return 'plain'
    complete = len(names) == sum(map(sum, RAFDB_CLASS_COUNTS.values()))
    own_name = os.path.basename(path).lower() in RAFDB_LIST_NAMES
    if (own_name or (complete and num_classes == 7)) and not _excess_over_rafdb(
        splits, labels, num_classes
    ):
        return 'rafdb'
    if (splits == 'train').all():
        has_folder = any(x != y for x, y in zip(paths, names, strict=True))
        if base == 0 and has_folder:
            return 'scn'
        return 'eac' if base == 1 and not has_folder else 'plain'
    if base == 0:
        return 'plain'
    # These two formats differ only in their labels and file names.
    named = 'affectnetmodel' in os.path.basename(path).lower()
    return 'jointgan' if named else 'resup'


def check_format(
    path: str, names: List[str], labels: np.ndarray, num_classes: int, format: str
) -> None:
    """Refuse a format that the list cannot have.

    Args:
        path (str): The file, for messages.
        names (list[str]): (N,) base names of the images.
        labels (np.ndarray): (N,) 0-based labels.
        num_classes (int): Number of classes.
        format (str): The format that was given.

    Raises:
        ValueError: The format is unknown; the images are not those of
            RAF-DB; or 'rafdb' is given and some class has more rows than
            RAF-DB.
    """
    if format not in FORMATS:
        raise ValueError(
            f'format={format!r} is none of {", ".join(FORMATS)}. Remove it '
            'to have the format detected.'
        )
    if format == 'plain':
        return
    splits = _rafdb_splits(names)
    if splits is None:
        other = next(x for x in names if not RAFDB_NAME.fullmatch(x))
        raise ValueError(
            f'{path}: the image {other!r} is not named as in RAF-DB '
            f'(train_00001.jpg), so this is not a {format!r} list. Remove '
            'format to have it detected.'
        )
    excess = _excess_over_rafdb(splits, labels, num_classes)
    if format == 'rafdb' and excess:
        raise ValueError(
            f'{path}: some classes have more rows than in RAF-DB ({excess} rows '
            "too many), so these are not RAF-DB's own labels. Give the list "
            'that came with the data set, EmoLabel/list_patition_label.txt.'
        )


def _rafdb_splits(names: List[str]) -> Optional[np.ndarray]:
    """Return (N,) 'train' or 'test'; None if a name is not one of RAF-DB."""
    splits = []
    for name in names:
        match = RAFDB_NAME.fullmatch(name)
        if match is None:
            return None
        splits.append(match.group(2))
    return np.array(splits)


def _excess_over_rafdb(splits: np.ndarray, labels: np.ndarray, num_classes: int) -> int:
    """Return how many rows exceed RAF-DB's class counts; 0 for its own list.

    Wrong labels do not change the number of rows, but they change the number
    of rows in each class. A complete noisy list therefore has a class with too
    many rows. The result is 0 if there are not 7 classes.
    """
    if num_classes != 7:
        return 0
    excess = 0
    for split, counts in RAFDB_CLASS_COUNTS.items():
        found = np.bincount(labels[splits == split], minlength=7)
        excess += int(np.maximum(found - counts, 0).sum())
    return excess
