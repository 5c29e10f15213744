"""Annotations of all samples of a data set, as one column for each value."""

import pickle
from typing import Any, Dict, List, Sequence, Union, cast

import numpy as np

from mmfer.utils.string_table import StringTable

Column = Union[np.ndarray, StringTable, 'PickledValues']
_INT64 = np.iinfo(np.int64)


class PickledValues(Sequence):
    """Sequence of any objects, each pickled, (N,).

    Args:
        values (Sequence): The objects.
    """

    def __init__(self, values: Sequence) -> None:
        parts = [pickle.dumps(value, protocol=4) for value in values]
        self._ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        self._data = np.frombuffer(b''.join(parts), np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Any:
        """Return a new copy of one object."""
        start = self._ends[index - 1] if index else 0
        return pickle.loads(self._data[start : self._ends[index]].data)


class SampleTable:
    """Annotations of N samples; each value is kept in one array for all samples.

    A dict per sample takes some 500 bytes, and a pickled one 150 to 250. Arrays
    take what the values take: 8 bytes for a number, and the bytes of a text.

    Args:
        columns (dict[str, Column]): N values for each name: an array (N,) of
            int64 or float64, an array (N, ...) for arrays, a
            :class:`StringTable`, or :class:`PickledValues` for all others.
        count (int): Number of samples N.
    """

    def __init__(self, columns: Dict[str, Column], count: int) -> None:
        self._columns = columns
        self._count = count

    @classmethod
    def from_samples(cls, samples: Sequence[dict]) -> 'SampleTable':
        """Store annotations.

        Args:
            samples (Sequence[dict]): (N,) annotations. If not all of them have
                the same names, each is pickled as a whole.
        """
        if not samples:
            return cls({}, 0)
        names = samples[0].keys()
        if any(sample.keys() != names for sample in samples):
            return cls({'': PickledValues(samples)}, len(samples))
        columns = {name: make_column([s[name] for s in samples]) for name in names}
        return cls(columns, len(samples))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> dict:
        """Return a new dict with the annotation of one sample.

        Args:
            row (int): In [0, N).
        """
        if '' in self._columns:
            return cast(PickledValues, self._columns[''])[row]
        return {name: _value(column, row) for name, column in self._columns.items()}

    def copy(self) -> 'SampleTable':
        """Return this table, which never changes; mmengine copies what it stores."""
        return self

    def column(self, name: str) -> Any:
        """Return all values of one name, (N,); see :meth:`take`."""
        return self.take(name, np.arange(self._count))

    def take(self, name: str, rows: np.ndarray) -> Any:
        """Return the values of one name for some samples.

        Args:
            name (str): The name.
            rows (np.ndarray): int64 (n,), in [0, N).

        Returns:
            Sequence: An array (n, ...), a :class:`StringTable`, or a list.

        Raises:
            KeyError: The samples have no such value.
        """
        if '' in self._columns:
            whole = self._columns['']
            values = make_column([whole[row][name] for row in rows.tolist()])
            return list(values) if isinstance(values, PickledValues) else values
        column = self._columns[name]
        if isinstance(column, np.ndarray):
            return column[rows]
        if isinstance(column, StringTable):
            return column.take(rows)
        return [column[row] for row in rows.tolist()]


def _value(column: Column, row: int) -> Any:
    """Return one value of a column as it was stored."""
    if not isinstance(column, np.ndarray):
        return column[row]
    # A transform may change an array that it is given.
    return column[row].item() if column.ndim == 1 else column[row].copy()


def make_column(values: List[Any]) -> Column:
    """Return values in the smallest form that gives each of them back unchanged.

    Args:
        values (list): (N,) values.

    Returns:
        Column: One of the columns of :class:`SampleTable`.
    """
    kinds = set(map(type, values))
    if kinds == {str}:
        return StringTable.from_texts(values)
    if kinds == {int} and _INT64.min <= min(values) <= max(values) <= _INT64.max:
        return np.array(values, dtype=np.int64)
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    if kinds == {np.ndarray}:
        first = values[0]
        if (
            first.ndim
            and first.dtype.kind in 'biufc'
            and all(v.dtype == first.dtype and v.shape == first.shape for v in values)
        ):
            return np.stack(values)
    return PickledValues(values)
