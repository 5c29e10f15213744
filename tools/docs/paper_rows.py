"""Rows of the papers' tables and figures, from ``configs/<method>/paper.yml``.

A file describes one paper::

    title: ALUM
    paper: Wei, Zhou, Li, Wu. ALUM. ICCV 2023.
    parts:
      - where: Table 6
        about: each component, RAF-DB with 30 % of wrong labels
        rows:
          - row: LC at {rate}
            each: {rate: [0.1, 0.3]}
            train: configs/alum/alum_r18_rafdb.py --noise symmetric:{rate}
          - row: features of test images
            command: python tools/analysis_tools/tsne.py CONFIG CHECKPOINT
          - row: EAC
            missing: the paper has it for comparison only

A row has one of three values. ``train`` is what follows ``python tools/train.py``,
``command`` is any other command, and ``missing`` is the reason why there is none.
``each`` repeats a row, once for each combination of values.
"""

import itertools
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import yaml

KINDS = ('train', 'command', 'missing')
FILE_KEYS = {'title', 'paper', 'parts'}
PART_KEYS = {'where', 'about', 'rows'}
ROW_KEYS = {'row', 'each', *KINDS}


class Row(NamedTuple):
    """A row of a table, or a figure of a paper.

    Attributes:
        method (str): Folder in ``configs``.
        where (str): Table or figure, such as ``Table 6``.
        name (str): Name of the row.
        kind (str): ``'train'``, ``'command'`` or ``'missing'``.
        text (str): The command, or the reason why there is none.
    """

    method: str
    where: str
    name: str
    kind: str
    text: str


class Paper(NamedTuple):
    """All rows of a paper, by table or figure.

    Attributes:
        title (str): Short name of the paper.
        reference (str): Authors, title, venue.
        parts (dict): Rows by heading, such as ``Table 6: each component``.
    """

    title: str
    reference: str
    parts: Dict[str, List[Row]]


def read_paper(path: Path) -> Paper:
    """Read ``paper.yml`` of a method.

    Args:
        path (Path): The file.

    Raises:
        ValueError: A key is unknown or missing, or a row has not just one command or
            reason.
    """
    source = yaml.safe_load(path.read_text(encoding='utf-8'))
    _check(path, source, FILE_KEYS, FILE_KEYS)
    parts = {}
    for part in source['parts']:
        _check(path, part, PART_KEYS, PART_KEYS)
        heading = f'{part["where"]}: {part["about"]}'
        if heading in parts:
            raise ValueError(f'{path}: {heading!r} stands there twice.')
        parts[heading] = [
            row for entry in part['rows'] for row in _rows(path, part['where'], entry)
        ]
    return Paper(source['title'], ' '.join(source['paper'].split()), parts)


def _rows(path: Path, where: str, entry: Dict[str, Any]) -> Iterator[Row]:
    """Return the rows of one entry, one for each combination of its values."""
    _check(path, entry, ROW_KEYS, {'row'})
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise ValueError(f'{path}: row {entry["row"]!r} needs one of {KINDS}.')
    each = entry.get('each', {})
    for values in itertools.product(*each.values()):
        name, text = (
            _filled(' '.join(str(entry[key]).split()), dict(zip(each, values)))
            for key in ('row', kinds[0])
        )
        yield Row(path.parent.name, where, name, kinds[0], text)


def _filled(text: str, values: Dict[str, Any]) -> str:
    """Put values in the place of their names in braces; other braces stay."""
    for name, value in values.items():
        text = text.replace(f'{{{name}}}', str(value))
    return text


def _check(path: Path, entry: Any, known: set, needed: set) -> None:
    if not isinstance(entry, dict) or set(entry) - known or needed - set(entry):
        raise ValueError(
            f'{path}: {entry!r} needs the keys {sorted(needed)}, and may have '
            f'{sorted(known)}.'
        )
