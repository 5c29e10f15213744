"""Write the results of ``mmfer predict`` while they come, as CSV and JSON lines."""

import csv
import io
import json
import math
import os
import os.path as osp
import sys
import time
from typing import IO, Any, Dict, List, Optional, Sequence

from mmfer.utils.csv_cells import guard_cell
from mmfer.utils.full_disk import full_disk_explained
from mmfer.utils.leftovers import try_lock

# Columns of the table before those of the classes, ``score_<class>``.
COLUMNS = (
    'path',
    'frame',
    'time',
    'face',
    'track',
    'left',
    'top',
    'right',
    'bottom',
    'face_score',
    'pred_class',
    'pred_label',
    'pred_score',
    'uncertainty',
    'valence',
    'arousal',
    'rejected',
    'pred_set',
    'error',
)
# Seconds after which rows are given to the operating system. A kill loses later ones.
FLUSH_SECONDS = 1.0


class PartFile:
    """Text file that has the ending ``.part`` until it is complete.

    If the program is stopped, the part stays, with all rows of whole seconds.

    Args:
        path (str): File. ``-`` is the standard output, which is never a part.

    Raises:
        OSError: There can be no such file, or another process writes it.
    """

    def __init__(self, path: str):
        self.path = path
        self.flushed = time.monotonic()
        self.file: IO[str] = sys.stdout
        self.part = path
        if path == '-':
            return
        if osp.isdir(path):
            raise IsADirectoryError(f'{path}: this is a folder. Name a file in it.')
        self.part = f'{path}.part'
        try:
            os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
            # Paths may have bytes that are no UTF-8. Appending does not empty the part
            # of a process that still writes it.
            self.file = open(
                self.part, 'a', encoding='utf-8', errors='backslashreplace', newline=''
            )
        except OSError as error:
            raise OSError(
                f'{path}: this file cannot be written ({error.strerror or error}). '
                'Name a file in another folder.'
            ) from error
        if try_lock(self.file.fileno()) is False:
            self.file.close()
            raise OSError(
                f'{self.part}: another process writes this file now. Name another '
                'file, or wait.'
            )
        self.file.truncate(0)

    def write(self, text: str) -> None:
        """Write whole lines."""
        with full_disk_explained(self.part):
            self.file.write(text)
            now = time.monotonic()
            if now - self.flushed >= FLUSH_SECONDS or self.path == '-':
                self.flushed = now
                self.file.flush()

    def finish(self) -> None:
        """Give the complete file its name; it replaces an older one."""
        if self.path == '-':
            return
        with full_disk_explained(self.part):
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            os.replace(self.part, self.path)

    def close(self, keep: bool) -> None:
        """Stop before the end.

        Args:
            keep (bool): Whether the part stays.
        """
        if self.path == '-' or self.file.closed:
            return
        try:
            self.file.close()
        except OSError:
            # The disk is full. What has been written stays.
            pass
        if not keep:
            os.remove(self.part)


class ResultFiles:
    """Files for results, with one row for each face.

    Args:
        table (str, optional): CSV file with the columns :data:`COLUMNS`, and
            ``score_<class>`` for each class.
        lines (str, optional): File with a JSON object per line: the results as
            :class:`FERInferencer` returns them.
    """

    def __init__(self, table: Optional[str], lines: Optional[str]):
        self.columns: List[str] = []
        self.rows = 0
        self.table: Optional[PartFile] = None
        self.lines: Optional[PartFile] = None
        self.table = PartFile(table) if table is not None else None
        try:
            self.lines = PartFile(lines) if lines is not None else None
        except BaseException:
            self.close()
            raise

    @property
    def files(self) -> List[PartFile]:
        """The files that are written."""
        return [file for file in (self.table, self.lines) if file is not None]

    def begin(self, names: Sequence[str]) -> None:
        """Write the header of the table.

        Args:
            names (sequence[str]): Names of the classes, the keys of ``pred_scores``.
        """
        self.columns = [*COLUMNS, *(f'score_{name}' for name in names)]
        if self.table is not None:
            self.table.write(format_row(map(guard_cell, self.columns)))

    def write(self, result: dict, number: Optional[int] = None) -> None:
        """Write the row of one face.

        Args:
            result (dict): See :class:`FERInferencer`.
            number (int, optional): Number of the face in its image, from 0. None: the
                image has no face.
        """
        self.rows += 1
        if self.table is not None:
            cells = flatten(result, number)
            self.table.write(format_row(as_text(cells.get(c)) for c in self.columns))
        if self.lines is not None:
            text = json.dumps(finite(result), ensure_ascii=False, allow_nan=False)
            self.lines.write(f'{text}\n')

    def finish(self) -> None:
        """Complete the files."""
        for file in self.files:
            file.finish()

    def close(self) -> None:
        """Stop before the end; parts with results stay."""
        for file in self.files:
            file.close(keep=self.rows > 0)

    @property
    def parts(self) -> List[str]:
        """Names of the parts that are left."""
        return [f.part for f in self.files if f.path != '-' and osp.exists(f.part)]


def flatten(result: dict, number: Optional[int] = None) -> Dict[str, Any]:
    """Return a result as the cells of a row.

    Args:
        result (dict): See :class:`FERInferencer`.
        number (int, optional): Number of the face in its image.
    """
    cells = dict(result, **result['source'], face=number)
    scores = cells.pop('pred_scores', {})
    cells.update((f'score_{name}', score) for name, score in scores.items())
    cells.update(zip(('left', 'top', 'right', 'bottom'), cells.pop('box', ())))
    if 'pred_set' in cells:
        cells['pred_set'] = ';'.join(cells['pred_set'])
    return cells


def finite(value: Any) -> Any:
    """Return a result in which numbers that JSON does not know are null."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def format_row(cells: Any) -> str:
    """Return a line of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerow(cells)
    return text.getvalue()


def as_text(value: Any) -> str:
    """Return a value of a result as a cell that no spreadsheet computes."""
    if value is None:
        return ''
    return f'{value:.9g}' if isinstance(value, float) else guard_cell(str(value))
