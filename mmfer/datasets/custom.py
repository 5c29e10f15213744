"""Your own images: a list of labels, or a folder per class."""

import logging
import os
import os.path as osp
from typing import List, Optional, Sequence

from mmengine.logging import print_log

from mmfer.registry import DATASETS
from mmfer.utils.text_tables import join_listed

from .base import FERDataset
from .images import IMAGE_EXTENSIONS, describe_left_out, find_images
from .lists import read_label_list, write_label_list

NOISY_FORMATS = ('resup', 'eac', 'scn', 'jointgan')


@DATASETS.register_module()
class ImageList(FERDataset):
    """Images and labels named by a list file, one ``image,label`` per row.

    Also ``image label``, also with a header, also as a spreadsheet saves it,
    and any published list: see
    :func:`~mmfer.datasets.lists.read_label_list`. Images may lie in several
    folders and share base names; the path is the key. Labels are numbers or,
    with ``classes``, names of classes.

    The classes have to be said, because a list cannot tell them: a class
    without a row would be lost, and all behind it would move up.

    Args:
        ann_file (str): The list, relative to ``data_root``.
        data_root (str): Root of list and images. Defaults to ''.
        data_prefix (str): Folder that the image paths start from, relative
            to ``data_root``. Defaults to ''.
        classes (str | Sequence[str], optional): Class names in the order of
            the labels, or a file with one name per line.
        num_classes (int, optional): Instead of ``classes``: the names are
            then '0' to ``str(num_classes - 1)``.
        label_base (int, optional): 0 or 1, what the list calls the first
            class. Defaults to None: found from the labels; a list from
            which it cannot be found is refused.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The list or listed images are not there.
        ValueError: Neither ``classes`` nor ``num_classes``, or both and
            they differ; or the list is empty, has a row that cannot be
            parsed, a label out of range or an image twice.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        data_prefix: str = '',
        classes=None,
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
                    'ImageList: say the classes, with classes=["...", ...] '
                    '(or a file with one name per line) in the order of the '
                    'labels, or only their number with num_classes=K. They '
                    'are not guessed from the list: a class without a row '
                    'would be lost.'
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
        """Read the list."""
        if self._stated_classes not in (None, self.num_classes):
            raise ValueError(
                f'ImageList: num_classes={self._stated_classes}, but classes '
                f'names {self.num_classes}. Leave num_classes out.'
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
                f'RAF-DB ({rows.format}), whose test labels are wrong too. '
                'Evaluate with RAFDB(split="test"); train with '
                'RAFDB(noisy_list=...).'
            )
        if self.label_base is None and not rows.by_name:
            print_log(
                f'ImageList: {rows.path} counts its {self.num_classes} '
                f'classes from {rows.label_base}, by the labels in it.',
                'current',
            )
        # By sample_id.
        self._written = rows.paths
        return [
            dict(img_path=join_listed(self.img_prefix, path), gt_label=label)
            for path, label in zip(rows.paths, rows.labels.tolist(), strict=True)
        ]

    def _write_list(
        self, path: str, sample_ids: Sequence[int], labels: Sequence[int]
    ) -> dict:
        """Rows ``image label``, the images as they were written."""
        write_label_list(
            path, [self._written[int(i)] for i in sample_ids], labels, by_path=True
        )
        return dict(ann_file=osp.abspath(path), label_base=0)


@DATASETS.register_module()
class ImageFolders(FERDataset):
    """A folder of images per class, named like the class.

    ::

        data_root/
        |-- happy/   a.jpg  session2/b.png ...
        |-- sad/
        `-- surprised/

    Files are found at any depth; names that start with a dot are passed
    over, and files without the ending of an image are left out, with a
    warning that counts them. ``sample_id`` counts through the classes in
    their order, and in each through the sorted paths.

    Without ``classes`` every folder is a class, in sorted order. An
    evaluation split (``test_mode=True``) that lacks a class needs
    ``classes``, or the classes behind the gap would move up; it is then used
    with a warning.

    Args:
        data_root (str): Folder of the class folders.
        data_prefix (str): A folder below ``data_root`` to look in instead,
            such as ``'train'``. Defaults to ''.
        classes (str | Sequence[str], optional): Folder names in the order
            of the labels, or a file with one name per line. Other folders
            are left out, with a warning. Defaults to None: all folders.
        extensions (Sequence[str]): Files taken as images, in any case.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The folder, or that of a class, is not there.
        ValueError: There is no class folder, or one without images.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str = '',
        classes=None,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        **kwargs,
    ):
        if isinstance(extensions, str):
            extensions = [extensions]
        self.extensions = tuple(
            '.' + extension.lower().lstrip('.') for extension in extensions
        )
        # What was just listed need not be looked for.
        kwargs.setdefault('check_files', False)
        super().__init__(
            data_root=data_root, data_prefix=data_prefix, classes=classes, **kwargs
        )

    def load_samples(self) -> List[dict]:
        """List the folders."""
        root = osp.normpath(self.img_prefix)
        if not osp.isdir(root):
            raise FileNotFoundError(
                f'ImageFolders: there is no folder {root!r}. It should hold '
                'one folder of images for each class; correct data_root or '
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
                'folder of images for each class; for a list of labels use '
                'ImageList.'
            )
        # Then it is known which classes an evaluation split lacks.
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
                describe_left_out(others, 'ImageFolders', self.extensions),
                'current',
                level=logging.WARNING,
            )
        if empty:
            raise ValueError(
                f'ImageFolders: no images in {len(empty)} of '
                f'{self.num_classes} class folders of {root!r}: '
                f'{", ".join(empty)}. Looked for {" ".join(self.extensions)}'
                '; other kinds can be named with extensions=. Fill the '
                'folder, or leave the class out with classes=.'
            )
        return samples

    def _check_folders(self, root: str, folders: Sequence[str]) -> None:
        """Compare the class names with the folders."""
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
                f'ImageFolders: folders of {root!r} that classes= does not '
                f'name are left out: {", ".join(others)}.',
                'current',
                level=logging.WARNING,
            )
