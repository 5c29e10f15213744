"""Groups of images that belong together, such as those of one person.

The labels of a group are scored by images outside of it. Otherwise a wrong label that
was copied to twenty frames of a video would look right.
"""

import os
import os.path as osp
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from .duplicates import connected
from .sources import Source


@dataclass(frozen=True)
class Groups:
    """Groups of N images.

    Attributes:
        index (np.ndarray): Group of each image, the row of its first image, int64 (N,).
        text (str): What the groups are, for people.
    """

    index: np.ndarray
    text: str


def find_groups(source: Source, how: str, duplicates: np.ndarray) -> Groups:
    """Return the groups that a user asks for, joined with near duplicates.

    Args:
        source (Source): Images.
        how (str): ``'auto'``: near duplicates. ``'none'``: each image by itself.
            ``'folder'``: images in folders of the same name, below the class folders.
            Otherwise a column of the list.
        duplicates (np.ndarray): Groups of duplicates, int64 (N,).

    Raises:
        ValueError: There is no such column, or folders are the same as classes.
    """
    if how == 'none':
        return Groups(np.arange(len(duplicates)), 'each image by itself')
    if how == 'auto':
        return Groups(duplicates, 'near duplicates')
    if how == 'folder':
        names, text = _folders(source), 'folders and near duplicates'
    else:
        names, text = _column(source, how), f'column {how!r} and near duplicates'
    first, place = _first_rows(names)
    rows = np.arange(len(names))
    pairs = np.concatenate(
        [np.stack([rows, first[place]], 1), np.stack([rows, duplicates], 1)]
    )
    index = connected(len(names), pairs)
    _refuse_large(source, index, how)
    return Groups(index, text)


def _first_rows(names: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
    """Return the first row of each different name, and the name of each row."""
    seen: Dict[str, int] = {}
    place = np.array([seen.setdefault(name, len(seen)) for name in names])
    first = np.full(len(seen), len(names))
    np.minimum.at(first, place, np.arange(len(names)))
    return first, place


def _folders(source: Source) -> List[str]:
    """Return the name of the folder of each image, without that of its class."""
    dataset = source.dataset
    names = dataset.image_names()
    folders = [osp.dirname(name) for name in names]
    if source.kind == 'folder':
        # happy/anna/1.png and sad/anna/2.png are one group.
        folders = [folder.partition(os.sep)[2] for folder in folders]
        if not any(folders):
            raise ValueError(
                '--groups folder: the images lie directly in the class folders, so '
                'folders do not tell persons or videos apart. Use --groups auto, or '
                'sort them into folders inside the class folders.'
            )
        # Images without a folder of their own are no group.
        folders = [f or f'\0{row}' for row, f in enumerate(folders)]
    return folders


def _column(source: Source, name: str) -> List[str]:
    """Return a column of the list; a row without a value is a group of its own."""
    found = {key.strip().casefold(): key for key in source.columns}
    key = found.get(name.strip().casefold())
    if key is None:
        raise ValueError(
            f'--groups {name}: {source.path} has no such column. '
            + (
                f'Its further columns are {", ".join(source.columns)}.'
                if source.columns
                else 'It has no further columns; use auto or folder.'
            )
        )
    values = source.columns[key]
    return [value.strip() or f'\0{row}' for row, value in enumerate(values)]


def _refuse_large(source: Source, index: np.ndarray, how: str) -> None:
    """Refuse groups of which one holds most images, since little is left to learn."""
    largest = np.bincount(index).max()
    if len(np.unique(index)) < 2 or largest > 0.9 * len(index):
        raise ValueError(
            f'--groups {how}: one group has {largest} of {len(index)} images. The '
            'labels of a group are compared with images of other groups, so there '
            'must be several, such as persons. Use --groups auto.'
        )
