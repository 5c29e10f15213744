"""ExpW: faces in photos from a web search, with seven expressions."""

import os.path as osp
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from mmfer.registry import DATASETS
from mmfer.utils.text_files import PathLike
from mmfer.utils.text_lists import read_list
from mmfer.utils.text_tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    join_listed,
    parse_number,
    parse_whole_number,
    path_key,
)

from .base import FERDataset
from .checks import missing_root, tried
from .folds import fold_numbers
from .rafdb import EMOTIONS

# Expressions in the order of the numbers in the list.
LISTED = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
LISTS = ('label.lst', 'label/label.lst')
FOLDERS = ('image/origin', 'image', 'origin')
# One photo in so many is for testing.
TEST_FOLDS = 5
# Photos are not larger. Larger numbers are no pixels, and might not fit into int64.
MAX_PIXEL = 10**6
COLUMNS: Dict[str, Tuple[str, ...]] = dict(
    image=tuple(IMAGE_COLUMNS),
    face=('face_id_in_image',),
    top=('face_box_top',),
    left=('face_box_left',),
    right=('face_box_right',),
    bottom=('face_box_bottom',),
    # The authors' own spelling comes first.
    confidence=('face_box_cofidence', 'face_box_confidence'),
    label=('expression_label', *LABEL_COLUMNS),
)
EXAMPLE = '"happy_man_12.jpg 0 28 113 226 141 22.9 3"'
FORM = (
    'A row of ExpW is the name of a photo, the number of the face, top, left, right '
    'and bottom of its box, the confidence of the box, and a label from 0 to 6.'
)


@DATASETS.register_module()
class ExpW(FERDataset):
    """ExpW (expression in the wild), 91,793 faces in photos.

    It is read in its published layout::

        data_root/
        |-- label.lst         photo, face, box, confidence, label
        `-- image/            the photos, also in image/origin/

    ``label/label.lst`` is read, too. Each row is a sample. It has the photo as
    ``img_path``, and ``face_box`` (left, top, right, bottom) for the transform
    ``CropFace``, which must follow the loading step. A photo may have several
    faces.

    The classes are those of :class:`RAFDB`, in the same order, so that a model
    can be tested on both. The list has another order: 0 is angry, 1 disgust,
    2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral.

    The authors give no split. Here every fifth photo, drawn at random, is for
    testing. All faces of a photo are in the same part, and the parts are the
    same in every run.

    Args:
        data_root (str): Folder of ``label.lst``.
        split (str): ``'train'`` or ``'test'``.
        image_store (bool): See :class:`FERDataset`. The store would hold whole
            photos. Defaults to False.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The list or photos do not exist.
        ValueError: A row cannot be parsed, its box is empty, its label is
            none of the seven, or a face has two rows.
    """

    METAINFO = dict(classes=EMOTIONS)
    splits = ('train', 'test')
    # A row of the published list needs its box, so decisions stay in tables.
    list_suffix = None

    def __init__(
        self,
        data_root: str = 'data/expw',
        split: str = 'train',
        image_store: bool = False,
        **kwargs,
    ):
        super().__init__(
            data_root=data_root, split=split, image_store=image_store, **kwargs
        )

    def load_samples(self) -> List[dict]:
        """Read the list, and take the rows of this split."""
        lists = [osp.join(self.data_root, *name.split('/')) for name in LISTS]
        folders = [osp.join(self.data_root, *name.split('/')) for name in FOLDERS]
        table = next(filter(osp.isfile, lists), None)
        images = next(filter(osp.isdir, folders), None)
        if table is None or images is None:
            raise missing_root(
                self.name,
                [tried(lists, table), tried(folders, images)],
                'the page of its authors (mmlab.ie.cuhk.edu.hk, social relations)',
            )
        faces = read_faces(table)
        rows = np.flatnonzero(is_test(faces.names) == (self.split == 'test'))
        return [
            dict(
                img_path=join_listed(images, faces.names[row]),
                gt_label=int(faces.labels[row]),
                face_box=faces.boxes[row].tolist(),
            )
            for row in rows
        ]


class Faces(NamedTuple):
    """Rows of ``label.lst``.

    Attributes:
        names (list[str]): Photos as written, (N,).
        boxes (np.ndarray): Left, top, right and bottom in pixels, int64 (N, 4).
        labels (np.ndarray): Labels in the order of :class:`RAFDB`, int64 (N,).
    """

    names: List[str]
    boxes: np.ndarray
    labels: np.ndarray


def is_test(names: List[str]) -> np.ndarray:
    """Return which faces are for testing, bool (N,).

    Args:
        names (list[str]): Photo of each face, (N,).
    """
    _, photo = np.unique([path_key(name) for name in names], return_inverse=True)
    return fold_numbers(int(photo.max()) + 1, TEST_FOLDS)[photo] == 0


def read_faces(path: PathLike) -> Faces:
    """Read ``label.lst`` of ExpW, with or without a header.

    Args:
        path (str or os.PathLike): The list.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row cannot be parsed, its box is empty, its label is not in
            [0, 7), or a face has two rows.
    """
    short = ('the row is too short', FORM)
    rows = read_list(path, COLUMNS, 'label.lst of ExpW', EXAMPLE, short)
    order = [EMOTIONS.index(name) for name in LISTED]
    names, boxes, labels = [], [], []
    seen: Dict[Tuple[str, int], int] = {}
    for position, row in enumerate(rows.rows):
        name, *written, confidence, last = row.fields
        numbers = [parse_whole_number(x, rows.decimal_comma) for x in (*written, last)]
        known = [number for number in numbers if number is not None]
        if (
            len(known) < len(numbers)
            or parse_number(confidence, rows.decimal_comma) is None
        ):
            raise rows.error(position, 'a value is not a number', FORM)
        face, top, left, right, bottom, label = known
        if not (left < right <= MAX_PIXEL and top < bottom <= MAX_PIXEL) or (
            right <= 0 or bottom <= 0 or min(left, top) < -MAX_PIXEL
        ):
            raise rows.error(
                position,
                f'the box from ({left}, {top}) to ({right}, {bottom}) is empty or '
                'outside of any photo',
                f'{FORM} Correct or remove the row.',
            )
        if not 0 <= label < len(LISTED):
            raise rows.error(position, f'the label {label} is not in [0, 7)', FORM)
        earlier = seen.setdefault((path_key(name), face), position)
        if earlier != position:
            raise rows.error(
                position,
                f'face {face} of {name!r} is also in line '
                f'{rows.rows[earlier].line.number}',
                'Remove one of the two rows.',
            )
        names.append(name)
        boxes.append((left, top, right, bottom))
        labels.append(order[label])
    return Faces(names, np.array(boxes, np.int64), np.array(labels, np.int64))
