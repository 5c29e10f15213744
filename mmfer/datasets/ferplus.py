"""FERPlus: FER2013 with ten annotators per image."""

import csv
import io
import os.path as osp
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log

from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic
from mmfer.utils.text_tables import TextTable, join_listed, path_key, read_table

from .base import FERDataset
from .checks import missing_root

EMOTIONS = (
    'neutral',
    'happiness',
    'surprise',
    'sadness',
    'anger',
    'disgust',
    'fear',
    'contempt',
)
# Vote columns of fer2013new.csv: the eight emotions, then two that say the
# image cannot be labelled.
VOTES = (*EMOTIONS, 'unknown', 'NF')
NUM_COLUMNS = len(VOTES)
HEADER = ('Usage', 'Image name', *VOTES)
COLUMNS = dict(
    usage=['usage'],
    image=['image_name', 'image'],
    **{name: [name.lower()] for name in VOTES},
)
TABLE = 'fer2013new.csv'
SOFT_DECISIONS = (
    'FERPlus: soft_labels=True trains on the votes, and decisions on labels '
    '(a cleaning, or decisions=) would change nothing of them. Leave '
    'soft_labels out, or train on a cleaned table.'
)
SPLITS = dict(
    train=('Training', 'FER2013Train'),
    valid=('PublicTest', 'FER2013Valid'),
    test=('PrivateTest', 'FER2013Test'),
)


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
    splits = tuple(SPLITS)
    list_suffix = '.csv'

    def __init__(
        self,
        data_root: str = 'data/ferplus',
        split: str = 'train',
        protocol: str = 'argmax',
        soft_labels: bool = False,
        table: str = TABLE,
        **kwargs,
    ):
        if protocol not in PROTOCOLS:
            raise ValueError(
                f'FERPlus has no protocol {protocol!r}, only {", ".join(PROTOCOLS)}.'
            )
        self.protocol = protocol
        self.table = table
        self.soft_labels = soft_labels
        super().__init__(data_root=data_root, split=split, **kwargs)

    def check_options(self) -> None:
        """Refuse soft labels with noise, and another table for an evaluation."""
        super().check_options()
        if self.soft_labels and self.label_noise is not None:
            raise ValueError(
                'FERPlus: soft_labels=True gives the true vote distribution '
                'to the loss, which undoes label_noise. Choose one of the two.'
            )
        if self.soft_labels and self.decisions is not None:
            raise ValueError(SOFT_DECISIONS)
        if self.split != 'train' and self.table != TABLE:
            self.refuse_in_evaluation('table', f'It takes the votes of {TABLE}.')

    def apply_decisions(self, label_decisions: Dict[str, np.ndarray]) -> None:
        """See :meth:`FERDataset.apply_decisions`; not with soft labels."""
        if self.soft_labels:
            raise ValueError(SOFT_DECISIONS)
        super().apply_decisions(label_decisions)

    def load_samples(self) -> List[dict]:
        """Read the table."""
        usage, folder = SPLITS[self.split]
        table = osp.join(self.data_root, self.table)
        images = osp.join(self.data_root, folder)
        if self.table != TABLE and not osp.isfile(table):
            raise FileNotFoundError(
                f'FERPlus: table={self.table!r} is not there; it is relative '
                f'to {self.data_root!r} unless it starts at the root.'
            )
        if not (osp.isfile(table) and osp.isdir(images)):
            raise missing_root(
                self.name,
                [table, images],
                "the FERPlus page (labels) and Kaggle's FER2013 page (images)",
            )
        rows = read_vote_table(table)
        names, votes = _votes_of(rows, usage)
        _report(rows, usage)
        labels = PROTOCOLS[self.protocol](votes)
        kept = np.flatnonzero(labels >= 0)
        # Votes by sample_id, so by position among the kept rows.
        self.votes = votes[kept]
        samples = []
        for row in kept:
            sample = dict(
                img_path=join_listed(images, names[row]), gt_label=int(labels[row])
            )
            if self.soft_labels:
                emotions = votes[row, :8].astype(np.float32)
                sample['gt_score'] = emotions / emotions.sum()
            samples.append(sample)
        return samples

    def _write_list(
        self, path: str, sample_ids: Sequence[int], labels: Sequence[int]
    ) -> dict:
        """A vote table, for ``table``.

        Samples that are not named are not in it. Where a label is not that
        of the votes, it gets all ten of them. Other splits stay as they are.
        """
        label_of = dict(zip(map(int, sample_ids), map(int, labels)))
        usage, _ = SPLITS[self.split]
        table = read_vote_table(osp.join(self.data_root, self.table))
        of_votes = iter(PROTOCOLS[self.protocol](_votes_of(table, usage)[1]))
        text = io.StringIO(newline='')
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(HEADER)
        sample_id = 0
        for row_usage, name, votes in zip(table.usages, table.names, table.votes):
            own = next(of_votes) if row_usage == usage and name else -1
            if own >= 0:
                label = label_of.get(sample_id)
                sample_id += 1
                if label is None:
                    continue
                if label != own:
                    votes = [10 * (i == label) for i in range(NUM_COLUMNS)]
            writer.writerow([row_usage, name, *votes])
        write_atomic(path, text.getvalue().encode())
        return dict(table=osp.abspath(path))


