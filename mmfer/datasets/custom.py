"""Data sets of your own images: a list of labels, or a folder per class."""

import logging
import os
import os.path as osp
from typing import List, Optional, Sequence, Union

import numpy as np
from mmengine.logging import print_log

from mmfer.registry import DATASETS
from mmfer.utils.string_table import StringTable
from mmfer.utils.text_tables import join_listed

from .base import FERDataset
from .images import IMAGE_EXTENSIONS, describe_ignored, find_images
from .lists import read_label_list, write_label_list

# Formats of published noisy lists of RAF-DB.
NOISY_FORMATS = ('resup', 'eac', 'scn', 'jointgan')


@DATASETS.register_module()
class ImageList(FERDataset):
    """Images and labels from a list file, one ``image,label`` per row.

    Other forms can be read as well: rows ``image label``, a header, files saved
    by a spreadsheet, and all published lists. See
    :func:`~mmfer.datasets.lists.read_label_list`. Images are identified by
    their whole paths, so images in different folders may have the same name.
    Labels are numbers or, with ``classes``, names of classes.

    The classes must be given, because a list may not contain all of them. A
    class without a row would be lost, and the labels of all classes after it
    would change.

    Args:
        ann_file (str): The list, relative to ``data_root``.
        data_root (str): Root of list and images. Defaults to ''.
        data_prefix (str): Folder that the image paths start from, relative
            to ``data_root``. Defaults to ''.
        classes (str | Sequence[str], optional): Class names in the order of
            the labels, or a file with one name per line.
        num_classes (int, optional): Number of classes, instead of
            ``classes``. The names are then '0' to ``str(num_classes - 1)``.
        label_base (int, optional): Label of the first class in the list, 0
            or 1. Defaults to None: it is found from the labels. A list with
            neither the label 0 nor the label ``num_classes`` is then refused.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The list or listed images do not exist.
        ValueError: Neither ``classes`` nor ``num_classes`` is given, or they
            differ; or the list is empty, has a row that cannot be parsed, a
            label out of range or an image twice.
    """

    SHARED_WITH_SUBSETS = (*FERDataset.SHARED_WITH_SUBSETS, '_written')
    SHARED_WITH_COPIES = (*FERDataset.SHARED_WITH_COPIES, '_written')

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        data_prefix: str = '',
        classes: Union[str, Sequence[str], None] = None,
        num_classes: Optional[int] = None,
        label_base: Optional[int] = None,
        **kwargs,
    ):
        if not ann_file:
            raise ValueError(
                'ImageList: ann_file, the list of images and labels, is not given.'
            )
        named = (kwargs.get('metainfo') or {}).get('classes', classes)
        if named is None:
            if num_classes is None:
                raise ValueError(
                    'ImageList: the classes are not given. Name them with '
                    'classes=["...", ...] (or a file with one name per line) '
                    'in the order of the labels, or give only their number '
                    'with num_classes=K. They are not guessed from the list, '
                    'because a class without a row would be lost.'
                )
            classes = [str(i) for i in range(num_classes)]
        self._named = named is not None
        self.label_base = label_base
        self._stated_classes = num_classes
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            classes=classes,
            **kwargs,
        )

    def load_samples(self) -> List[dict]:
        """Read the list of images and labels."""
        if self._stated_classes not in (None, self.num_classes):
            raise ValueError(
                f'ImageList: num_classes={self._stated_classes}, but classes '
                f'names {self.num_classes}. Remove num_classes.'
            )
        rows = read_label_list(
            self.ann_file,
            self.num_classes,
            label_base=self.label_base,
            by_path=True,
            classes=self.CLASSES if self._named else None,
            root=self.img_prefix,
        )
        if self.test_mode and rows.format in NOISY_FORMATS:
            raise ValueError(
                f'ImageList: {rows.path} looks like a published noisy list of '
                f'RAF-DB ({rows.format}), which has wrong test labels, too. '
                'Evaluate with RAFDB(split="test"); train with '
                'RAFDB(noisy_list=...).'
            )
        if self.label_base is None and not rows.by_name:
            print_log(
                f'ImageList: the labels in {rows.path} show that it counts '
                f'its {self.num_classes} classes from {rows.label_base}.',
                'current',
            )
        # Paths of the images as written in the list, by sample_id.
        self._written = StringTable.from_texts(rows.paths)
        return [
            dict(img_path=join_listed(self.img_prefix, path), gt_label=label)
            for path, label in zip(rows.paths, rows.labels.tolist(), strict=True)
        ]

    def _write_list(
        self, path: str, sample_ids: np.ndarray, labels: np.ndarray
    ) -> dict:
        """Write rows ``image label``, with the paths as written in the list."""
        paths = self._written.take(sample_ids).tolist()
        write_label_list(path, paths, labels, by_path=True)
        return dict(ann_file=osp.abspath(path), label_base=0)


