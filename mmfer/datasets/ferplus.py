"""FERPlus: FER2013 with ten annotators per image."""
import csv
import io
import os.path as osp
from typing import Dict, List, Sequence

import numpy as np

from mmfer.compat import write_atomic
from mmfer.registry import DATASETS

from .base import FERDataset

EMOTIONS = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust',
            'fear', 'contempt')
# Vote columns of fer2013new.csv: the eight emotions, then two that say the
# image cannot be labelled.
NUM_COLUMNS = len(EMOTIONS) + 2
TABLE = 'fer2013new.csv'
SOFT_DECISIONS = (
    'FERPlus: soft_labels=True trains on the votes, and decisions on labels '
    '(a cleaning, or decisions=) would change nothing of them. Leave '
    'soft_labels out, or train on a cleaned table.')
SPLITS = dict(
    train=('Training', 'FER2013Train'),
    valid=('PublicTest', 'FER2013Valid'),
    test=('PrivateTest', 'FER2013Test'))


def argmax_labels(votes: np.ndarray) -> np.ndarray:
    """Label of each row by the *arg-max* protocol, -1 where dropped.

    The emotion with most votes, of equals the first; a row is dropped when
    *unknown* or *not a face* has at least as many votes.

    Args:
        votes (np.ndarray): Integer votes, shape (N, 10).

    Returns:
        np.ndarray: int64 labels in [-1, 8), shape (N, ).
    """
    emotions, rest = votes[:, :8], votes[:, 8:]
    valid = rest.max(axis=1) < emotions.max(axis=1)
    return np.where(valid, emotions.argmax(axis=1), -1)


def majority_labels(votes: np.ndarray) -> np.ndarray:
    """Label of each row by FERPlus's own majority protocol, -1 where dropped.

    Single votes are set to zero first; the largest of all ten columns must
    then be an emotion and hold more than half of the remaining votes.

    Args:
        votes (np.ndarray): Integer votes, shape (N, 10).

    Returns:
        np.ndarray: int64 labels in [-1, 8), shape (N, ).
    """
    votes = np.where(votes > 1, votes, 0)
    peak = votes.argmax(axis=1)
    valid = (2 * votes.max(axis=1) > votes.sum(axis=1)) & (peak < 8)
    return np.where(valid, peak, -1)


PROTOCOLS = dict(argmax=argmax_labels, majority=majority_labels)


