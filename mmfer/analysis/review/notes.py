"""What a page says about its scores, from the files of the command that wrote them."""

import os.path as osp
from typing import Any, Dict, NamedTuple, Sequence

from mmfer.evaluation import Strength
from mmfer.utils.json_files import read_json

SCAN_FILE = 'scan.json'
"""File of ``mmfer scan`` with settings, counts and warnings."""

CLEANING_FILE = 'record.json'
"""File of ``mmfer clean`` with what its base models have learned."""


class Notes(NamedTuple):
    """What a page says about its scores; see :func:`write_page`.

    Attributes:
        subtitle (str): Line below the title.
        warnings (Sequence[str]): Sentences above the images.
        score_kind (str): Whether scores are probabilities.
    """

    subtitle: str = ''
    warnings: Sequence[str] = ()
    score_kind: str = 'rank'


def read_notes(folder: str) -> Notes:
    """Return what the page of a folder says about its scores.

    Args:
        folder (str): Folder with a ``sample_scores.csv``.

    Raises:
        ValueError: A file of the command that wrote the folder is damaged.
    """
    for name, describe in ((SCAN_FILE, _of_scan), (CLEANING_FILE, _of_cleaning)):
        path = osp.join(folder, name)
        if not osp.isfile(path):
            continue
        record = read_json(path, dict, 'record of mmfer')
        try:
            return describe(record)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(
                f'{path}: the record is damaged. Run the command that wrote this '
                'folder again.'
            ) from None
    return Notes()


def _of_scan(record: Dict[str, Any]) -> Notes:
    """Return the notes of ``mmfer scan``."""
    warnings = [warning.strip() for warning in record['warnings']]
    encoder, images = record['settings']['encoder'], record['counts']['images']
    return Notes(f'{images:,} images, encoder {encoder}', warnings, 'probability')


def _of_cleaning(record: Dict[str, Any]) -> Notes:
    """Return the notes of ``mmfer clean``: base models that are at chance."""
    warnings = []
    for subset in record['subsets']:
        held_out = subset.get('held_out')
        strength = None if held_out is None else Strength(**held_out)
        if strength is not None and strength.is_weak:
            warnings.append(
                f'The base model of the {subset["name"]} does not know these images: '
                f'it predicts {strength}. The suggestions are about as good as chance.'
            )
    return Notes('Cleaned with GAAVE', warnings)
