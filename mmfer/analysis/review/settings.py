"""Settings with which ``mmfer review FOLDER`` writes the page of a folder.

A work dir has a config. A folder that another command has written, such as that of
``mmfer scan``, has the file ``review.json`` in its place. The folder of a cleaning has
a config, and a record of what its base models have learned.
"""

import json
import os.path as osp
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from mmfer.evaluation import Strength
from mmfer.utils.files import write_atomic
from mmfer.utils.json_files import read_json

FILE_NAME = 'review.json'
"""Name of the file in a folder."""

CLEANING_FILE = 'record.json'
"""File of ``mmfer clean`` with what its base models have learned."""


class ReviewSettings(NamedTuple):
    """Arguments of a review page that a command keeps beside its table.

    Attributes:
        dataset (dict, optional): Settings of the training set before any decisions,
            for the registry of data sets. Paths in it should be absolute. None if the
            folder has a config.
        title (str): Title of the page; empty for the name of the folder.
        subtitle (str): Line below the title.
        warnings (Sequence[str]): Sentences that stand above the images.
        score_kind (str): See :func:`~mmfer.analysis.review.words.describe_scores`.
    """

    dataset: Optional[Dict[str, Any]] = None
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
    # Names of files need not be valid UTF-8, so all but ASCII is escaped.
    text = json.dumps(settings._asdict(), indent=2) + '\n'
    write_atomic(osp.join(folder, FILE_NAME), text.encode())


def read_settings(folder: str) -> ReviewSettings:
    """Read the settings of the page of a folder.

    Args:
        folder (str): Folder with a ``sample_scores.csv``.

    Raises:
        ValueError: A file of the command that wrote the folder is damaged.
    """
    for name, parse in ((FILE_NAME, _of_command), (CLEANING_FILE, _of_cleaning)):
        path = osp.join(folder, name)
        if not osp.isfile(path):
            continue
        record = read_json(path, dict, 'record of mmfer')
        try:
            return parse(record)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(
                f'{path}: this record is damaged. Run the command that wrote its '
                'folder again.'
            ) from None
    return ReviewSettings()


def _of_command(record: Dict[str, Any]) -> ReviewSettings:
    """Check and return the settings that a command has written."""
    found = ReviewSettings(**record)
    texts = (found.title, found.subtitle, found.score_kind, *found.warnings)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError('a text is no text')
    if found.dataset is not None and 'type' not in found.dataset.keys():
        raise ValueError('the data set has no type')
    return found


def _of_cleaning(record: Dict[str, Any]) -> ReviewSettings:
    """Return the settings of ``mmfer clean``: base models at chance are warnings."""
    warnings: List[str] = []
    for subset in record['subsets']:
        held_out = subset.get('held_out')
        strength = None if held_out is None else Strength(**held_out)
        if strength is not None and strength.is_weak:
            warnings.append(
                f'The base model of the {subset["name"]} does not know these images: '
                f'it predicts {strength}. The suggestions are about as good as chance.'
            )
    return ReviewSettings(subtitle='Cleaned with GAAVE', warnings=warnings)
