"""FERPlus: images of FER2013, each labelled by ten annotators."""

import csv
import io
import os.path as osp
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from mmengine.logging import print_log
from numpy.typing import ArrayLike

from mmfer.registry import DATASETS
from mmfer.utils.checks import choices
from mmfer.utils.csv_cells import guard_path
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
# Vote columns of fer2013new.csv: the eight emotions, then two for images that
# cannot be labelled ('NF' is 'not a face').
VOTES = (*EMOTIONS, 'unknown', 'NF')
NUM_COLUMNS = len(VOTES)
NUM_EMOTIONS = len(EMOTIONS)
# FERPlus has ten annotators. Sums of larger counts might not fit into int64.
MAX_VOTES = 10**6
HEADER = ('Usage', 'Image name', *VOTES)
COLUMNS = dict(
    usage=['usage'],
    image=['image_name', 'image'],
    **{name: [name.lower()] for name in VOTES},
)
TABLE = 'fer2013new.csv'
SOFT_DECISIONS = (
    'FERPlus: soft_labels=True trains on the votes, which decisions on labels '
    '(a cleaning, or decisions=) do not change. Remove soft_labels, or train '
    'on a cleaned table.'
)
# For each split, its usage in the table and the folder of its images.
SPLITS = dict(
    train=('Training', 'FER2013Train'),
    valid=('PublicTest', 'FER2013Valid'),
    test=('PrivateTest', 'FER2013Test'),
)


def argmax_labels(votes: np.ndarray) -> np.ndarray:
    """Return labels by the *arg-max* protocol; -1 for rows that are dropped.

    The label is the emotion with the most votes; if several have equally many,
    the first of them. A row is dropped if *unknown* or *not a face* has at
    least as many votes.

    Args:
        votes (np.ndarray): Integer votes, shape (N, 10).

    Returns:
        np.ndarray: int64 labels in [-1, 8), shape (N,).
    """
    emotions, rest = votes[:, :8], votes[:, 8:]
    valid = rest.max(axis=1) < emotions.max(axis=1)
    return np.where(valid, emotions.argmax(axis=1), -1)