@DATASETS.register_module()
class FERPlus(FERDataset):
    """FERPlus in its published layout.

    ::

        data_root/
        |-- fer2013new.csv       usage, image name, ten vote columns
        |-- FER2013Train/        fer0000000.png ...
        |-- FER2013Valid/
        `-- FER2013Test/

    Some images stand in two rows, with different votes: the row is the key.

    Args:
        data_root (str): Folder of ``fer2013new.csv``.
        split (str): ``'train'``, ``'valid'`` or ``'test'``.
        protocol (str): How votes become a label: ``'argmax'`` (28,153
            training and 3,524 validation rows) or ``'majority'``
            (FERPlus's own, 25,060 and 3,199). Defaults to ``'argmax'``.
        soft_labels (bool): Also give the vote distribution over the eight
            emotions as ``gt_score``, which cross-entropy then trains on
            (RUL and ALUM refuse it). It holds the truth, so it cannot be
            joined with ``label_noise``.
            Defaults to False.
        table (str): The table, relative to ``data_root``; another one for
            the training split alone. Defaults to ``'fer2013new.csv'``.
        **kwargs: See :class:`FERDataset`.
    """

    METAINFO = dict(classes=EMOTIONS)
    LIST_ENDING = '.csv'

    def __init__(self,
                 data_root: str = 'data/ferplus',
                 split: str = 'train',
                 protocol: str = 'argmax',
                 soft_labels: bool = False,
                 table: str = TABLE,
                 **kwargs):
        if split not in SPLITS:
            raise ValueError(f'FERPlus has no split {split!r}, only '
                             f'{", ".join(SPLITS)}.')
        if protocol not in PROTOCOLS:
            raise ValueError(f'FERPlus has no protocol {protocol!r}, only '
                             f'{", ".join(PROTOCOLS)}.')
        if soft_labels and kwargs.get('label_noise') is not None:
            raise ValueError(
                'FERPlus: soft_labels=True hands the true vote distribution '
                'to the loss and so undoes label_noise; choose one.')
        if soft_labels and kwargs.get('decisions') is not None:
            raise ValueError(SOFT_DECISIONS)
        if table != TABLE and split != 'train':
            raise ValueError(
                f'FERPlus: table={table!r} for an evaluation, which takes the '
                f'votes of {TABLE}. Remove it here; it belongs to the '
                'training set.')
        self.split = split
        self.protocol = protocol
        self.table = table
        self.soft_labels = soft_labels
        test_mode = kwargs.pop('test_mode', False) or split != 'train'
        super().__init__(data_root=data_root, test_mode=test_mode, **kwargs)

    def judge(self, judgement: Dict[str, np.ndarray]) -> None:
        """See :meth:`FERDataset.judge`; not with soft labels."""
        if self.soft_labels:
            raise ValueError(SOFT_DECISIONS)
        super().judge(judgement)

    def load_samples(self) -> List[dict]:
        """Read the table."""
        usage, folder = SPLITS[self.split]
        table = osp.join(self.data_root, self.table)
        images = osp.join(self.data_root, folder)
        if self.table != TABLE and not osp.isfile(table):
            raise FileNotFoundError(
                f'FERPlus: table={self.table!r} is not there; it is relative '
                f'to {self.data_root!r} unless it starts at the root.')
        if not (osp.isfile(table) and osp.isdir(images)):
            raise self.missing_root(
                [table, images], "the FERPlus page (labels) and Kaggle's "
                'FER2013 page (images)')
        names, votes = read_votes(table, usage)
        labels = PROTOCOLS[self.protocol](votes)
        kept = np.flatnonzero(labels >= 0)
        # Votes by sample_id, so by position among the kept rows.
        self.votes = votes[kept]
        samples = []
        for row in kept:
            sample = dict(
                img_path=osp.join(images, names[row]),
                gt_label=int(labels[row]))
            if self.soft_labels:
                emotions = votes[row, :8].astype(np.float32)
                sample['gt_score'] = emotions / emotions.sum()
            samples.append(sample)
        return samples

    def _write_list(self, path: str, sample_ids: Sequence[int],
                    labels: Sequence[int]) -> dict:
        """A vote table, for ``table``.

        Samples that are not named are not in it. Where a label is not that
        of the votes, it gets all ten of them. Other splits stay as they are.
        """
        label_of = dict(zip(map(int, sample_ids), map(int, labels)))
        usage, _ = SPLITS[self.split]
        table = osp.join(self.data_root, self.table)
        of_votes = iter(PROTOCOLS[self.protocol](read_votes(table, usage)[1]))
        text = io.StringIO(newline='')
        writer = csv.writer(text, lineterminator='\n')
        sample_id = 0
        with open(table, newline='', encoding='utf-8-sig') as file:
            for row in filter(None, csv.reader(file)):
                own = next(of_votes) if row[0] == usage and row[1] else -1
                if own >= 0:
                    label = label_of.get(sample_id)
                    sample_id += 1
                    if label is None:
                        continue
                    if label != own:
                        row[2:] = [10 * (i == label)
                                   for i in range(NUM_COLUMNS)]
                writer.writerow(row)
        write_atomic(path, text.getvalue().encode())
        return dict(table=osp.abspath(path))


def read_votes(path: str, usage: str):
    """Read the vote table.

    Args:
        path (str): ``fer2013new.csv``.
        usage (str): ``Training``, ``PublicTest`` or ``PrivateTest``.

    Returns:
        tuple[list[str], np.ndarray]: Image names and int64 votes (N, 10).
        Rows without an image name are left out, as they have no image.
    """
    names, votes = [], []
    with open(path, newline='', encoding='utf-8-sig') as file:
        reader = csv.reader(file)
        if (next(reader, None) or [''])[0].lower() != 'usage':
            raise ValueError(
                f'{path}: the first line is not the header that starts with '
                '"Usage". Is it the fer2013new.csv of FERPlus?')
        for row in reader:
            if not row:
                continue
            if len(row) != 2 + NUM_COLUMNS or not all(
                    cell.isdigit() for cell in row[2:]):
                raise ValueError(
                    f'{path}, line {reader.line_num}: expected usage, image '
                    f'name and {NUM_COLUMNS} vote counts, got {row!r}. Is it '
                    'the fer2013new.csv of FERPlus?')
            if row[0] == usage and row[1]:
                names.append(row[1])
                votes.append([int(cell) for cell in row[2:]])
    return names, np.array(votes, dtype=np.int64).reshape(-1, NUM_COLUMNS)
