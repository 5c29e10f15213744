"""Write a page for the browser, on which a person reviews suspicious labels."""

import hashlib
import os
import os.path as osp
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import DECISIONS, ScoreTable, read_decisions
from mmfer.utils.files import write_atomic

from .files import as_dict, as_script, list_text, pack, table_text
from .samples import (
    DUPLICATE_COLUMN,
    GROUP_COLUMN,
    Groups,
    Review,
    check_scores,
    find_groups,
    most_suspicious,
    samples_hash,
    twins,
)
from .template import fill, read_template
from .thumbnails import encode_images, read_images
from .words import ScoreWords, describe_scores

MAX_BYTES = 50_000_000
"""Largest size of a page in bytes."""

OWNER_ONLY = 0o600
"""Permissions of a page: it contains pictures of people."""


def write_page(
    path: str,
    dataset: FERDataset,
    table_path: str,
    title: str,
    limit: int = 10000,
    subtitle: str = '',
    warnings: Sequence[str] = (),
    score_kind: str = 'rank',
    progress: Optional[Callable[[int, int], object]] = None,
) -> Dict[str, int]:
    """Write the review page, readable by its owner only.

    Args:
        path (str): HTML file to write. The page needs no other file.
        dataset (FERDataset): Training set before any decisions.
        table_path (str): ``sample_scores.csv`` of the training set. If it has a column
            ``duplicate_of`` or ``group``, these samples are shown together.
        title (str): Title at the top, and part of the names of downloads.
        limit (int): Largest number of images. Defaults to 10000.
        subtitle (str): Line below the title. Defaults to ''.
        warnings (Sequence[str]): Sentences that stand above the images, such as that
            the scores are hardly better than chance.
        score_kind (str): What ``noise_score`` is, see
            :func:`~mmfer.analysis.review.words.describe_scores`. Defaults to
            ``'rank'``.
        progress (Callable, optional): Shows the progress of reading images, such as
            :class:`~mmfer.utils.progress.Progress`.

    Returns:
        dict[str, int]: Number of samples on the page (``shown``) and in the
        table (``samples``), and size of the page (``bytes``).

    Raises:
        FileNotFoundError, ValueError: See
            :func:`~mmfer.score_table.read_decisions`.
        ValueError: A score is not finite, or no probability although ``score_kind``
            says so; or the page is too large.
    """
    names = dataset.names_by_id()
    table = read_decisions(
        table_path,
        names,
        dataset.given_labels,
        dataset.sample_ids,
        dataset.num_classes,
        dataset.CLASSES,
        extra=(DUPLICATE_COLUMN, GROUP_COLUMN),
    )
    check_scores(table_path, table, names)
    words = describe_scores(table['noise_score'], score_kind)
    groups = find_groups(table)
    review = most_suspicious(table, names, limit, groups)
    data = page_data(dataset, table, review, names, title)
    data.update(
        subtitle=subtitle,
        warnings=list(warnings),
        **score_data(words, review),
        **group_data(groups, review),
        **local_files(dataset, review, osp.dirname(osp.abspath(path))),
        large=[],
    )
    text = page_text(dataset, data, progress)
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    write_atomic(path, text, OWNER_ONLY)
    return dict(
        shown=len(review.rows), samples=len(table['sample_id']), bytes=len(text)
    )


def page_text(
    dataset: FERDataset,
    data: Dict[str, Any],
    progress: Optional[Callable[[int, int], object]] = None,
) -> bytes:
    """Add the pictures to the data of a page, and return the whole page.

    Args:
        dataset (FERDataset): Data set with the images.
        data (dict): What the script reads, without pictures; they are added.
        progress (Callable, optional): See :func:`write_page`.

    Raises:
        ValueError: The page is too large.
    """
    template, title, count = read_template(), data['title'], len(data['ids'])
    size = len(fill(template, title, data))
    if size > MAX_BYTES:
        raise ValueError(
            f'The page may have {MAX_BYTES / 1e6:.6g} MB, but the lists of '
            f'all {data["total"]} samples and the names of '
            f'{count} images take {size / 1e6:.6g} MB. Show fewer '
            'images with --max-images. If the page is still too large, review a '
            'part of the data set.'
        )
    # Each image needs two quotes, and all but the first need a comma.
    data['images'], data['large'] = encode_images(
        read_images(dataset, data['ids']),
        count,
        MAX_BYTES - size - 3 * count + 1,
        progress,
    )
    return fill(template, title, data)


def page_data(
    dataset: FERDataset,
    table: ScoreTable,
    review: Review,
    names: Sequence[str],
    title: str,
) -> Dict[str, Any]:
    """Collect the data on which decisions depend, without images.

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


def score_data(words: ScoreWords, review: Review) -> Dict[str, Any]:
    """Return what the page says about the scores of its samples."""
    return dict(
        level=words.level[review.rows].tolist(),
        words=list(words.words),
        meaning=words.meaning,
        probability=words.probability,
    )


def group_data(groups: Optional[Groups], review: Review) -> Dict[str, Any]:
    """Return the groups of the samples on the page, with -1 for none."""
    if groups is None:
        return dict(group=None, duplicates=False)
    return dict(group=groups.number[review.rows].tolist(), duplicates=groups.duplicates)


def local_files(dataset: FERDataset, review: Review, folder: str) -> Dict[str, Any]:
    """Return where the image files are, relative to the folder of the page.

    Args:
        dataset (FERDataset): Data set with the images.
        review (Review): Samples that the page shows.
        folder (str): Folder of the page.

    Returns:
        dict: ``folder``, to which the names of the images are relative. It is None if
        there are no files, or if they are on another drive. ``paths`` is None, or has
        the paths in place of the names if they differ.
    """
    positions = dataset.positions_of(review.ids)
    none: Dict[str, Any] = dict(folder=None, paths=None)
    if not len(positions) or 'img' in dataset.get_data_info(int(positions[0])):
        return none
    try:
        paths = [
            osp.relpath(path, folder).replace(os.sep, '/')
            for path in dataset.image_paths.take(positions)
        ]
    except ValueError:
        return none
    start = paths[0][: len(paths[0]) - len(review.images[0])]
    if all(path == start + name for path, name in zip(paths, review.images)):
        return dict(folder=start, paths=None)
    listed: List[str] = paths
    return dict(folder='', paths=listed)