def majority_labels(votes: np.ndarray) -> np.ndarray:
    """Return labels by FERPlus's majority protocol; -1 for rows that are dropped.

    First, every count of 1 is set to 0. Of the ten columns, the one with the
    most votes must then be an emotion and have more than half of the remaining
    votes.

    Args:
        votes (np.ndarray): Integer votes, shape (N, 10).

    Returns:
        np.ndarray: int64 labels in [-1, 8), shape (N,).
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

    Some images are in two rows with different votes. Each row is a sample.

    Args:
        data_root (str): Folder of ``fer2013new.csv``.
        split (str): ``'train'``, ``'valid'`` or ``'test'``.
        protocol (str): How votes become a label: ``'argmax'`` (28,153
            training and 3,524 validation rows) or ``'majority'``
            (FERPlus's own, 25,060 and 3,199). Defaults to ``'argmax'``.
        soft_labels (bool): Also give the vote distribution over the eight
            emotions as ``gt_score``, which cross-entropy then trains on
            (RUL and ALUM refuse it). It shows the clean label, so it is
            refused together with ``label_noise``. Defaults to False.
        table (str): The table, relative to ``data_root``. Defaults to
            ``'fer2013new.csv'``. Another table is refused unless ``split`` is
            ``'train'``.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The table or images do not exist.
        ValueError: An unknown split or protocol, options that contradict
            each other, or a table that cannot be parsed.
    """

    METAINFO = dict(classes=EMOTIONS)
    splits = tuple(SPLITS)
    list_suffix = '.csv'

    SHARED_WITH_SUBSETS = (*FERDataset.SHARED_WITH_SUBSETS, 'votes')
    SHARED_WITH_COPIES = (*FERDataset.SHARED_WITH_COPIES, 'votes')

    def __init__(
        self,
        data_root: str = 'data/ferplus',
        split: str = 'train',
        protocol: str = 'argmax',
        soft_labels: bool = False,
        table: str = TABLE,
        **kwargs,
    ):
        self.protocol = choices(self, 'protocol', protocol, PROTOCOLS)
        self.table = osp.expanduser(table)
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
            self.refuse_in_evaluation('table', f'It uses the votes of {TABLE}.')

    @property
    def class_votes(self) -> np.ndarray:  # type: ignore[override]
        """Votes for the eight emotions by ``sample_id``, int64 (N, 8)."""
        return self.votes[:, :NUM_EMOTIONS]

    def noise_manifest(self) -> Optional[dict]:
        """Describe the added noise; ``left_out`` counts rows that are no samples."""
        manifest = super().noise_manifest()
        return None if manifest is None else dict(manifest, left_out=self.left_out)

    def apply_decisions(self, label_decisions: Dict[str, np.ndarray]) -> None:
        """Apply decisions as :class:`FERDataset` does; refuse them for soft labels."""
        if self.soft_labels:
            raise ValueError(SOFT_DECISIONS)
        super().apply_decisions(label_decisions)

    def load_samples(self) -> List[dict]:
        """Read the table, and turn the votes into labels."""
        usage, folder = SPLITS[self.split]
        table = osp.join(self.data_root, self.table)
        images = osp.join(self.data_root, folder)
        if self.table != TABLE and not osp.isfile(table):
            raise FileNotFoundError(
                f'FERPlus: table={self.table!r} does not exist. A relative '
                f'path starts from {self.data_root!r}.'
            )
        folders = [osp.join(self.data_root, folder) for _, folder in SPLITS.values()]
        if not (osp.isfile(table) and any(map(osp.isdir, folders))):
            raise missing_root(
                self.name,
                [table, images],
                "the FERPlus page (labels) and Kaggle's FER2013 page (images)",
            )
        rows = read_vote_table(table)
        names, votes = _votes_of(rows, usage)
        if not (names and osp.isdir(images)):
            raise self._missing_split(table, rows.usages, images)
        _log_special_rows(rows, usage)
        labels = PROTOCOLS[self.protocol](votes)
        kept = np.flatnonzero(labels >= 0)
        # Votes by sample_id, which is the position among the kept rows.
        self.votes = votes[kept]
        self.left_out = len(names) - len(kept)
        if self.left_out:
            nobody = int((votes[:, :NUM_EMOTIONS].sum(axis=1) == 0).sum())
            print_log(
                f'FERPlus: {self.left_out} of {len(names)} {usage} rows are left '
                f'out, because the {self.protocol} protocol gives them no label; '
                f'{nobody} of them have no vote for an expression.',
                'current',
            )
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

    def _missing_split(
        self, table: str, usages: List[str], images: str
    ) -> FileNotFoundError:
        """Make the error for a copy of FERPlus without the rows or images of a split.

        Args:
            table (str): The vote table.
            usages (list[str]): Usages of its rows.
            images (str): Folder of the images of the split.
        """
        usage, _ = SPLITS[self.split]
        whole = [
            split
            for split, (other, folder) in SPLITS.items()
            if other in usages and osp.isdir(osp.join(self.data_root, folder))
        ]
        lacks = [f'{table} has no row with an image for it (Usage {usage})'] * (
            usage not in usages
        ) + [f'there is no folder {images}'] * (not osp.isdir(images))
        return FileNotFoundError(
            f'FERPlus: split={self.split!r} is missing: '
            f'{" and ".join(lacks) or f"no row of {table} names its images"}. Here '
            f'are {", ".join(whole) or "no other splits"}. Get the missing part from '
            "the FERPlus page (labels) or Kaggle's FER2013 page (images), or choose "
            f'another split, as with --cfg-options {self._loader}.dataset.split='
            f'{whole[-1] if whole else "SPLIT"}.'
        )

    def list_writer(self, sample_ids: ArrayLike) -> Callable[[str, ArrayLike], dict]:
        """Return a function that writes vote tables; see the base class."""
        ids = np.asarray(sample_ids).tolist()
        usage, _ = SPLITS[self.split]
        table = read_vote_table(osp.join(self.data_root, self.table))
        voted = PROTOCOLS[self.protocol](_votes_of(table, usage)[1])

        def write(path: str, labels: ArrayLike) -> dict:
            label_of = dict(zip(ids, np.asarray(labels).tolist()))
            rows = _relabelled_rows(table, usage, voted, label_of)
            text = io.StringIO(newline='')
            writer = csv.writer(text, lineterminator='\n')
            writer.writerow(HEADER)
            writer.writerows(rows)
            write_atomic(path, text.getvalue().encode())
            return self.list_options(dict(table=osp.abspath(path)))

        return write

    def _write_list(
        self, path: str, sample_ids: np.ndarray, labels: np.ndarray
    ) -> dict:
        """Write a vote table, to use as ``table``.

        Samples of this split that are not in ``sample_ids`` are not written. If
        the new label of a sample differs from the label of its votes, all ten
        votes go to the new label. Rows of other splits do not change.
        """
        return self.list_writer(sample_ids)(path, labels)


