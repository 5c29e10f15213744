"""Choose the samples of a page, and find those that belong together."""

import hashlib
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import ScoreTable

from .files import as_script

DUPLICATE_COLUMN = 'duplicate_of'
"""Column with the ``sample_id`` of the image that a sample repeats; empty for none."""

GROUP_COLUMN = 'group'
"""Column with the name of the group of a sample, such as a person; empty for none."""

# Number of rows that are hashed at once.
_BLOCK = 8192


class Review(NamedTuple):
    """Samples that a page shows, most suspicious first, (N,) each.

    Attributes:
        rows (np.ndarray): Position in the table, ascending ``sample_id``.
        given (np.ndarray): Given labels.
        suggested (np.ndarray): Suggested labels.
        score (np.ndarray): ``noise_score``.
        decision (np.ndarray): Decision of the table: keep, relabel or drop.
        images (list[str]): Names of the images.
        ids (np.ndarray): ``sample_id``. An image may be that of several samples.
    """

    rows: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    score: np.ndarray
    decision: np.ndarray
    images: List[str]
    ids: np.ndarray


class Groups(NamedTuple):
    """Samples that belong together.

    Attributes:
        number (np.ndarray): Number of the group of each row of a table, int64 (N,);
            -1 for samples that are alone.
        duplicates (bool): Whether the samples of a group show the same picture, so
            that one decision holds for all of them.
    """

    number: np.ndarray
    duplicates: bool


def most_suspicious(
    table: ScoreTable, names: Sequence[str], limit: int, groups: Optional[Groups] = None
) -> Review:
    """Choose the samples with the largest ``noise_score``.

    Duplicates stand beside the most suspicious of them.

    Args:
        table (dict[str, np.ndarray]): See
            :func:`~mmfer.score_table.read_decisions`.
        names (Sequence[str]): Names of images, by ``sample_id``.
        limit (int): Largest number of samples.
        groups (Groups, optional): Groups of the rows.
    """
    score = table['noise_score']
    order = np.argsort(-score, kind='stable')
    if groups is not None and groups.duplicates:
        # Rank of the most suspicious sample of each group.
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        first = rank.copy()
        found = groups.number >= 0
        best = np.full(groups.number.max(initial=-1) + 1, len(order))
        np.minimum.at(best, groups.number[found], rank[found])
        first[found] = best[groups.number[found]]
        order = np.lexsort((rank, first))
    order = order[:limit]
    return Review(
        rows=order,
        given=table['given_label'][order],
        suggested=table['suggested_label'][order],
        score=score[order],
        decision=table['decision'][order],
        images=[names[i] for i in table['sample_id'][order]],
        ids=table['sample_id'][order],
    )


def find_groups(table: ScoreTable) -> Optional[Groups]:
    """Return the groups of a table; None if it has no column for them.

    Duplicates come first: the column ``group`` is used only if there is no
    ``duplicate_of``.

    Args:
        table (dict[str, np.ndarray]): Columns of all samples; those of groups as text.
    """
    if DUPLICATE_COLUMN in table:
        return Groups(_linked(table), duplicates=True)
    if GROUP_COLUMN not in table:
        return None
    texts = [text.strip() for text in table[GROUP_COLUMN].tolist()]
    return Groups(_numbered(['' if t == '-1' else t for t in texts]), duplicates=False)


def _linked(table: ScoreTable) -> np.ndarray:
    """Return a number for each set of samples that are linked by ``duplicate_of``."""
    parent = {i: i for i in table['sample_id'].tolist()}

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, text in zip(table['sample_id'].tolist(), table[DUPLICATE_COLUMN].tolist()):
        text = text.strip()
        other = int(text) if text.isdecimal() and text.isascii() else -1
        # A text that names no sample of the table is no link.
        if other in parent:
            parent[root(i)] = root(other)
    return _numbered([str(root(i)) for i in table['sample_id'].tolist()])


def _numbered(names: Sequence[str]) -> np.ndarray:
    """Return the numbers of groups by their names, (N,); -1 for groups of one."""
    counts: Dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    several = (name for name, count in counts.items() if name and count > 1)
    number = {name: n for n, name in enumerate(several)}
    return np.array([number.get(name, -1) for name in names], dtype=np.int64)


def twins(
    table: ScoreTable, names: Sequence[str], review: Review
) -> Dict[int, List[int]]:
    """Return the other samples of images that are those of several samples.

    Args:
        table (dict[str, np.ndarray]): Columns of all samples.
        names (Sequence[str]): Names of images, by ``sample_id``.
        review (Review): Samples that the page shows.

    Returns:
        dict[int, list[int]]: Their ``sample_id``, by position on the page.
    """
    samples: Dict[str, List[int]] = {name: [] for name in review.images}
    for i in table['sample_id'].tolist():
        found = samples.get(names[i])
        if found is not None:
            found.append(i)
    result = {}
    for place, (i, name) in enumerate(zip(review.ids.tolist(), review.images)):
        others = [other for other in samples[name] if other != i]
        if others:
            result[place] = others
    return result


def samples_hash(dataset: FERDataset, table: ScoreTable, names: Sequence[str]) -> str:
    """Return a hash of the samples that decisions refer to, 32 hex digits.

    Decisions on other samples, labels or classes have another hash. Scores and
    suggestions do not count, so decisions can be used with the table of another run.

    Args:
        dataset (FERDataset): Training set before any decisions.
        table (dict[str, np.ndarray]): Columns of all its samples.
        names (Sequence[str]): Names of images, by ``sample_id``.
    """
    found = hashlib.sha256(as_script(dict(classes=list(dataset.CLASSES))).encode())
    ids, labels = table['sample_id'].tolist(), table['given_label'].tolist()
    for start in range(0, len(ids), _BLOCK):
        part = ids[start : start + _BLOCK]
        rows = zip(part, labels[start : start + _BLOCK], (names[i] for i in part))
        found.update(as_script(dict(rows=list(rows))).encode())
    return found.hexdigest()[:32]


def check_scores(path: str, table: ScoreTable, names: Sequence[str]) -> None:
    """Raise an error if a score is not finite, because images are sorted by it.

    Args:
        path (str): Path of the table, for the message.
        table (dict[str, np.ndarray]): Columns of all samples.
        names (Sequence[str]): Names of images, by ``sample_id``.
    """
    score = table['noise_score']
    wrong = np.flatnonzero(~np.isfinite(score))
    if len(wrong):
        sample_id = table['sample_id'][wrong[0]]
        raise ValueError(
            f'{path}: noise_score of sample {sample_id} '
            f'({names[sample_id]}) is {score[wrong[0]]}. '
            f'{len(wrong)} of {len(score)} samples have no finite score, so images '
            'cannot be sorted by it. Perhaps training diverged. Write the table '
            'again, or correct these rows.'
        )