class VoteTable(NamedTuple):
    """All rows of ``fer2013new.csv``.

    Attributes:
        table (TextTable): The table, for messages.
        usages (list[str]): (N,) Training, PublicTest or PrivateTest.
        names (list[str]): (N,) image names, '' where there is none.
        votes (list[tuple[int]]): (N,) ten counts each, in the order of
            ``VOTES``.
    """

    table: TextTable
    usages: List[str]
    names: List[str]
    votes: List[Tuple[int, ...]]


def read_vote_table(path: str) -> VoteTable:
    """Read the whole vote table; columns go by the header.

    Args:
        path (str): ``fer2013new.csv``.

    Returns:
        VoteTable: Its rows.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It lacks a column or has an unknown one; a usage is
            unknown, or a vote is not a whole number of at least 0.
    """
    table = read_table(path, COLUMNS, 'fer2013new.csv of FERPlus', others='refuse')
    known = {usage.lower(): usage for usage, _ in SPLITS.values()}
    usages = []
    for row, written in enumerate(table.columns['usage']):
        usage = known.get(''.join(written.lower().split()))
        if usage is None:
            raise table.error(
                row,
                f'the usage {written!r} is none of {", ".join(known.values())}',
                'Correct or remove the row.',
            )
        usages.append(usage)
    columns = []
    for name in VOTES:
        counts = table.whole_numbers(name)
        if counts and min(counts) < 0:
            row = counts.index(min(counts))
            raise table.error(
                row, f'{counts[row]} votes for {name} are no count', 'Correct the row.'
            )
        columns.append(counts)
    return VoteTable(table, usages, table.columns['image'], list(zip(*columns)))


def _votes_of(rows: VoteTable, usage: str) -> Tuple[List[str], np.ndarray]:
    """Names and votes (N, 10) of the rows of a split that have a name."""
    kept = [i for i, name in enumerate(rows.names) if name and rows.usages[i] == usage]
    votes = np.array([rows.votes[i] for i in kept], dtype=np.int64)
    return [rows.names[i] for i in kept], votes.reshape(-1, NUM_COLUMNS)


def _report(rows: VoteTable, usage: str) -> None:
    """Log rows without an image, and images in several rows."""
    nameless, lines = [], {}
    for number, name, row_usage in zip(
        rows.table.line_numbers, rows.names, rows.usages
    ):
        if row_usage != usage:
            continue
        if name:
            lines.setdefault(path_key(name), []).append(number)
        else:
            nameless.append(number)
    if nameless:
        print_log(
            f'FERPlus: {len(nameless)} {usage} row(s) of {rows.table.path} '
            f'are left out, as they name no image, e.g. line {nameless[0]}.',
            'current',
        )
    several = {name: found for name, found in lines.items() if found[1:]}
    if several:
        name, found = next(iter(several.items()))
        print_log(
            f'FERPlus: {len(several)} image(s) of the {usage} rows of '
            f'{rows.table.path} stand in several rows, e.g. {name} in lines '
            f'{" and ".join(map(str, found))}. All rows are used; each is a '
            'sample of its own.',
            'current',
        )


def read_votes(path: str, usage: str) -> Tuple[List[str], np.ndarray]:
    """Read the votes of a split.

    Args:
        path (str): ``fer2013new.csv``.
        usage (str): ``Training``, ``PublicTest`` or ``PrivateTest``.

    Returns:
        tuple[list[str], np.ndarray]: Image names and int64 votes (N, 10).
        Rows without an image name are left out, as they have no image.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_vote_table`.
    """
    return _votes_of(read_vote_table(path), usage)
