"""Write what is left after the decisions: a cleaned list, or a cleaned folder."""

import csv
import io
import os
import os.path as osp
import re
import shutil
from collections import Counter
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import (
    ScoreTable,
    labels_after_decisions,
    read_columns,
    read_decisions,
)
from mmfer.utils.csv_cells import guard_path
from mmfer.utils.files import write_atomic

LIST_NAME = 'cleaned_list'
# Signs that no folder can have in its name on all systems.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


class Kept(NamedTuple):
    """Images that are left after the decisions, M of them.

    Attributes:
        rows (np.ndarray): Rows of the table, int64 (M,).
        labels (np.ndarray): Labels after the decisions, int64 (M,).
    """

    rows: np.ndarray
    labels: np.ndarray


def kept_images(table: ScoreTable, classes: Sequence[str]) -> Kept:
    """Return the images that the decisions keep, with their labels.

    Args:
        table (dict[str, np.ndarray]): Columns (N,).
        classes (Sequence[str]): Names of the classes.

    Raises:
        ValueError: No image is left, or all images of a class are dropped.
    """
    kept, labels = labels_after_decisions(table)
    rows = np.flatnonzero(kept)
    before = np.bincount(table['given_label'], minlength=len(classes))
    after = np.bincount(labels[rows], minlength=len(classes))
    lost = [classes[i] for i in np.flatnonzero((before > 0) & (after == 0)).tolist()]
    if lost:
        raise ValueError(
            f'No image of the class {", ".join(lost)} is left after the decisions, so '
            'nothing was written. Keep more with --keep-share, or decide on the page.'
        )
    return Kept(rows, labels[rows])


def decided_table(dataset: FERDataset, path: str, scanned: str) -> ScoreTable:
    """Return the table that a person downloaded from the page, as a score table.

    Args:
        dataset (FERDataset): The images.
        path (str): The table.
        scanned (str): Table of the scan, which says what cannot be read, and which
            images are copies.
    """
    names = dataset.names_by_id()
    table = read_decisions(
        path,
        names,
        dataset.given_labels,
        dataset.sample_ids,
        dataset.num_classes,
        dataset.CLASSES,
    )
    if osp.isfile(scanned):
        own = read_columns(scanned, ['sample_id', 'readable', 'duplicate_of'])
        numbers = {name: own.whole_numbers(name) for name in own.columns}
        order = np.argsort(numbers['sample_id'])
        # A scan of an earlier state of the images says nothing about them.
        if np.array_equal(np.array(numbers['sample_id'])[order], table['sample_id']):
            for name in ('readable', 'duplicate_of'):
                table[name] = np.array(numbers[name])[order]
            table['decision'][table['readable'] == 0] = 'drop'
    images = [names[i] for i in table['sample_id'].tolist()]
    return dict(table, image=np.array(images, dtype=object))


def count_decisions(table: ScoreTable) -> str:
    """Return how many labels are kept, changed and dropped, in words.

    Args:
        table (dict[str, np.ndarray]): Columns (N,).
    """
    decision = table['decision']
    broken = table.get('readable', np.ones(len(decision), int)) == 0
    counts = {
        'kept': (decision == 'keep').sum(),
        'with a new label': (decision == 'relabel').sum(),
        'dropped': ((decision == 'drop') & ~broken).sum(),
        'unreadable': broken.sum(),
    }
    return ', '.join(f'{count:,} {name}' for name, count in counts.items() if count)


def open_conflicts(table: ScoreTable) -> List[str]:
    """Return a warning if copies of one image are kept with different labels.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); without ``duplicate_of`` nothing
            is known about copies.
    """
    if 'duplicate_of' not in table:
        return []
    kept, labels = labels_after_decisions(table)
    first = np.where(
        table['duplicate_of'] < 0, table['sample_id'], table['duplicate_of']
    )
    pairs = set(zip(first[kept].tolist(), labels[kept].tolist()))
    groups = [group for group, _ in pairs]
    count = sum(number > 1 for number in Counter(groups).values())
    if not count:
        return []
    return [
        f'WARNING: {count:,} {"group" if count == 1 else "groups"} of duplicates still '
        'with different labels, so some of them are wrong: see report.txt, or sort '
        'the page by duplicates.'
    ]


