"""Columns of tables and lists: their names and their places in a header."""

import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence

IMAGE_COLUMNS = (
    'image',
    'path',
    'file',
    'filename',
    'image_path',
    'images',
    'img',
    'paths',
    'files',
    'file_name',
    'filepath',
    'file_path',
    'img_path',
    'image_file',
    'image_filename',
    'image_name',
    'img_name',
    'name',
    'picture',
    'photo',
)
"""Names that the column of images may have in a list."""

LABEL_COLUMNS = (
    'label',
    'emotion',
    'expression',
    'class',
    'class_name',
    'labels',
    'gt_label',
    'noisy_label',
    'emotions',
    'classes',
    'class_id',
    'label_id',
    'category',
    'target',
    'y',
)
"""Names that the column of labels may have in a list."""

_INDEX_NAME = re.compile(r'unnamed:_[0-9]+(_level_[0-9]+)?|index|')


def column_key(name: str) -> str:
    """Return a column name in lower case with ``_`` between its words.

    Args:
        name (str): The name as written in a header.
    """
    return re.sub(r'[\s_-]+', '_', name.strip().lower())


@dataclass(frozen=True)
class Header:
    """Places of the columns of a table.

    Attributes:
        names (list[str]): Names of all columns as written.
        position (dict[str, int]): Place of each known column.
        index (int, optional): Place of the index column of pandas or R; None
            if the header has none.
        others (list[str]): Names of unknown columns.
    """

    names: List[str]
    position: Dict[str, int]
    index: Optional[int]
    others: List[str]


def match_columns(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Header:
    """Find known columns among the fields of a header.

    Args:
        names (Sequence[str]): The fields.
        columns (Mapping[str, Sequence[str]]): Names that each known column
            may have, in the form of :func:`column_key`.

    Returns:
        Header: Places of the known columns, and the names of the others.

    Raises:
        ValueError: Two fields have the same name or stand for the same
            column. The message is the reason for
            :func:`~mmfer.utils.text_files.line_error`.
    """
    role = {alias: name for name, aliases in columns.items() for alias in aliases}
    keys = [column_key(name) for name in names]
    position: Dict[str, int] = {}
    for place, key in enumerate(keys):
        if key in role:
            first = position.setdefault(role[key], place)
            if first != place:
                raise ValueError(
                    f'the columns {names[first]!r} (number {first + 1}) and '
                    f'{names[place]!r} (number {place + 1}) are both '
                    f'{role[key]!r}'
                )
        elif key and key in keys[:place]:
            raise ValueError(f'the column {names[place]!r} appears twice')
    index = (
        0
        if (0 not in position.values() and keys and _INDEX_NAME.fullmatch(keys[0]))
        else None
    )
    others = [
        name
        for place, name in enumerate(names)
        if place != index and place not in position.values()
    ]
    return Header(list(names), position, index, others)


def known_columns(
    fields: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> List[str]:
    """Return the known columns among the fields of a header.

    Args:
        fields (Sequence[str]): The header.
        columns (Mapping[str, Sequence[str]]): Names that each known column
            may have, in the form of :func:`column_key`.
    """
    keys = set(map(column_key, fields))
    return [name for name, aliases in columns.items() if keys.intersection(aliases)]
