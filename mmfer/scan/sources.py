"""Turn a folder or a list into a data set that can be scanned."""

import difflib
import os
import os.path as osp
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from mmfer.datasets import RAFDB, FERDataset, FERPlus, ImageFolders
from mmfer.datasets.class_folders import find_class_folders
from mmfer.datasets.ferplus import TABLE as FERPLUS_TABLE
from mmfer.datasets.lists import RAFDB_LIST_NAMES
from mmfer.datasets.lists.list_rows import (
    Rows,
    find_repeats,
    guess_classes,
    label_indices,
    read_rows,
)
from mmfer.utils.text_tables import is_foreign_path, join_listed, read_class_names

# Endings of files that are read as lists.
LIST_ENDINGS = ('.csv', '.txt', '.tsv', '.lst', '.list')
# If a larger share of the listed images does not exist, the folder is wrong.
MAX_MISSING = 0.5
# Number of names that a message shows.
SHOWN = 5


class ListedImages(FERDataset):
    """Images with labels, as the rows of a list say.

    Unlike ``ImageList`` it takes rows that were read before.

    Args:
        images (Sequence[str]): Paths of the images, relative to ``data_root``, (N,).
        labels (np.ndarray): Labels, int64 (N,).
        **kwargs: See :class:`~mmfer.datasets.FERDataset`.
    """

    def __init__(self, images: Sequence[str], labels: np.ndarray, **kwargs):
        self._listed = list(images), np.asarray(labels)
        super().__init__(**kwargs)

    def load_samples(self) -> List[dict]:
        """Return the rows as samples."""
        images, labels = self._listed
        del self._listed
        return [
            dict(img_path=join_listed(self.data_root, image), gt_label=label)
            for image, label in zip(images, labels.tolist(), strict=True)
        ]


@dataclass
class Source:
    """Data set to scan, and what was found when it was read.

    Attributes:
        dataset (FERDataset): All images with their given labels.
        path (str): The folder, list or config that the user named.
        kind (str): ``'folder'``, ``'list'``, ``'data set'`` or ``'config'``.
        notes (list[str]): What was ignored or guessed, a sentence each.
        warnings (list[str]): What makes results doubtful, a sentence each.
        columns (dict[str, list[str]]): Further columns of a list, (N,) each.
        settings (dict): Settings with which the registry builds the data set again;
            empty for a list, whose rows are only in memory.
    """

    dataset: FERDataset
    path: str
    kind: str
    notes: List[str] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    columns: Dict[str, List[str]] = field(default_factory=dict)
    settings: Dict[str, Any] = field(default_factory=dict)


def find_source(
    path: str, data_root: Optional[str] = None, classes: Optional[str] = None
) -> Source:
    """Read a folder per class, a list, or the folder of FERPlus or RAF-DB.

    Args:
        path (str): Folder or list.
        data_root (str, optional): Folder that the paths in a list start from.
            Defaults to the folder of the list.
        classes (str, optional): File with one class name per line.

    Raises:
        OSError: Files are missing or cannot be read.
        ValueError: The folder or the list cannot be used.
    """
    path = osp.expanduser(path)
    names = None if classes is None else read_class_names(classes)
    if osp.isdir(path):
        if data_root is not None:
            raise ValueError(
                f'--data-root {data_root} is for lists, but {path} is a folder. Leave '
                'it out.'
            )
        known = _known_layout(path) if names is None else None
        return known or _from_folders(path, names)
    if not osp.exists(path):
        raise FileNotFoundError(
            f'{path}: there is no such folder, list or config. Name a folder that has '
            'one folder of images for each class, or a list of images and labels '
            f'(relative to {os.getcwd()!r}).' + _nearest(path)
        )
    if osp.getsize(path) == 0:
        raise ValueError(f'{path}: this file is empty.')
    return _from_list(path, data_root, names)


def _nearest(path: str) -> str:
    """Return a question that names the nearest file beside a path, or nothing."""
    folder, name = osp.split(osp.normpath(path))
    try:
        beside = os.listdir(folder or os.curdir)
    except OSError:
        return ''
    near = difflib.get_close_matches(name, beside, 1)
    return f' Did you mean {osp.join(folder, near[0])}?' if near else ''


def _known_layout(path: str) -> Optional[Source]:
    """Return the training set in a folder of FERPlus or RAF-DB; None for others."""
    if osp.isfile(osp.join(path, FERPLUS_TABLE)):
        dataset: FERDataset = FERPlus(path, check_files=False, image_store=False)
    elif any(osp.isfile(osp.join(path, 'EmoLabel', n)) for n in RAFDB_LIST_NAMES):
        dataset = RAFDB(path, check_files=False, image_store=False)
    else:
        return None
    note = f'This is the folder of {dataset.name}; its training images are scanned.'
    settings = dict(type=dataset.name, data_root=osp.abspath(path))
    return Source(dataset, path, 'data set', [note], settings=settings)


