"""AffectNet: eight expressions, with valence and arousal."""

import csv
import io
import logging
import os
import os.path as osp
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress

from mmfer.registry import DATASETS
from mmfer.utils import text_tables
from mmfer.utils.files import write_atomic

from .base import FERDataset
from .noise import MISSING_VA

EMOTIONS = (
    'neutral',
    'happy',
    'sad',
    'surprise',
    'fear',
    'disgust',
    'anger',
    'contempt',
)
# After the emotions come none, uncertain and no face.
NUM_IDS = len(EMOTIONS) + 3
# Columns of the CSV release, as its header has them but for their case.
COLUMNS = (
    'subdirectory_filepath',
    'face_x',
    'face_y',
    'face_width',
    'face_height',
    'facial_landmarks',
    'expression',
    'valence',
    'arousal',
)
WANTED = ('subdirectory_filepath', 'expression', 'valence', 'arousal')
# Names of the CSV file and of the folder of the per-image release.
SPLITS = dict(train=('training', 'train_set'), val=('validation', 'val_set'))

Number = Union[str, bytes, int, float]


class Annotation(NamedTuple):
    """One annotated image, as it is written in the release.

    Attributes:
        name (str): What the image is found by.
        where (str): File and line, or files, for messages.
        expression, valence, arousal (str | bytes | int | float): As written.
        sample_id (str): Number of the sample in a table that was written
            from a set with repeated images, '' in others.
    """

    name: str
    where: str
    expression: Number
    valence: Number
    arousal: Number
    sample_id: str = ''


