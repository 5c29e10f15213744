"""Write drawn faces and their labels to files, as an example of own data."""

import os
import os.path as osp
from typing import Callable, Iterable

from mmfer.utils.files import write_atomic, write_image

from ..lists import write_label_list
from .dataset import SyntheticFaces

CLEAN_LIST = 'clean_labels.csv'
"""List of the right labels, beside the class folders."""


def make_empty_folder(path: str) -> None:
    """Create a folder for drawn faces.

    Raises:
        ValueError: The folder has files, or cannot be created.
    """
    try:
        os.makedirs(path, exist_ok=True)
        names = os.listdir(path)
    except OSError as error:
        raise ValueError(
            f'{path} cannot be a folder ({error.strerror}). Name another one.'
        ) from None
    if names:
        raise ValueError(f'{path} is not empty. Name a new folder.')


def draw_faces(
    split: str, count: int, size: int, noise: float = 0.0, seed: int = 0
) -> SyntheticFaces:
    """Return a data set of drawn faces with wrong labels.

    Args:
        split (str): ``'train'`` or ``'test'``; their faces differ.
        count (int): Number of faces.
        size (int): Height and width in pixels.
        noise (float): Share of labels that are moved to another class. Defaults to 0.
        seed (int): Seed of faces and noise. Defaults to 0.
    """
    planted = dict(type='SymmetricNoise', rate=noise, seed=seed) if noise else None
    dataset = SyntheticFaces(
        split=split, num_samples=count, size=size, seed=seed, label_noise=planted
    )
    dataset.full_init()
    return dataset


def write_folders(
    out: str,
    dataset: SyntheticFaces,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> None:
    """Write one folder of PNG files for each class, by the given labels.

    :data:`CLEAN_LIST` has the right labels. A name does not tell the class.

    Args:
        out (str): Empty folder.
        dataset (SyntheticFaces): The faces.
        progress (Callable): Wraps the numbers of the images. Defaults to ``iter``.
    """
    labels, clean = dataset.get_gt_labels(), dataset.clean_labels
    names = []
    for name in dataset.CLASSES:
        os.makedirs(osp.join(out, name))
    for i in progress(range(len(dataset))):
        info = dataset.get_data_info(i)
        names.append(f'{dataset.CLASSES[labels[i]]}/{osp.basename(info["img_path"])}')
        write_image(osp.join(out, names[-1]), info['img'])
    right = (labels if clean is None else clean).tolist()
    rows = [f'{n},{dataset.CLASSES[label]}' for n, label in zip(names, right)]
    write_atomic(
        osp.join(out, CLEAN_LIST), '\n'.join(['image,label', *rows, '']).encode()
    )


def write_lists(out: str, dataset: SyntheticFaces, split: str) -> None:
    """Write the images into one folder, and a list of their labels beside it.

    Right labels are in ``<split>_clean.txt`` if some given labels are wrong, and the
    names of the classes in ``classes.txt``.

    Args:
        out (str): Folder for the files.
        dataset (SyntheticFaces): The faces.
        split (str): Name of the folder and of the list.
    """
    os.makedirs(osp.join(out, split))
    names = []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        names.append(f'{split}/{osp.basename(info["img_path"])}')
        write_image(osp.join(out, names[-1]), info['img'])
    lists = {split: dataset.get_gt_labels(), f'{split}_clean': dataset.clean_labels}
    for name, labels in lists.items():
        if labels is not None:
            path = osp.join(out, f'{name}.txt')
            write_label_list(path, names, labels, by_path=True)
    classes = '\n'.join(dataset.CLASSES)
    write_atomic(osp.join(out, 'classes.txt'), f'{classes}\n'.encode())