# -- folders -----------------------------------------------------------------
def _from_folders(path: str, names: Optional[List[str]]) -> Source:
    """Return the source of a folder per class."""
    found = find_class_folders(path)
    notes = []
    if names is not None:
        missing = [name for name in names if name not in found.classes]
        if missing:
            raise ValueError(
                f'{path}: there is no folder with images for the class '
                f'{", ".join(missing[:SHOWN])}. Its folders are '
                f'{", ".join(found.classes[:20])}. Correct --classes or the folders.'
            )
        rest = [name for name in found.classes if name not in names]
        if rest:
            notes.append(f'Folders that --classes does not name: {_some(rest)}.')
    if found.empty:
        notes.append(f'Folders without images: {_some(found.empty)}.')
    if found.stray:
        notes.append(
            'Images beside the class folders have no class, and are left out '
            f'({len(found.stray)}): {_some(map(osp.basename, found.stray))}.'
        )
    if found.others:
        names_of = (osp.relpath(name, path) for name in found.others)
        notes.append(
            'Files without the ending of an image are left out '
            f'({len(found.others)}): {_some(names_of)}.'
        )
    classes = names or found.classes
    dataset = ImageFolders(path, classes=classes, image_store=False, lazy_init=True)
    settings = dict(type='ImageFolders', data_root=osp.abspath(path), classes=classes)
    return Source(dataset, path, 'folder', notes, settings=settings)


# -- lists -------------------------------------------------------------------
def _from_list(
    path: str, data_root: Optional[str], names: Optional[List[str]]
) -> Source:
    """Return the source of a list of images and labels."""
    rows = read_rows(path)
    notes, warnings = [], []
    classes = names
    beside = osp.join(osp.dirname(path), 'classes.txt')
    if classes is None and osp.isfile(beside):
        classes = read_class_names(beside)
        notes.append(f'Classes: {_some(classes, 20)}, from {beside}.')
    elif classes is None:
        classes = guess_classes(rows, path)
        notes.append(
            'Classes found in the list: '
            + _some(classes, 20)
            + '. --classes FILE names them, one per line.'
        )
    labels = label_indices(rows, classes, path)
    root = _find_root(path, data_root, rows)
    repeats = find_repeats(rows.images, labels, root)
    if repeats.same:
        notes.append(
            f'{len(repeats.same)} rows name an image again, with the same label, and '
            f'are left out: {_some(rows.images[row] for row in repeats.same)}.'
        )
    if repeats.other:
        places = (
            f'{rows.images[row]} ({classes[labels[before]]} in line '
            f'{rows.lines[before]}, {classes[labels[row]]} in line {rows.lines[row]})'
            for row, before in repeats.other
        )
        warnings.append(
            f'{len(repeats.other)} rows give an image another label than an earlier '
            f'row, and the earlier row counts: {_some(places)}. Correct the list.'
        )
    if rows.columns:
        notes.append(
            'Further columns, one of which can be --groups, such as persons: '
            f'{_some(rows.columns)}.'
        )
    kept = np.ones(len(labels), bool)
    kept[repeats.same + [row for row, _ in repeats.other]] = False
    rows_kept = np.flatnonzero(kept).tolist()
    dataset = ListedImages(
        [rows.images[row] for row in rows_kept],
        labels[kept],
        data_root=root,
        classes=classes,
        check_files=False,
        image_store=False,
        lazy_init=True,
    )
    columns = {n: [c[row] for row in rows_kept] for n, c in rows.columns.items()}
    return Source(dataset, path, 'list', notes, warnings, columns)


def _find_root(path: str, data_root: Optional[str], rows: Rows) -> str:
    """Return the folder that the paths in a list start from.

    Raises:
        FileNotFoundError: Most images do not exist there.
        ValueError: An image has a path of another system.
    """
    foreign = next((i for i, n in enumerate(rows.images) if is_foreign_path(n)), None)
    if foreign is not None:
        raise ValueError(
            f'{path}, line {rows.lines[foreign]}: {rows.images[foreign]!r} is an '
            'absolute path of Windows. Write the paths relative to a folder, and name '
            'it with --data-root.'
        )
    if data_root is not None:
        roots = [osp.expanduser(data_root)]
        if not osp.isdir(roots[0]):
            raise FileNotFoundError(
                f'--data-root {data_root}: there is no such folder.'
            )
    else:
        # Lists name images from their own folder, or from where programs start.
        roots = list(dict.fromkeys([osp.dirname(path) or os.curdir, os.curdir]))
    missing = {root: _missing(root, rows.images) for root in roots}
    root = min(roots, key=lambda root: len(missing[root]))
    if len(missing[root]) > MAX_MISSING * len(rows.images):
        first = osp.join(root, missing[root][0])
        raise FileNotFoundError(
            f'{path}: {len(missing[root])} of the {len(rows.images)} listed images do '
            f'not exist; the first would be {first}. Name the folder that the paths '
            'start from with --data-root'
            + ('.' if data_root is None else f'; it is {data_root} now.')
        )
    return root


def _missing(root: str, images: Sequence[str]) -> List[str]:
    """Return the images that do not exist."""
    return [name for name in images if not osp.isfile(join_listed(root, name))]


def _some(names, limit: int = SHOWN) -> str:
    """Return some names for a message, and how many more there are."""
    found = list(names)
    more = len(found) - limit
    return ', '.join(map(str, found[:limit])) + (
        f', and {more} more' if more > 0 else ''
    )