def list_text(images: Sequence[str], labels: Sequence[str]) -> bytes:
    """Return a list ``image,label`` as CSV, which mmfer and others read.

    Args:
        images (Sequence[str]): Paths, (M,).
        labels (Sequence[str]): Names of the classes, (M,).

    Raises:
        ValueError: A name would not be read back.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['image', 'label'])
    for name, label in zip(images, labels):
        if name != name.strip() or any(sign in name for sign in '\n\r\0'):
            raise ValueError(
                f'The image {name!r} has white space at an end or a line break in its '
                'name, which a list cannot hold. Rename it.'
            )
        writer.writerow([guard_path(name), label])
    return text.getvalue().encode('utf-8', 'surrogateescape')


def write_given_list(folder: str, dataset: FERDataset) -> dict:
    """Write the given labels of a list in a form that ``ImageList`` reads.

    Args:
        folder (str): Folder for the list.
        dataset (FERDataset): The images.

    Returns:
        dict: Settings of an ``ImageList`` with the same samples.
    """
    path = osp.join(folder, 'given_list.csv')
    images = [osp.abspath(image) for image in dataset.image_paths]
    names = [dataset.CLASSES[label] for label in dataset.get_gt_labels().tolist()]
    write_atomic(path, list_text(images, names))
    return dict(
        type='ImageList',
        ann_file=osp.abspath(path),
        data_root=osp.abspath(dataset.data_root),
        classes=list(dataset.CLASSES),
        check_files=False,
    )


def write_cleaned_list(
    folder: str, dataset: FERDataset, table: ScoreTable, own_format: bool
) -> Tuple[str, dict]:
    """Write the list of the images that are kept.

    Args:
        folder (str): Folder for the list.
        dataset (FERDataset): The images.
        table (dict[str, np.ndarray]): Columns (N,).
        own_format (bool): Write the format of the data set, such as that of FERPlus,
            instead of ``image,label``.

    Returns:
        tuple[str, dict]: The file, and settings with which the data set reads its own
        format.
    """
    kept = kept_images(table, dataset.CLASSES)
    if own_format and dataset.list_suffix is not None:
        path = osp.join(folder, f'{LIST_NAME}{dataset.list_suffix}')
        ids = table['sample_id'][kept.rows]
        return path, dataset.write_list(path, ids, kept.labels)
    path = osp.join(folder, f'{LIST_NAME}.csv')
    ids = table['sample_id'][kept.rows]
    images = dataset.image_paths.take(dataset.positions_of(ids))
    names = [dataset.CLASSES[label] for label in kept.labels.tolist()]
    # Whole paths, so that the list can be moved, and read by other programs.
    write_atomic(path, list_text(list(map(osp.abspath, images)), names))
    # A list may lack a class, so its reader looks for their names here.
    classes = ''.join(f'{name}\n' for name in dataset.CLASSES)
    write_atomic(osp.join(folder, 'classes.txt'), classes.encode())
    return path, dict(type='ImageList')


# -- folders -----------------------------------------------------------------
def check_target(target: str, source: str) -> None:
    """Refuse a folder for copies that has files, or lies inside of the images.

    Args:
        target (str): Folder for the copies.
        source (str): Folder or list of the images.

    Raises:
        ValueError: The folder cannot be used.
    """
    # Nobody may be told to delete a folder that has the images.
    if osp.exists(source) and is_inside(source, target):
        raise ValueError(
            f'--copy {target}: this folder has your own images ({source}), and they '
            'stay as they are. Name a new folder beside it.'
        )
    if osp.exists(target) and (not osp.isdir(target) or os.listdir(target)):
        raise ValueError(
            f'--copy {target}: this folder is not empty. Name a new one, or remove it: '
            'decisions may have changed since, and if an earlier run was stopped while '
            'it copied, it is incomplete.'
        )
    if osp.isdir(source) and is_inside(target, source):
        raise ValueError(
            f'--copy {target}: this folder lies inside of {source}, where it would be '
            'taken for a class. Name one beside it.'
        )


def is_inside(path: str, folder: str) -> bool:
    """Return whether a path is a folder, or lies inside of it; links are followed."""
    path, folder = osp.realpath(path), osp.realpath(folder)
    same_drive = osp.splitdrive(path)[0] == osp.splitdrive(folder)[0]
    return same_drive and osp.commonpath([path, folder]) == folder


def copy_images(
    target: str,
    paths: Sequence[str],
    classes: Sequence[str],
    link: bool = False,
    progress: Optional[Callable[[int, int], None]] = None,
) -> int:
    """Copy images into one folder per class; the originals are only read.

    Images of one class with the same name get numbers: ``a.png``, ``a (2).png``.

    Args:
        target (str): Empty or new folder, see :func:`check_target`.
        paths (Sequence[str]): Files, (M,).
        classes (Sequence[str]): Name of the class of each, (M,).
        link (bool): Make hard links where the file system can. A change of one of the
            two files then changes both. Defaults to False.
        progress (Callable, optional): Called with the numbers of finished and of all
            files.

    Returns:
        int: Number of images that got a number.

    Raises:
        OSError: A file cannot be read or written.
    """
    folders = folder_names(sorted(set(classes)))
    for folder in folders.values():
        os.makedirs(osp.join(target, folder), exist_ok=True)
    taken: Dict[str, Set[str]] = {folder: set() for folder in folders.values()}
    renamed = 0
    for done, (path, name) in enumerate(zip(paths, classes), start=1):
        folder = folders[name]
        free = free_name(osp.basename(path), taken[folder])
        renamed += free != osp.basename(path)
        _copy(path, osp.join(target, folder, free), link)
        if progress is not None:
            progress(done, len(paths))
    return renamed


def _copy(path: str, to: str, link: bool) -> None:
    """Copy or link one file."""
    if link:
        try:
            os.link(osp.realpath(path), to)
            return
        except OSError:
            # Another disk, or a file system without links.
            pass
    shutil.copyfile(path, to)


def folder_names(classes: Sequence[str]) -> Dict[str, str]:
    """Return a name of a folder for each class, all different.

    Args:
        classes (Sequence[str]): Names of classes, which may have any signs.
    """
    taken: Set[str] = set()
    names = {}
    for name in classes:
        plain = _FORBIDDEN.sub('_', name).strip(' .') or 'class'
        names[name] = free_name(plain, taken)
    return names


def free_name(name: str, taken: Set[str]) -> str:
    """Return a name with a number if it is taken, and note it.

    Names that differ only in case are the same file on some systems.

    Args:
        name (str): Wanted name of a file.
        taken (set[str]): Names in use, in lower case; the result is added.
    """
    stem, ending = osp.splitext(name)
    free, number = name, 1
    while free.casefold() in taken:
        number += 1
        free = f'{stem} ({number}){ending}'
    taken.add(free.casefold())
    return free


def cleaned_paths(
    dataset: FERDataset, table: ScoreTable
) -> Tuple[List[str], List[str]]:
    """Return the files of the images that are kept, and their class names.

    Args:
        dataset (FERDataset): The images, which must be files.
        table (dict[str, np.ndarray]): Columns (N,).

    Raises:
        ValueError: The images are no files.
    """
    kept = kept_images(table, dataset.CLASSES)
    ids = table['sample_id'][kept.rows]
    paths = list(dataset.image_paths.take(dataset.positions_of(ids)))
    if not osp.isfile(paths[0]):
        raise ValueError(
            f'--copy: the images of {dataset.name} are no files, such as {paths[0]!r}, '
            'so they cannot be copied.'
        )
    return paths, [dataset.CLASSES[label] for label in kept.labels.tolist()]
