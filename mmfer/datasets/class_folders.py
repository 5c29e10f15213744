"""Look at a folder of images before it is used: where are the class folders?"""

import os
import os.path as osp
from typing import Dict, List, NamedTuple, Tuple

from .images import IMAGE_EXTENSIONS, find_images

# Names of folders that hold a part of a data set, not a class.
SPLIT_NAMES = {
    'train',
    'training',
    'val',
    'valid',
    'validation',
    'dev',
    'eval',
    'test',
    'testing',
}


class ClassFolders(NamedTuple):
    """Class folders of a folder.

    Attributes:
        classes (list[str]): Names of the folders with images, sorted.
        empty (list[str]): Names of the folders without an image.
        stray (list[str]): Images that lie beside the class folders.
        others (list[str]): Files in class folders that are no images by their names.
    """

    classes: List[str]
    empty: List[str]
    stray: List[str]
    others: List[str]


def find_class_folders(root: str) -> ClassFolders:
    """Find the class folders of a folder; refuse a folder that has none.

    Args:
        root (str): The folder.

    Raises:
        ValueError: There are no images; they are in no class folders; there is only
            one class; or the folder has splits instead of classes.
    """
    folders, stray = _entries(root)
    images: Dict[str, List[str]] = {}
    others: List[str] = []
    for name in folders:
        images[name], rest = find_images(osp.join(root, name))
        others += rest
    classes = [name for name in folders if images[name]]
    if not classes and not stray:
        raise ValueError(
            f'{root}: there is no image in this folder. Name a folder that has one '
            'folder of images for each class, or a list of images and labels.'
        )
    if not classes:
        raise ValueError(
            f'{root}: {len(stray)} images lie in this folder, but no folders, which '
            'would be the classes. Sort them into one folder for each class, or name '
            'a list of images and labels (a CSV file with the columns image and '
            'label).'
        )
    _refuse_splits(root, classes, images)
    if len(classes) == 1:
        _refuse_one_class(root, classes[0], images[classes[0]])
    empty = [name for name in folders if not images[name]]
    return ClassFolders(classes, empty, stray, others)


def _entries(root: str) -> Tuple[List[str], List[str]]:
    """Return the names of the folders in a folder, and its images."""
    try:
        names = sorted(os.listdir(root))
    except PermissionError as error:
        raise PermissionError(
            f'{root}: this folder cannot be read ({error.strerror}). Change its '
            'permissions, or copy the images.'
        ) from None
    folders = [
        name
        for name in names
        if osp.isdir(osp.join(root, name))
        and not name.startswith('.')
        and name != '__MACOSX'
    ]
    stray = [
        osp.join(root, name)
        for name in names
        if name not in folders
        and not name.startswith('.')
        and name.lower().endswith(IMAGE_EXTENSIONS)
    ]
    return folders, stray


def _refuse_splits(root: str, classes: List[str], images: Dict) -> None:
    """Refuse folders such as ``train`` and ``test`` with class folders inside."""
    splits = [
        name
        for name in classes
        if name.lower() in SPLIT_NAMES and _has_class_folders(root, name, images)
    ]
    if not splits:
        return
    best = next((s for s in splits if s.lower().startswith('train')), splits[0])
    rest = [name for name in classes if name not in splits]
    raise ValueError(
        f'{root}: the folders {", ".join(splits)} look like parts of a data set with '
        'class folders inside, not like classes'
        + (f' (others are {", ".join(rest[:5])})' if rest else '')
        + f'. Name one of them, such as {osp.join(root, best)}, and use each part by '
        'itself.'
    )


def _has_class_folders(root: str, name: str, images: Dict[str, List[str]]) -> bool:
    """Return whether all images of a folder are in folders inside of it."""
    folder = osp.join(root, name)
    return all(osp.dirname(path) != folder for path in images[name])


def _refuse_one_class(root: str, name: str, images: List[str]) -> None:
    """Refuse a folder with one class; say where the class folders may be."""
    inside = osp.join(root, name)
    parts = {osp.relpath(path, inside).split(os.sep)[0] for path in images}
    if all(osp.isdir(osp.join(inside, part)) for part in parts) and len(parts) > 1:
        raise ValueError(
            f'{root}: all images are in one folder, {name!r}, which has the folders '
            f'{", ".join(sorted(parts)[:5])} inside. If these are the classes, name '
            f'{inside}.'
        )
    raise ValueError(
        f'{root}: all images have one class, {name!r}. At least two classes are '
        'needed, because labels are learned and checked by comparing them.'
    )
