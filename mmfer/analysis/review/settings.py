"""What ``mmfer review FOLDER`` needs to write the page of a folder.

A work dir has a config. A folder that another command has written, such as that of
``mmfer scan``, has the file ``review.json`` in its place.
"""

import json
import os.path as osp
from typing import Any, Dict, NamedTuple, Optional, Sequence

from mmfer.utils.files import write_atomic

FILE_NAME = 'review.json'
"""Name of the file in a folder."""


class ReviewSettings(NamedTuple):
    """Arguments of a review page that a command keeps beside its table.

    Attributes:
        dataset (dict): Settings of the training set before any decisions, for the
            registry of data sets. Paths in it should be absolute.
        title (str): Title of the page; empty for the name of the folder.
        subtitle (str): Line below the title.
        warnings (Sequence[str]): Sentences that stand above the images.
        score_kind (str): See :func:`~mmfer.analysis.review.words.describe_scores`.
    """

    dataset: Dict[str, Any]
    title: str = ''
    subtitle: str = ''
    warnings: Sequence[str] = ()
    score_kind: str = 'rank'


def write_settings(folder: str, settings: ReviewSettings) -> None:
    """Write ``review.json``, so that ``mmfer review FOLDER`` can write the page again.

    Args:
        folder (str): Folder with a ``sample_scores.csv``.
        settings (ReviewSettings): The data set must be of plain types.
    """
    text = json.dumps(settings._asdict(), indent=2, ensure_ascii=False) + '\n'
    write_atomic(osp.join(folder, FILE_NAME), text.encode())


def read_settings(folder: str) -> Optional[ReviewSettings]:
    """Read ``review.json``; None if the folder has none.

    Args:
        folder (str): Folder with a ``sample_scores.csv``.

    Raises:
        ValueError: The file is damaged.
    """
    path = osp.join(folder, FILE_NAME)
    if not osp.isfile(path):
        return None
    try:
        with open(path, encoding='utf-8') as file:
            found = ReviewSettings(**json.load(file))
        texts = (found.title, found.subtitle, found.score_kind, *found.warnings)
        if not isinstance(found.dataset, dict) or 'type' not in found.dataset:
            raise ValueError('it names no data set')
        if not all(isinstance(text, str) for text in texts):
            raise ValueError('a text is no text')
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{path}: the settings of the page cannot be read ({error}). Run the '
            'command that wrote this folder again.'
        ) from None
    return found
