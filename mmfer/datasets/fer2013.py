"""FER2013: grey faces of 48 px, one label each."""

import functools
import os
import os.path as osp
import warnings
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from mmfer.registry import DATASETS
from mmfer.utils.text_tables import TextTable, read_table

from .checks import missing_root
from .images import find_images
from .numbered_images import NumberedImages

EMOTIONS = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
# Names that copies of the data set give to the folders of the classes.
FOLDER_NAMES = (
    ('angry', 'anger'),
    ('disgust', 'disgusted'),
    ('fear', 'fearful'),
    ('happy', 'happiness'),
    ('sad', 'sadness'),
    ('surprise', 'surprised'),
    ('neutral',),
)
# Usage of each split in the table.
USAGES = dict(train='Training', valid='PublicTest', test='PrivateTest')
# Folders of each split in copies that have image files. The folder test of some copies
# holds both other splits; the names of its files then begin with the usage.
SPLIT_FOLDERS = dict(
    train=('train',), valid=('valid', 'validation', 'val'), test=('test',)
)
TABLES = ('fer2013.csv', osp.join('fer2013', 'fer2013.csv'), 'icml_face_data.csv')
COLUMNS = dict(emotion=['emotion'], pixels=['pixels'], usage=['usage'])
PAGE = "Kaggle's pages of FER2013"
SIZE = 48


@DATASETS.register_module()
class FER2013(NumberedImages):
    """FER2013, 28,709 training, 3,589 public and 3,589 private test images.

    It is read as published, from one table with the columns ``emotion,pixels,Usage``,
    which may also be called ``icml_face_data.csv``::

        data_root/fer2013.csv

    Copies with image files are read, too. ``valid`` may also be called ``validation``
    or ``val``. Without it, files of the folder ``test`` whose names begin with
    ``PublicTest`` are the split ``valid``, and the others are the split ``test``::

        data_root/
        |-- train/angry/Training_3908.jpg ...
        |-- valid/angry/...
        `-- test/angry/PrivateTest_88305.jpg ...

    If there is a table, it is used. The images of the table are kept in memory as
    uint8 (N, 48, 48). Their names in score tables are those of FERPlus, such as
    ``fer0000012.png`` for row 12 of the table, counted from 0.

    The labels of FER2013 come from an image search and are noisy themselves: FERPlus
    has other labels for about a third of the images.

    Args:
        data_root (str): Folder of the table or of the folders.
        split (str): ``'train'``, ``'valid'`` (the public test images) or ``'test'``
            (the private ones).
        noisy_list (str, optional): Text file with noisy training labels, see
            :class:`~mmfer.datasets.numbered_images.NumberedImages`. The order is that
            of the table, or of the sorted paths in the order of the classes.
        **kwargs: See :class:`~mmfer.datasets.FERDataset`.

    Raises:
        FileNotFoundError: There is neither a table nor the folder of the split.
        ValueError: The split is unknown, options contradict each other, the table
            cannot be parsed or lacks the split, or a folder is no class.
    """

    METAINFO = dict(classes=EMOTIONS)
    splits = tuple(USAGES)

    def __init__(
        self,
        data_root: str = 'data/fer2013',
        split: str = 'train',
        noisy_list: Optional[str] = None,
        **kwargs,
    ):
        super().__init__(
            data_root=data_root, split=split, noisy_list=noisy_list, **kwargs
        )

    def read_split(self) -> Tuple[List[str], np.ndarray, Optional[np.ndarray]]:
        """Read the rows of the table, or the folders of the split.

        Images are uint8 (N, 48, 48) for a table, and None for folders.
        """
        tables = [osp.join(self.data_root, name) for name in TABLES]
        table = next(filter(osp.isfile, tables), None)
        if table is not None:
            return self._read_rows(table)
        folders = self._split_folders()
        if not folders:
            raise missing_root(
                self.name,
                [
                    *tables,
                    f'or a folder {" or ".join(SPLIT_FOLDERS[self.split])} of '
                    f'class folders in {self.data_root!r}',
                ],
                PAGE,
            )
        paths, labels = self._read_folders(folders[0])
        return paths, labels, None

    def _read_rows(self, path: str) -> Tuple[List[str], np.ndarray, np.ndarray]:
        """Return names, labels and pixels of the rows of this split."""
        found = read_pixel_table(path)
        rows = np.flatnonzero(found.usages == USAGES[self.split])
        if not len(rows):
            known, counts = np.unique(found.usages, return_counts=True)
            raise ValueError(
                f'{path} has no row with the usage {USAGES[self.split]}, the split '
                f'{self.split!r}. It has '
                + ', '.join(f'{n} of {usage}' for usage, n in zip(known, counts))
                + f'. Get the whole table from {PAGE}, or choose another split with '
                f'--cfg-options {self._loader}.dataset.split=SPLIT.'
            )
        names = [f'fer{row:07d}.png' for row in rows]
        return names, found.labels[rows], found.pixels[rows]

    def _split_folders(self) -> List[str]:
        """Return the folders that may have the images of the split."""
        names = SPLIT_FOLDERS[self.split]
        if self.split == 'valid':
            names = (*names, *SPLIT_FOLDERS['test'])
        roots = [osp.join(self.data_root, name) for name in names]
        return [root for root in roots if osp.isdir(root)]

    def _read_folders(self, root: str) -> Tuple[List[str], np.ndarray]:
        """Return paths and labels of the images in the class folders of a split."""
        label_of = {name: i for i, names in enumerate(FOLDER_NAMES) for name in names}
        folders: Dict[int, str] = {}
        for entry in sorted(os.listdir(root)):
            if entry.startswith('.') or not osp.isdir(osp.join(root, entry)):
                continue
            label = label_of.get(entry.lower())
            if label is None or label in folders:
                raise ValueError(
                    f'{root}: the folder {entry!r} is no further class of FER2013. Its '
                    f'classes are {", ".join(EMOTIONS)}. For other classes, use '
                    'ImageFolders.'
                )
            folders[label] = entry
        paths: List[str] = []
        labels: List[int] = []
        for label in sorted(folders):
            found, _ = find_images(osp.join(root, folders[label]))
            paths += found
            labels += [label] * len(found)
        public = np.array([_is_public(path) for path in paths], dtype=bool)
        shared = osp.basename(root) in SPLIT_FOLDERS['test'] and public.any()
        if self.split == 'valid' and osp.basename(root) in SPLIT_FOLDERS['test']:
            kept = public
        elif shared:
            kept = ~public
        else:
            kept = np.ones(len(paths), dtype=bool)
        return [paths[i] for i in np.flatnonzero(kept)], np.array(labels)[kept]

    def where_it_looked(self) -> str:
        """Return a sentence on where the samples were expected."""
        return (
            f'Looked for {USAGES[self.split]} images in {self.data_root!r}, see the '
            'docstring of FER2013 for the folders.'
        )