@DATASETS.register_module()
class AffectNet(FERDataset):
    """AffectNet (manually annotated part) in either published layout.

    The CSV release; the tables may also lie in ``data_root`` itself, and may
    lack the header, as some copies do::

        data_root/
        |-- Manually_Annotated_file_lists/training.csv, validation.csv
        `-- Manually_Annotated_Images/1/0a1b2c....jpg ...

    The per-image release::

        data_root/
        |-- train_set/
        |   |-- images/0.jpg ...
        |   `-- annotations/0_exp.npy, 0_val.npy, 0_aro.npy ...
        `-- val_set/            (the same)

    Which one it is, is found from the files; the tables come first. Rows are
    joined with images by name. Those annotated as none, uncertain or no face
    (8 to 10) are left out. Images are taken as they are: the face boxes of
    the tables are not applied.

    Samples also carry ``gt_va``, float32 (2, ): valence and arousal in
    [-1, 1], NaN where the release has -2, which stands for missing. It
    reaches the model with ``PackFERInputs(algorithm_keys=('gt_va', ))``.

    The classes of the training split differ by a factor of about 35. To draw
    them equally often, set ``train_dataloader.sampler.type`` to
    ``BalancedSampler``.

    Args:
        data_root (str): Folder of the tables or of ``train_set``.
        split (str): ``'train'`` or ``'val'``. The release has no labels for
            a test split, so papers report the latter.
        num_classes (int): 8, or 7 to leave contempt out. Defaults to 8.
        table (str, optional): A CSV table for the training split instead of
            that of the release, of either layout; relative to the working
            directory.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: Neither layout is there, or images or annotations
            of it are missing.
        ValueError: Another split or number of classes; an expression outside
            0 to 10; valence or arousal outside [-1, 1] and not -2; or a
            table or file that cannot be parsed.
    """

    METAINFO = dict(classes=EMOTIONS)
    list_suffix = '.csv'

    def __init__(
        self,
        data_root: str = 'data/affectnet',
        split: str = 'train',
        num_classes: int = 8,
        table: Optional[str] = None,
        **kwargs,
    ):
        if split not in SPLITS:
            raise ValueError(
                f'AffectNet has no split {split!r}, only {", ".join(SPLITS)}.'
            )
        if num_classes not in (7, 8):
            raise ValueError(
                f'AffectNet: num_classes={num_classes!r}, but there are 8 '
                'classes, or 7 without contempt.'
            )
        if table is not None and split != 'train':
            raise ValueError(
                f'AffectNet: table={table!r} for an evaluation, which takes '
                'the labels of the release. Remove it here; it belongs to the '
                'training set.'
            )
        self.split = split
        self.table = table
        self._num_emotions = num_classes
        kwargs.setdefault('classes', EMOTIONS[:num_classes])
        test_mode = kwargs.pop('test_mode', False) or split != 'train'
        super().__init__(data_root=data_root, test_mode=test_mode, **kwargs)

    def load_samples(self) -> List[dict]:
        """Read the table or the annotations of all images."""
        images, annotations = self._find_release()
        annotations = list(self._of_emotions(annotations))
        check_repeats(annotations)
        return [
            dict(
                img_path=text_tables.join_listed(images, annotation.name),
                gt_label=expression_label(annotation),
                gt_va=va_pair(annotation),
            )
            for annotation in annotations
        ]

    def _of_emotions(self, annotations: Iterator[Annotation]) -> Iterator[Annotation]:
        """Contempt, if not wanted, is the first beyond the emotions."""
        return (
            annotation
            for annotation in annotations
            if expression_label(annotation) < self._num_emotions
        )

    def _write_list(
        self, path: str, sample_ids: Sequence[int], labels: Sequence[int]
    ) -> dict:
        """A table of the CSV release, for ``table``.

        It has the columns that are read here, valence and arousal as they
        were. If images are repeated, it also has ``sample_id``: the decisions
        on the samples of one image may differ.
        """
        label_of = dict(zip(map(int, sample_ids), map(int, labels)))
        annotations = {
            sample_id: annotation
            for sample_id, annotation in enumerate(
                self._of_emotions(self._find_release()[1])
            )
            if sample_id in label_of
        }
        names = {text_tables.path_key(a.name) for a in annotations.values()}
        repeated = len(names) < len(annotations)
        text = io.StringIO(newline='')
        writer = csv.writer(text, lineterminator='\n')
        # In the capitals of the release.
        writer.writerow(
            ['subDirectory_filePath', *WANTED[1:]] + ['sample_id'] * repeated
        )
        for sample_id, annotation in annotations.items():
            writer.writerow(
                [
                    annotation.name,
                    label_of[sample_id],
                    annotation.valence,
                    annotation.arousal,
                ]
                + [sample_id] * repeated
            )
        write_atomic(path, text.getvalue().encode())
        return dict(table=osp.abspath(path))

    def _find_release(self) -> Tuple[str, Iterator[Annotation]]:
        """Folder of the images, and what is known of them."""
        table_name, folder = SPLITS[self.split]
        tables = [
            osp.join(self.data_root, *parts, f'{table_name}.csv')
            for parts in (('Manually_Annotated_file_lists',), ())
        ]
        table_images = osp.join(self.data_root, 'Manually_Annotated_Images')
        table = next(filter(osp.isfile, tables), None)
        images = osp.join(self.data_root, folder, 'images')
        annotations = osp.join(self.data_root, folder, 'annotations')
        if self.table is not None:
            if not osp.isfile(self.table):
                raise FileNotFoundError(
                    f'AffectNet: table={self.table!r} is not there; it is '
                    f'relative to {os.getcwd()!r} unless it starts at the '
                    'root.'
                )
            # A folder that is left of the other release may lie there, too.
            both = (table_images, images)
            for folder in both if table is not None else both[::-1]:
                if osp.isdir(folder):
                    return folder, read_table(self.table)
        elif table is not None and osp.isdir(table_images):
            return table_images, read_table(table)
        elif osp.isdir(images) and osp.isdir(annotations):
            return images, self._read_annotations(annotations)
        states = {True: 'found', False: 'not there'}
        raise self.missing_root(
            [
                f'{" or ".join(tables)} ({states[table is not None]}) with '
                f'{table_images} ({states[osp.isdir(table_images)]})',
                f'or {images} ({states[osp.isdir(images)]}) with '
                f'{annotations} ({states[osp.isdir(annotations)]})',
            ],
            'the AffectNet page of its authors (mohammadmahoor.com, free for '
            'research on request)',
        )

    def _read_annotations(self, folder: str) -> Iterator[Annotation]:
        """:func:`read_annotations`, with a bar: a full split takes minutes."""
        names = annotated_names(folder)
        print_log(
            f'Reading the annotations of {len(names)} images of AffectNet ...',
            'current',
        )
        return read_annotations(folder, track_iter_progress(names))


def expression_label(annotation: Annotation) -> int:
    """Expression of an image, from 0 to 10.

    Raises:
        ValueError: It is something else.
    """
    written = annotation.expression
    value = (
        text_tables.whole_number(written)
        if isinstance(written, str)
        else as_number(written)
    )
    if value not in range(NUM_IDS):
        raise ValueError(
            f'{annotation.where}: the expression of {annotation.name!r} is '
            f'{written!r}. AffectNet counts {len(EMOTIONS)} '
            f'emotions from 0, then none, uncertain and no face up to '
            f'{NUM_IDS - 1}. Correct or remove it.'
        )
    return int(value)


def as_number(written: Number) -> float:
    """Return a field of a table or the content of a file as a number.

    Args:
        written (str | bytes | int | float): As it is in the release.

    Returns:
        float: NaN if it is something else.
    """
    if isinstance(written, str):
        value = text_tables.number(written)
        return np.nan if value is None else value
    try:
        return float(written)
    except (TypeError, ValueError):
        return np.nan


