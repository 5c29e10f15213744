"""Write a page for the browser, on which a person reviews suspicious labels."""

import hashlib
import html
import os
import os.path as osp
import re
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import DECISIONS, ScoreTable, read_decisions
from mmfer.utils import palette
from mmfer.utils.files import write_atomic

from .review_files import as_dict, as_script, list_text, pack, table_text
from .thumbnails import encode_images, read_images

TEMPLATE = osp.join(osp.dirname(osp.abspath(__file__)), 'review.html')
"""Template of the page, with the placeholders TITLE, DATA and COLOURS."""

MAX_BYTES = 50_000_000
"""Largest size of a page in bytes."""

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


def most_suspicious(table: ScoreTable, names: Sequence[str], limit: int) -> Review:
    """Choose the samples with the largest ``noise_score``.

    Args:
        table (dict[str, np.ndarray]): See
            :func:`~mmfer.score_table.read_decisions`.
        names (Sequence[str]): Names of images, by ``sample_id``.
        limit (int): Largest number of samples.
    """
    order = np.argsort(-table['noise_score'], kind='stable')[:limit]
    return Review(
        rows=order,
        given=table['given_label'][order],
        suggested=table['suggested_label'][order],
        score=table['noise_score'][order],
        decision=table['decision'][order],
        images=[names[i] for i in table['sample_id'][order]],
        ids=table['sample_id'][order],
    )


def write_page(
    path: str, dataset: FERDataset, table_path: str, title: str, limit: int = 10000
) -> Dict[str, int]:
    """Write the review page.

    Args:
        path (str): HTML file to write. The page needs no other file.
        dataset (FERDataset): Training set before any decisions.
        table_path (str): ``sample_scores.csv`` of the training set.
        title (str): Title at the top, and part of the names of downloads.
        limit (int): Largest number of images. Defaults to 10000.

    Returns:
        dict[str, int]: Number of samples on the page (``shown``) and in the
        table (``samples``), and size of the page (``bytes``).

    Raises:
        FileNotFoundError, ValueError: See
            :func:`~mmfer.score_table.read_decisions`.
        ValueError: A score is not finite, or the page is too large.
    """
    names = dataset.names_by_id()
    table = read_decisions(
        table_path,
        names,
        dataset.given_labels,
        dataset.sample_ids,
        dataset.num_classes,
        dataset.CLASSES,
    )
    check_scores(table_path, table, names)
    review = most_suspicious(table, names, limit)
    data = page_data(dataset, table, review, names, title)
    with open(TEMPLATE, encoding='utf-8') as file:
        template = file.read()
    size = len(fill(template, title, data))
    if size > MAX_BYTES:
        raise ValueError(
            f'The page may have {MAX_BYTES / 1e6:.6g} MB, but the lists of '
            f'all {len(table["sample_id"])} samples and the names of '
            f'{len(review.rows)} images take {size / 1e6:.6g} MB. Show fewer '
            'images with --max-images. If the page is still too large, review a '
            'part of the data set.'
        )
    # Each image needs two quotes, and all but the first need a comma.
    data['images'] = encode_images(
        read_images(dataset, table['sample_id'][review.rows].tolist()),
        len(review.rows),
        MAX_BYTES - size - 3 * len(review.rows) + 1,
    )
    text = fill(template, title, data)
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    write_atomic(path, text)
    return dict(
        shown=len(review.rows), samples=len(table['sample_id']), bytes=len(text)
    )


def page_data(
    dataset: FERDataset,
    table: ScoreTable,
    review: Review,
    names: Sequence[str],
    title: str,
) -> Dict[str, Any]:
    """Collect the data that the script of the page reads, without images.

    Args:
        dataset (FERDataset): Training set before any decisions.
        table (dict[str, np.ndarray]): Columns of all its samples.
        review (Review): Samples that the page shows.
        names (Sequence[str]): Names of images, by ``sample_id``.
        title (str): Title of the page.
    """
    hidden = np.ones(len(table['sample_id']), dtype=bool)
    hidden[review.rows] = False
    own_list = list_text(dataset, table, review.rows.tolist())
    decisions = table_text(table, names, review.rows.tolist())
    data: Dict[str, Any] = dict(
        title=title,
        classes=list(dataset.CLASSES),
        given=review.given.tolist(),
        suggested=review.suggested.tolist(),
        score=[float(f'{s:.4g}') for s in review.score],
        decision=review.decision.tolist(),
        names=review.images,
        ids=review.ids.tolist(),
        twins=twins(table, names, review),
        samples=samples_hash(dataset, table, names),
        total=len(table['sample_id']),
        # Decisions of the table about samples that the page does not show.
        hidden={
            name: int((table['decision'][hidden] == name).sum()) for name in DECISIONS
        },
        list=None if own_list is None else as_dict(own_list),
        listName=f'{title}_reviewed{dataset.list_suffix}',
        lookedListName=f'{title}_looked_at{dataset.list_suffix}',
        table=as_dict(decisions),
        tableName=f'{title}_reviewed_scores.csv',
        lookedTableName=f'{title}_looked_at_scores.csv',
        images=[],
    )
    # Key under which the browser stores this page's decisions.
    data['key'] = hashlib.sha256(as_script(data).encode()).hexdigest()[:32]
    data['list'], data['table'] = pack(data['list']), pack(data['table'])
    return data


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


def fill(template: str, title: str, data: Dict[str, Any]) -> bytes:
    """Fill the template of the page and encode it.

    Args:
        template (str): Contents of :data:`TEMPLATE`.
        title (str): Title of the page.
        data (dict): See :func:`page_data`.
    """
    colours = dict(palette.DECISIONS, current=palette.YELLOW)
    parts = {
        'TITLE': lambda: html.escape(title),
        'DATA': lambda: as_script(data),
        'COLOURS': lambda: ' '.join(f'--{k}: {v};' for k, v in colours.items()),
    }
    # All placeholders are filled at once, because a title or a name may look
    # like a placeholder.
    return re.sub(
        r'/\*(TITLE|DATA|COLOURS)\*/', lambda found: parts[found[1]](), template
    ).encode()