def _is_public(path: str) -> bool:
    """Return whether the name of a file says that it is a public test image."""
    return osp.basename(path).lower().startswith('publictest')


class PixelTable(NamedTuple):
    """Rows of ``fer2013.csv``.

    Attributes:
        labels (np.ndarray): int64 (N,).
        usages (np.ndarray): Texts, the values of :data:`USAGES`, (N,).
        pixels (np.ndarray): uint8 (N, 48, 48), read-only.
    """

    labels: np.ndarray
    usages: np.ndarray
    pixels: np.ndarray


def read_pixel_table(path: str) -> PixelTable:
    """Read the whole table.

    This takes ten seconds or more. All splits are read at once, and the last table is
    kept in memory, because a run reads it for training and for validation.

    Args:
        path (str): ``fer2013.csv``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It lacks a column, or a row has no usage, emotion or image of
            FER2013.
    """
    state = os.stat(path)
    return _read_pixel_table(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=1)
def _read_pixel_table(path: str, time: int, size: int) -> PixelTable:
    """Read the table; a file that has changed has another time or size."""
    table = read_table(path, COLUMNS, 'fer2013.csv of FER2013')
    known = {usage.lower(): usage for usage in USAGES.values()}
    usages = []
    for row, written in enumerate(table.columns['usage']):
        usage = known.get(written.strip().lower())
        if usage is None:
            raise table.error(
                row,
                f'the usage {written!r} is none of {", ".join(known.values())}',
                'Correct or remove the row.',
            )
        usages.append(usage)
    labels = np.array(table.whole_numbers('emotion'), dtype=np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(EMOTIONS)))
    if len(wrong):
        raise table.error(
            int(wrong[0]),
            f'the emotion {labels[wrong[0]]} is not in 0 to {len(EMOTIONS) - 1}',
            f'FER2013 has {", ".join(EMOTIONS)}, in this order. Correct the row.',
        )
    pixels = _pixels_of(table)
    pixels.flags.writeable = False
    return PixelTable(labels, np.array(usages, dtype=object), pixels)


def _pixels_of(table: TextTable) -> np.ndarray:
    """Parse the column of pixels, uint8 (N, 48, 48)."""
    pixels = np.empty((len(table), SIZE, SIZE), dtype=np.uint8)
    with warnings.catch_warnings():
        # NumPy only warns of a text that is no number, and returns what it has read.
        warnings.simplefilter('error', DeprecationWarning)
        for row, text in enumerate(table.columns['pixels']):
            try:
                values = np.fromstring(text, dtype=np.int64, sep=' ')
            except (ValueError, DeprecationWarning):
                values = np.empty(0, dtype=np.int64)
            if values.shape != (SIZE * SIZE,) or not (
                values.min() >= 0 and values.max() <= 255
            ):
                raise table.error(
                    row,
                    f'its pixels are not {SIZE * SIZE} numbers from 0 to 255',
                    'Correct or remove the row.',
                )
            pixels[row] = values.reshape(SIZE, SIZE)
    return pixels
