"""AffectNet: eight expressions, with valence and arousal."""

import csv
import io
import os
import os.path as osp
from typing import Callable, List, Optional, Tuple

import numpy as np
from mmengine.logging import print_log
from numpy.typing import ArrayLike

from mmfer.registry import DATASETS
from mmfer.utils import text_tables
from mmfer.utils.checks import choices
from mmfer.utils.csv_cells import guard_path
from mmfer.utils.files import write_atomic
from mmfer.utils.progress import tracked
from mmfer.utils.string_table import all_different

from .affectnet_annotations import (
    EMOTIONS,
    WANTED,
    Annotations,
    annotated_names,
    check_repeats,
    read_annotations,
    read_release_table,
)
from .base import FERDataset
from .checks import missing_root, tried

# For each split, the names of its CSV file and of its folder in the release
# with one file per image.
SPLITS = dict(train=('training', 'train_set'), val=('validation', 'val_set'))


@DATASETS.register_module()
class AffectNet(FERDataset):
    """AffectNet (manually annotated part) in either published layout.

    The CSV release has tables. In some copies they are in ``data_root`` itself,
    or lack the header. These are read, too::

        data_root/
        |-- Manually_Annotated_file_lists/training.csv, validation.csv
        `-- Manually_Annotated_Images/1/0a1b2c....jpg ...

    The per-image release has three files of annotations for each image::

        data_root/
        |-- train_set/
        |   |-- images/0.jpg ...
        |   `-- annotations/0_exp.npy, 0_val.npy, 0_aro.npy ...
        `-- val_set/            (the same)

    The layout is found from the files; if both exist, the tables are used.
    Rows are joined with images by name. Images annotated as none, uncertain
    or no face (8 to 10) are not used. Images are not cropped: the face boxes
    of the tables are not applied.

    Samples also carry ``gt_va``, float32 (2,): valence and arousal in
    [-1, 1], and NaN where the release has -2, which means missing. To pass
    it to the model, use ``PackFERInputs(algorithm_keys=('gt_va',))``.

    The largest class of the training split has about 35 times as many
    samples as the smallest. To draw all classes equally often, set
    ``train_dataloader.sampler.type`` to ``BalancedSampler``.

    Args:
        data_root (str): Folder of the tables or of ``train_set``.
        split (str): ``'train'`` or ``'val'``. The release has no labels for
            a test split, so papers report results on ``'val'``.
        num_classes (int): 8, or 7 without contempt. Defaults to 8.
        table (str, optional): A CSV table that replaces the annotations of
            the training split, in either layout. The path is relative to
            the working directory.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: Neither layout is found, or some of its images or
            annotations are missing.
        ValueError: Another split or number of classes; an expression outside
            0 to 10; valence or arousal outside [-1, 1] and not -2; or a
            table or file that cannot be parsed.
    """

    METAINFO = dict(classes=EMOTIONS)
    splits = tuple(SPLITS)
    list_suffix = '.csv'

    def __init__(
        self,
        data_root: str = 'data/affectnet',
        split: str = 'train',
        num_classes: int = 8,
        table: Optional[str] = None,
        **kwargs,
    ):
        choices(
            self,
            'num_classes',
            num_classes,
            (7, 8),
            hint='AffectNet has 8 classes, or 7 without contempt.',
        )
        self.table = None if table is None else osp.expanduser(table)
        self._num_emotions = num_classes
        kwargs.setdefault('classes', EMOTIONS[:num_classes])
        super().__init__(data_root=data_root, split=split, **kwargs)

    def check_options(self) -> None:
        """Refuse ``table`` for an evaluation."""
        super().check_options()
        if self.split != 'train':
            self.refuse_in_evaluation('table', 'It uses the labels of the release.')

    def load_samples(self) -> List[dict]:
        """Read the table or the annotations of all images."""
        images, found = self._find_release()
        labels, rows = self._emotions(found)
        check_repeats(found, labels, rows)
        return [
            dict(
                img_path=text_tables.join_listed(images, found.names[row]),
                gt_label=label,
                gt_va=pair,
            )
            for row, label, pair in zip(
                rows.tolist(), labels[rows].tolist(), found.va(rows)
            )
        ]

    def _emotions(self, found: Annotations) -> Tuple[np.ndarray, np.ndarray]:
        """Return all expressions, and the rows of the samples.

        Images without an emotion are no samples; with 7 classes, neither are
        those with contempt.

        Args:
            found (Annotations): Annotations of N images.

        Returns:
            tuple[np.ndarray, np.ndarray]: int64 (N,), and int64 (n,) by
            ``sample_id``.
        """
        labels = found.labels()
        return labels, np.flatnonzero(labels < self._num_emotions)

    def list_writer(self, sample_ids: ArrayLike) -> Callable[[str, ArrayLike], dict]:
        """Return a function that writes tables of samples; see the base class."""
        found = self._find_release()[1]
        ids = np.asarray(sample_ids)
        rows = self._emotions(found)[1][ids].tolist()
        names = [guard_path(found.names[row]) for row in rows]
        columns = [
            [column[row] for row in rows] for column in (found.valence, found.arousal)
        ]
        # The release writes this name with upper-case letters.
        header = ['subDirectory_filePath', *WANTED[1:]]
        if not all_different(names, text_tables.path_key):
            header.append('sample_id')
            columns.append(ids.tolist())

        def write(path: str, labels: ArrayLike) -> dict:
            text = io.StringIO(newline='')
            writer = csv.writer(text, lineterminator='\n')
            writer.writerow(header)
            writer.writerows(zip(names, np.asarray(labels).tolist(), *columns))
            write_atomic(path, text.getvalue().encode())
            return self.list_options(dict(table=osp.abspath(path)))

        return write

    def _write_list(
        self, path: str, sample_ids: np.ndarray, labels: np.ndarray
    ) -> dict:
        """Write a table in the format of the CSV release, to use as ``table``.

        It has the columns that this data set reads. Valence and arousal do
        not change. If images are repeated, it also has ``sample_id``, because
        the decisions on the samples of one image may differ.
        """
        return self.list_writer(sample_ids)(path, labels)

    def _find_release(self) -> Tuple[str, Annotations]:
        """Return the folder of the images, and their annotations."""
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
                    f'AffectNet: table={self.table!r} does not exist. A '
                    f'relative path starts from {os.getcwd()!r}.'
                )
            # The folders of both releases may exist. Try that of the release whose
            # table exists first.
            both = (table_images, images)
            for folder in both if table is not None else both[::-1]:
                if osp.isdir(folder):
                    return folder, read_release_table(self.table)
        elif table is not None and osp.isdir(table_images):
            return table_images, read_release_table(table)
        elif osp.isdir(images) and osp.isdir(annotations):
            return images, self._read_annotations(annotations)

        def folder_state(path: str) -> str:
            return tried([path], path if osp.isdir(path) else None)

        raise missing_root(
            self.name,
            [
                f'{tried(tables, table)} with {folder_state(table_images)}',
                f'or {folder_state(images)} with {folder_state(annotations)}',
            ],
            'the AffectNet page of its authors (mohammadmahoor.com, free for '
            'research on request)',
        )

    def _read_annotations(self, folder: str) -> Annotations:
        """Read annotations with a progress bar: a full split takes minutes."""
        names = annotated_names(folder)
        print_log(
            f'Reading the annotations of {len(names)} images of AffectNet ...',
            'current',
        )
        return read_annotations(folder, tracked(names, 'reading annotations'))