def va_pair(annotation: Annotation) -> np.ndarray:
    """Valence and arousal of an image.

    Returns:
        np.ndarray: float32 (2, ) in [-1, 1], NaN where -2 says missing.

    Raises:
        ValueError: A value is something else.
    """
    pair = np.full(2, np.nan, dtype=np.float32)
    for i, name in enumerate(('valence', 'arousal')):
        written = getattr(annotation, name)
        value = as_number(written)
        if -1 <= value <= 1:
            pair[i] = value
        elif value != MISSING_VA:
            raise ValueError(
                f'{annotation.where}: the {name} of {annotation.name!r} is '
                f'{written!r}, neither in [-1, 1] nor {MISSING_VA} for '
                f'missing. Correct it, or write {MISSING_VA}.'
            )
    return pair


def check_repeats(annotations: Sequence[Annotation]) -> None:
    """Log images that are annotated more than once.

    Args:
        annotations (Sequence[Annotation]): Of the samples.

    Raises:
        ValueError: An image has several labels, and no ``sample_id`` tells
            that these are of several samples.
    """
    seen: Dict[str, Annotation] = {}
    repeats, differ = [], 0
    for annotation in annotations:
        key = text_tables.path_key(annotation.name)
        first = seen.setdefault(key, annotation)
        if first is annotation:
            continue
        labels = expression_label(first), expression_label(annotation)
        if labels[0] != labels[1]:
            if not first.sample_id or first.sample_id == annotation.sample_id:
                raise ValueError(
                    f'{annotation.where}: {annotation.name!r} has the '
                    f'expression {labels[1]}, and {labels[0]} at '
                    f'{first.where}. One image has one expression here; '
                    'remove one of the two.'
                )
            differ += 1
        repeats.append((first, annotation))
    if repeats:
        first, second = repeats[0]
        print_log(
            f'AffectNet: {len(repeats)} of {len(annotations)} samples repeat '
            f'an image, {differ} of them with another expression, e.g. '
            f'{second.name} at {first.where} and {second.where}. All are '
            'used.',
            'current',
            level=logging.WARNING,
        )


def read_table(path: str) -> Iterator[Annotation]:
    """Read a table of the CSV release, with or without its header.

    Args:
        path (str): ``training.csv`` or ``validation.csv``.

    Yields:
        Annotation: Of every row; its name is the path below the images.

    Raises:
        ValueError: It has other columns, or a row has.
    """
    table = text_tables.read_table(
        path,
        {name: [name] for name in (*WANTED, 'sample_id')},
        'training.csv or '
        'validation.csv of the manually annotated part of AffectNet, with '
        f'the columns {", ".join(WANTED)} (in any case), or without a header '
        f'and with all {len(COLUMNS)}',
        optional=['sample_id'],
        headless=COLUMNS,
    )
    columns = [table.columns[name] for name in WANTED]
    ids = table.columns.get('sample_id', [''] * len(table))
    for row, (name, *values) in enumerate(zip(*columns)):
        if table.decimal_comma:
            values = [value.replace(',', '.') for value in values]
        yield Annotation(name, table.where(row), *values, ids[row])


def annotated_names(folder: str) -> List[str]:
    """Ids of the images that a folder has ``<id>_exp.npy`` for, in order."""
    end = '_exp.npy'
    names = [name[: -len(end)] for name in os.listdir(folder) if name.endswith(end)]
    # The order of the numbers, which have no leading zeros.
    return sorted(names, key=lambda name: (len(name), name))


def read_annotations(folder: str, names: Iterator[str]) -> Iterator[Annotation]:
    """Read the annotations of the per-image release.

    Args:
        folder (str): Of ``<id>_exp.npy``, ``<id>_val.npy``, ``<id>_aro.npy``.
        names (Iterable[str]): Ids of the images.

    Yields:
        Annotation: Of every id; its name is ``<id>.jpg``.

    Raises:
        FileNotFoundError: One of the three files is missing.
        ValueError: A file does not hold one number.
    """
    for name in names:
        stem = osp.join(folder, name)
        yield Annotation(
            f'{name}.jpg',
            f'{stem}_*.npy',
            *(read_scalar(f'{stem}_{kind}.npy') for kind in ('exp', 'val', 'aro')),
        )


def read_scalar(path: str) -> Number:
    """The one value of a ``.npy`` file, a number or text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else. Pickles are not looked into.
    """
    try:
        value = np.load(path, allow_pickle=False).item()
        return value.decode() if isinstance(value, bytes) else value
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing: AffectNet has an _exp, a _val and an '
            '_aro.npy for every image. Copy the annotations again, or remove '
            'those of this image.'
        ) from None
    except (EOFError, ValueError, AttributeError) as error:
        raise ValueError(
            f'{path} does not hold a single number ({error}). Copy the file '
            'again, or remove the annotations of this image.'
        ) from error
