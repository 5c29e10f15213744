"""Prepare the files that the review page writes.

A person decides about the samples on the page. The browser then writes a list and
a table with these decisions. A :class:`Text` has all data that the browser needs
to write one of them.
"""

import base64
import csv
import io
import json
import os.path as osp
import re
import tempfile
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import COLUMNS, ScoreTable, labels_after_decisions


class Text(NamedTuple):
    """Text file in which some lines depend on the decisions of a person.

    Attributes:
        between (list[str]): Text before, between and after these lines, with
            line ends. It has one entry more than ``lines``.
        lines (list): All forms of each of these lines, or its fixed part.
        order (list[int]): For each line, the position of its sample in the
            review.
    """

    between: List[str]
    lines: list
    order: List[int]


def list_text(
    dataset: FERDataset, table: ScoreTable, rows: Sequence[int]
) -> Optional[Text]:
    """Prepare the data set's own list, whatever its format.

    The list is written once for each class, as if all samples had that class.
    The lines that differ between these lists belong to samples.

    Args:
        dataset (FERDataset): Training set before any decisions.
        table (dict[str, np.ndarray]): Columns (N,) of all its samples, by
            ascending ``sample_id``.
        rows (Sequence[int]): Rows of the table about which a person decides,
            in the order of the review. The other rows keep the decisions of
            the table.

    Returns:
        Text, optional: Each line in one form per class; None if the data set
        has no list format.

    Raises:
        ValueError: A list does not have one line for each sample.
    """
    if dataset.list_suffix is None:
        return None
    forms = _write_forms(dataset, table['sample_id'])
    if len(set(map(len, forms))) != 1:
        raise ValueError(
            f'{type(dataset).__name__}: its lists do not have one line for each '
            'sample, so the page cannot write one. _write_list of this class '
            'must write a line for every sample, whatever its label.'
        )
    reviewed = {int(row): i for i, row in enumerate(rows)}
    kept, labels = labels_after_decisions(table)
    between: List[List[str]] = [[]]
    lines, order = [], []
    row = 0
    for line in zip(*forms):
        if len(set(line)) == 1 and dataset.num_classes > 1:
            between[-1].append(line[0])
            continue
        if row in reviewed:
            lines.append(list(line))
            order.append(reviewed[row])
            between.append([])
        elif kept[row]:
            between[-1].append(line[labels[row]])
        row += 1
    if row != len(kept):
        raise ValueError(
            f'{type(dataset).__name__}: its list has {row} lines that depend '
            f'on labels, for {len(kept)} samples, so the page cannot write one. '
            '_write_list of this class must write one line for every sample.'
        )
    return Text([''.join(part) for part in between], lines, order)


def _write_forms(dataset: FERDataset, sample_ids: np.ndarray) -> List[List[str]]:
    """Return the lines of the list for each class, as if all samples had it.

    Args:
        dataset (FERDataset): Data set with a list format.
        sample_ids (np.ndarray): Samples of the list, int64 (N,).

    Returns:
        list[list[str]]: Lines with their line ends, by class.
    """
    forms = []
    with tempfile.TemporaryDirectory() as folder:
        path = osp.join(folder, f'list{dataset.list_suffix}')
        for label in range(dataset.num_classes):
            dataset.write_list(path, sample_ids.tolist(), [label] * len(sample_ids))
            with open(path, newline='', encoding='utf-8') as file:
                # splitlines() would also split at characters that the name of an
                # image may contain.
                forms.append(re.findall(r'[^\n]*\n|[^\n]+', file.read()))
    return forms


def table_text(table: ScoreTable, names: Sequence[str], rows: Sequence[int]) -> Text:
    """Prepare a ``sample_scores.csv`` with the columns of every table.

    The lines about which a person decides lack the last two columns, suggested
    label and decision. The browser appends them.

    Args:
        table (dict[str, np.ndarray]): Columns (N,) of all samples.
        names (Sequence[str]): Names of images, by ``sample_id``.
        rows (Sequence[int]): Rows about which a person decides, in the order
            of the review.
    """
    reviewed = {int(row): i for i, row in enumerate(rows)}
    between, lines, order = [[','.join(COLUMNS) + '\n']], [], []
    for row, sample_id in enumerate(table['sample_id'].tolist()):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator='').writerow(
            [
                sample_id,
                names[sample_id],
                table['given_label'][row],
                f'{table["noise_score"][row]:.6g}',
            ]
        )
        if row in reviewed:
            lines.append(buffer.getvalue())
            order.append(reviewed[row])
            between.append([])
        else:
            between[-1].append(
                f'{buffer.getvalue()},{table["suggested_label"][row]},'
                f'{table["decision"][row]}\n'
            )
    return Text([''.join(part) for part in between], lines, order)


def pack(text: Optional[Dict[str, Any]]) -> Optional[str]:
    """Compress a :class:`Text` and encode it in base64.

    The text has all samples, including those that are not shown. Without
    compression, the lists of AffectNet alone would fill a page.

    Args:
        text (dict, optional): A :class:`Text` as a dict; None stays None.
    """
    if text is None:
        return None
    return base64.b64encode(zlib.compress(as_script(text).encode())).decode()


def as_script(data: Dict[str, Any]) -> str:
    """Format data as JSON that can stand inside a script element."""
    return json.dumps(
        data, ensure_ascii=False, allow_nan=False, separators=(',', ':')
    ).replace('<', '\\u003c')