@DATASETS.register_module()
class ImageFolders(FERDataset):
    """Images in one folder per class, named like the class.

    ::

        data_root/
        |-- happy/   a.jpg  session2/b.png ...
        |-- sad/
        `-- surprised/

    Files are found at any depth. Names that start with a dot are ignored.
    Files without the ending of an image are ignored, too, and a warning says
    how many there are. Samples are numbered class by class, and within a
    class by sorted path.

    Without ``classes``, every folder is a class, in sorted order. An
    evaluation set (``test_mode=True``) that lacks a class needs ``classes``,
    because the classes after the missing one would get another label. With
    ``classes``, the set is used, and a warning names the missing class.

    Args:
        data_root (str): Folder that holds the class folders.
        data_prefix (str): Folder below ``data_root`` that holds them
            instead, such as ``'train'``. Defaults to ''.
        classes (str | Sequence[str], optional): Folder names in the order
            of the labels, or a file with one name per line. Other folders
            are ignored, with a warning. Defaults to None: all folders.
        extensions (str | Sequence[str]): Endings of images, in upper or
            lower case. Defaults to all of
            :data:`~mmfer.datasets.images.IMAGE_EXTENSIONS`.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The folder or a class folder does not exist.
        ValueError: There is no class folder, or a class folder has no images.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str = '',
        classes: Union[str, Sequence[str], None] = None,
        extensions: Union[str, Sequence[str]] = IMAGE_EXTENSIONS,
        **kwargs,
    ):
        if isinstance(extensions, str):
            extensions = [extensions]
        self.extensions = tuple(
            '.' + extension.lower().lstrip('.') for extension in extensions
        )
        # The folders were just listed, so their files exist.
        kwargs.setdefault('check_files', False)
        super().__init__(
            data_root=data_root, data_prefix=data_prefix, classes=classes, **kwargs
        )

    def load_samples(self) -> List[dict]:
        """List the class folders and their images."""
        root = osp.normpath(self.img_prefix)
        if not osp.isdir(root):
            raise FileNotFoundError(
                f'ImageFolders: there is no folder {root!r}. It should hold '
                'one folder of images for each class. Correct data_root or '
                f'data_prefix (relative to {os.getcwd()!r}).'
            )
        folders = sorted(
            entry.name
            for entry in os.scandir(root)
            if entry.is_dir() and not entry.name.startswith('.')
        )
        if not folders:
            raise ValueError(
                f'ImageFolders: {root!r} has no folders. It should hold one '
                'folder of images for each class. For a list of labels, use '
                'ImageList.'
            )
        # Only with classes= is it known which classes an evaluation set lacks.
        self._may_lack = self.test_mode and self.CLASSES is not None
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(folders)
        self._check_folders(root, folders)
        samples, empty, others = [], [], []
        for label, name in enumerate(self.CLASSES):
            paths, rest = find_images(osp.join(root, name), self.extensions)
            others += rest
            samples += [dict(img_path=path, gt_label=label) for path in paths]
            if not paths and not self._may_lack:
                empty.append(name)
        if others:
            print_log(
                describe_ignored(others, 'ImageFolders', self.extensions),
                'current',
                level=logging.WARNING,
            )
        if empty:
            raise ValueError(
                f'ImageFolders: no images in {len(empty)} of '
                f'{self.num_classes} class folders of {root!r}: '
                f'{", ".join(empty)}. Looked for {" ".join(self.extensions)}. '
                'Add images, name other endings with extensions=, or name only '
                'the other classes with classes=.'
            )
        return samples

    def _check_folders(self, root: str, folders: Sequence[str]) -> None:
        """Refuse classes without a folder; log folders that are no class."""
        missing = [name for name in self.CLASSES if name not in folders]
        if missing and not (self._may_lack and len(missing) < self.num_classes):
            raise FileNotFoundError(
                f'ImageFolders: {root!r} has no folder for class(es) '
                f'{", ".join(missing)}; its folders are '
                f'{", ".join(folders)}. Correct classes= or the folders.'
            )
        others = [name for name in folders if name not in self.CLASSES]
        if others:
            print_log(
                f'ImageFolders: ignored the folders of {root!r} that '
                f'classes= does not name: {", ".join(others)}.',
                'current',
                level=logging.WARNING,
            )
