"""Settings of the data sets that read a folder or a list of images."""

import os
import os.path as osp
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from mmfer.utils.text_tables import read_class_names

from .class_folders import find_class_folders
from .lists.list_rows import guess_classes, read_rows

TRAIN_FOLDERS = ('train', 'training')
"""Names of folders with training images."""

VAL_FOLDERS = ('val', 'valid', 'validation', 'test', 'testing')
"""Names of folders with images for evaluation, the preferred ones first."""

FOLDS = 10
"""Number of folds, one of which is held out if there are no images for evaluation."""

Classes = Union[str, Sequence[str], None]


class Source(NamedTuple):
    """Data sets for training and for evaluation.

    Attributes:
        train (dict): Settings of the training set, without its pipeline.
        val (dict): Settings of the evaluation set, without its pipeline.
    """

    train: Dict[str, Any]
    val: Dict[str, Any]


def find_data(path: str, val: Optional[str] = None, classes: Classes = None) -> Source:
    """Find out how a folder or a list of images is read.

    - A folder with one folder of images per class is read by ``ImageFolders``.
    - A folder with the folders ``train`` and ``val`` (or ``test``) of this form is
      read as both sets.
    - A file is read by ``ImageList``.

    Without images for evaluation, a tenth of the images is held out, see
    :class:`~mmfer.datasets.FERDataset`.

    Args:
        path (str): Folder or list of the training images.
        val (str, optional): Folder or list of the images for evaluation.
        classes (str | Sequence[str], optional): Names of the classes in the order of
            the labels, or a file with one name per line. Defaults to None: the
            folders with images, sorted; for a list, the file ``classes.txt`` beside
            it, or else the labels that its rows have.

    Raises:
        FileNotFoundError: There is no such folder or list.
        ValueError: The folder has no class folders, or the classes of a list
            cannot be found.
    """
    path = osp.expanduser(path)
    parts = split_folders(path)
    if parts is not None and val is None:
        path, val = parts
    train = settings_of(path, classes)
    if val is None:
        train['fold'] = (0, FOLDS)
        return Source(train, dict(train, test_mode=True))
    # Classes that only the training set has must keep their places.
    classes = train.get('classes') or class_folders(path)
    return Source(train, dict(settings_of(val, classes), test_mode=True))


def settings_of(path: str, classes: Classes = None) -> Dict[str, Any]:
    """Return the settings of the data set that reads a folder or a list.

    Arguments and errors are those of :func:`find_data`.
    """
    path = osp.abspath(osp.expanduser(path))
    if osp.isdir(path):
        settings = dict(type='ImageFolders', data_root=path)
        if classes is not None:
            return dict(settings, classes=classes)
        found = find_class_folders(path)
        # A folder without images is no class.
        return dict(settings, classes=found.classes) if found.empty else settings
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{path}: there is no such folder or file. Give a folder that holds one '
            'folder of images per class, or a list of images and labels.'
        )
    folder, name = osp.split(path)
    if classes is None:
        classes = osp.join(folder, 'classes.txt')
        if not osp.isfile(classes):
            classes = guess_classes(read_rows(path), path)
    return dict(type='ImageList', data_root=folder, ann_file=name, classes=classes)


def num_classes_of(settings: Dict[str, Any]) -> int:
    """Return the number of classes of a data set with these settings.

    Args:
        settings (dict): See :func:`settings_of`.
    """
    classes = settings.get('classes')
    if classes is None:
        classes = class_folders(settings['data_root'])
    return len(read_class_names(classes) if isinstance(classes, str) else classes)


def class_folders(path: str) -> List[str]:
    """Return the names of the folders in a folder, sorted, without hidden ones."""
    return sorted(
        entry.name
        for entry in os.scandir(path)
        if entry.is_dir() and not entry.name.startswith('.')
    )


def split_folders(path: str) -> Optional[Tuple[str, str]]:
    """Return the folders of training and evaluation images in a folder.

    Args:
        path (str): A folder, or a file.

    Returns:
        tuple[str, str], optional: Their paths. None if the folder does not have both,
        and if other folders are beside them, which are then classes, too.
    """
    if not osp.isdir(path):
        return None
    names = {name.lower(): name for name in class_folders(path)}
    train = [names[name] for name in TRAIN_FOLDERS if name in names]
    val = [names[name] for name in VAL_FOLDERS if name in names]
    if not train or not val or set(names) - {*TRAIN_FOLDERS, *VAL_FOLDERS}:
        return None
    return osp.join(path, train[0]), osp.join(path, val[0])


def data_name(path: str) -> str:
    """Return a name for files: the last one of a path, in ``a-z``, digits and ``-``."""
    stem = osp.splitext(osp.basename(osp.abspath(path)))[0].lower()
    return re.sub(r'[^a-z0-9]+', '-', stem).strip('-') or 'data'