class VoteTable(NamedTuple):
    """Rows of ``fer2013new.csv``.

    Attributes:
        table (TextTable): The table, for messages.
        usages (list[str]): Training, PublicTest or PrivateTest, (N,).
        names (list[str]): Image names, '' in rows without one, (N,).
        votes (list[tuple[int]]): Ten counts per row in the order of
            ``VOTES``, (N,).
    """

    table: TextTable
    usages: List[str]
    names: List[str]
    votes: List[Tuple[int, ...]]


def read_vote_table(path: str) -> VoteTable:
    """Read the whole vote table, with its columns in any order.

    Args:
        path (str): ``fer2013new.csv``.

    Returns:
        VoteTable: All rows of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It lacks a column or has an unknown one, a usage is
            unknown, or a vote is not a whole number in [0, :data:`MAX_VOTES`].
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
        if counts and not (min(counts) >= 0 and max(counts) <= MAX_VOTES):
            row = next(i for i, n in enumerate(counts) if not 0 <= n <= MAX_VOTES)
            raise table.error(
                row,
                f'{counts[row]} votes for {name} is not a count',
                f'Correct the row; a count is at most {MAX_VOTES}.',
            )
        columns.append(counts)
    return VoteTable(table, usages, table.columns['image'], list(zip(*columns)))


def _votes_of(rows: VoteTable, usage: str) -> Tuple[List[str], np.ndarray]:
    """Return names and votes (N, 10) of the rows of a split that name an image."""
    kept = [i for i, name in enumerate(rows.names) if name and rows.usages[i] == usage]
    votes = np.array([rows.votes[i] for i in kept], dtype=np.int64)
    return [rows.names[i] for i in kept], votes.reshape(-1, NUM_COLUMNS)


def _relabelled_rows(
    table: VoteTable, usage: str, voted: np.ndarray, label_of: Dict[int, int]
) -> Iterator[list]:
    """Yield the rows of a vote table with the new labels of a split.

    Args:
        table (VoteTable): The table of the data set.
        usage (str): Usage of the split.
        voted (np.ndarray): Label of each row of the split by its votes, -1 for
            rows that are no samples, (N,).
        label_of (dict[int, int]): New label by ``sample_id``. Samples that are not
            in it have no row.
    """
    own_labels = iter(voted.tolist())
    sample_id = 0
    for row_usage, name, votes in zip(table.usages, table.names, table.votes):
        own = next(own_labels) if row_usage == usage and name else -1
        if own >= 0:
            label = label_of.get(sample_id)
            sample_id += 1
            if label is None:
                continue
            if label != own:
                votes = tuple(10 * (i == label) for i in range(NUM_COLUMNS))
        yield [row_usage, guard_path(name), *votes]


def _log_special_rows(rows: VoteTable, usage: str) -> None:
    """Log rows without an image name, and images that are in several rows."""
    nameless: List[int] = []
    lines: Dict[str, List[int]] = {}
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
            f'FERPlus: skipped {len(nameless)} {usage} row(s) of '
            f'{rows.table.path} that name no image, e.g. line {nameless[0]}.',
            'current',
        )
    several = {name: found for name, found in lines.items() if found[1:]}
    if several:
        name, found = next(iter(several.items()))
        print_log(
            f'FERPlus: {len(several)} image(s) of the {usage} rows of '
            f'{rows.table.path} are in several rows, e.g. {name} in lines '
            f'{" and ".join(map(str, found))}. All rows are used; each is one '
            'sample.',
            'current',
        )


def read_votes(path: str, usage: str) -> Tuple[List[str], np.ndarray]:
    """Read the votes of a split.

    Args:
        path (str): ``fer2013new.csv``.
        usage (str): ``Training``, ``PublicTest`` or ``PrivateTest``.

    Returns:
        tuple[list[str], np.ndarray]: Image names and int64 votes (N, 10).
        Rows without an image name are skipped.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_vote_table`.
    """
    return _votes_of(read_vote_table(path), usage)
