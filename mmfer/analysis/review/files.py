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
import tempfile
import zlib
from contextlib import ExitStack
from itertools import zip_longest
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import COLUMNS, ScoreTable, labels_after_decisions
from mmfer.utils.csv_cells import guard_cell


class Changes(NamedTuple):
    """Changes of a text, by column, because columns compress well.

    Attributes:
        part (list[int]): Number of parts between the part of a change and that of the
            change before it.
        at (list[int]): Where the change begins in its part, counted from the end of the
            change before it in this part. Browsers count UTF-16 code units.
        cut (list[int]): Number of units to remove there.
        put (str): Texts to insert there; each ends with a zero byte.
    """

    part: List[int]
    at: List[int]
    cut: List[int]
    put: str


class Text(NamedTuple):
    """Text file in which some lines depend on the decisions of a person.

    Attributes:
        between (list[str]): Text before, between and after these lines, with
            line ends. It has one entry more than ``lines``. Samples that the page does
            not show have the decisions of the table here.
        lines (list): All forms of each of these lines, or its fixed part.
        order (list[int]): For each line, the position of its sample in the
            review.
        given (Changes): Changes of ``between`` that give the samples that the page does
            not show their given labels.
    """

    between: List[str]
    lines: list
    order: List[int]
    given: Changes


class _Writer:
    """Collect the parts of a :class:`Text`.

    Args:
        rows (Sequence[int]): Rows of the table about which a person decides, in the
            order of the review.
    """

    def __init__(self, rows: Sequence[int]):
        self._place = {int(row): i for i, row in enumerate(rows)}
        self._between: List[List[str]] = [[]]
        self._lines: list = []
        self._order: List[int] = []
        self._given = Changes([], [], [], '')
        self._put: List[str] = []
        # Part of the last change; its end, and the length of the current part.
        self._part = self._end = self._length = 0

    def shows(self, row: int) -> bool:
        """Return whether a person decides about a row."""
        return row in self._place

    def add(self, text: str) -> None:
        """Add a text that is always the same."""
        self._between[-1].append(text)
        self._length += _units(text)

    def add_line(self, line: Any, row: int) -> None:
        """Add a line about which a person decides."""
        self._lines.append(line)
        self._order.append(self._place[row])
        self._between.append([])
        self._length = self._end = 0

    def add_decided(self, decided: str, given: str) -> None:
        """Add a line that the page does not show, decided and with the given label."""
        if decided == given:
            self.add(decided)
            return
        start = _common_start(decided, given)
        rest = min(len(decided), len(given)) - start
        after = min(rest, _common_start(decided[::-1], given[::-1]))
        end = len(decided) - after
        self.add(decided[:start])
        self.add_change(decided[start:end], given[start : len(given) - after])
        self.add(decided[end:])

    def add_change(self, decided: str, given: str) -> None:
        """Add the part of such a line in which both forms differ."""
        part = len(self._between) - 1
        self._given.part.append(part - self._part)
        self._given.at.append(self._length - self._end)
        self.add(decided)
        self._given.cut.append(_units(decided))
        self._put.append(given + '\0')
        self._part, self._end = part, self._length

    def text(self) -> Text:
        """Return all that was added."""
        return Text(
            [''.join(part) for part in self._between],
            self._lines,
            self._order,
            self._given._replace(put=''.join(self._put)),
        )


def _units(text: str) -> int:
    """Return the number of UTF-16 code units of a text."""
    if text.isascii():
        return len(text)
    return len(text.encode('utf-16-le', 'surrogatepass')) // 2


def _common_start(one: str, other: str) -> int:
    """Return the number of equal characters at the beginning of two texts."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


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
            in the order of the review.

    Returns:
        Text, optional: Each line in one form per class; None if the data set
        has no list format.

    Raises:
        ValueError: A list does not have one line for each sample.
    """
    if dataset.list_suffix is None:
        return None
    writer = _Writer(rows)
    kept, labels = labels_after_decisions(table)
    chosen = np.where(kept, labels, -1).tolist()
    given = table['given_label'].tolist()
    row = 0
    for line in _write_forms(dataset, table['sample_id']):
        if dataset.num_classes > 1 and line.count(line[0]) == len(line):
            writer.add(line[0])
            continue
        if writer.shows(row):
            writer.add_line(list(line), row)
        elif row < len(chosen):
            decided = line[chosen[row]] if chosen[row] >= 0 else ''
            writer.add_decided(decided, line[given[row]])
        row += 1
    if row != len(kept):
        raise ValueError(
            f'{type(dataset).__name__}: its list has {row} lines that depend '
            f'on labels, for {len(kept)} samples, so the page cannot write one. '
            '_write_list of this class must write one line for every sample.'
        )
    return writer.text()


def _write_forms(
    dataset: FERDataset, sample_ids: np.ndarray
) -> Iterator[Tuple[str, ...]]:
    """Yield the lines of the list, each in the forms that it has for each class.

    The lists are read line by line, because all of them together take a KB for
    each sample.

    Args:
        dataset (FERDataset): Data set with a list format.
        sample_ids (np.ndarray): Samples of the list, int64 (N,).

    Yields:
        tuple[str]: A line with its line end, by class.

    Raises:
        ValueError: The lists do not have equally many lines.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        write = dataset.list_writer(sample_ids.tolist())
        paths = [
            osp.join(folder, f'{label}{dataset.list_suffix}')
            for label in range(dataset.num_classes)
        ]
        for label, path in enumerate(paths):
            write(path, np.full(len(sample_ids), label))
        del write
        # newline='\n' keeps all other line ends, which the name of an image may
        # contain.
        files = [
            stack.enter_context(open(path, newline='\n', encoding='utf-8'))
            for path in paths
        ]
        missing = ''
        for line in zip_longest(*files, fillvalue=missing):
            if missing in line:
                raise ValueError(
                    f'{type(dataset).__name__}: its lists do not have one line for '
                    'each sample, so the page cannot write one. _write_list of this '
                    'class must write a line for every sample, whatever its label.'
                )
            yield line


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
    text = _Writer(rows)
    text.add(','.join(COLUMNS) + '\n')
    columns = [
        table[name].tolist()
        for name in (
            'sample_id',
            'given_label',
            'noise_score',
            'suggested_label',
            'decision',
        )
    ]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='')
    for row, (sample_id, given, score, suggested, decision) in enumerate(zip(*columns)):
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(
            [sample_id, guard_cell(names[sample_id]), given, f'{score:.6g}']
        )
        line = buffer.getvalue()
        if text.shows(row):
            text.add_line(line, row)
        elif decision == 'keep':
            text.add(f'{line},{suggested},keep\n')
        else:
            text.add(f'{line},{suggested},')
            text.add_change(decision, 'keep')
            text.add('\n')
    return text.text()


def as_dict(text: Text) -> Dict[str, Any]:
    """Return a :class:`Text` as nested dicts, for JSON."""
    return dict(text._asdict(), given=text.given._asdict())


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
