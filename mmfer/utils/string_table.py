"""Many texts in one array of bytes."""

import os.path as osp
from collections.abc import Sequence
from typing import Callable, Iterator, List, Union, overload

import numpy as np
from numpy.typing import ArrayLike

# Names of files can contain surrogates, which plain UTF-8 refuses.
_ERRORS = 'surrogatepass'
# Number of texts that are gathered at a time, because the places of their bytes
# take eight times as much memory as the texts.
_CHUNK = 4096


class StringTable(Sequence):
    """Sequence of texts that cannot be changed, (N,).

    A list of N paths takes about 150 bytes per path, and each of its N objects has
    a reference count. When worker processes read such a list, they change the counts,
    so that each of them gets its own copy of the memory. Here all texts are in one
    array, without the beginning that they share. A text is made when it is read.

    Args:
        prefix (str): Beginning of every text.
        data (np.ndarray): The rest of all texts in UTF-8, uint8 (B,).
        ends (np.ndarray): End of each text in ``data``, int64 (N,), ascending.
    """

    def __init__(self, prefix: str, data: np.ndarray, ends: np.ndarray) -> None:
        self.prefix = prefix
        self._data = data
        self._ends = ends

    @classmethod
    def from_texts(cls, texts: Sequence) -> 'StringTable':
        """Store texts.

        Args:
            texts (Sequence[str]): (N,) texts.
        """
        # The common prefix of all texts is that of the smallest and the largest.
        prefix = osp.commonprefix([min(texts), max(texts)]) if len(texts) else ''
        start = len(prefix)
        parts = [text[start:].encode('utf-8', _ERRORS) for text in texts]
        ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        return cls(prefix, np.frombuffer(b''.join(parts), np.uint8), ends)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self._data.nbytes + self._ends.nbytes

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> 'StringTable': ...

    def __getitem__(self, index: Union[int, slice]) -> Union[str, 'StringTable']:
        """Return one text, or a table of several."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        end = self._ends[index]
        # The text before the first one ends at 0.
        start = self._ends[index - 1] if index % len(self) else 0
        return self.prefix + str(self._data[start:end].data, 'utf-8', _ERRORS)

    def __iter__(self) -> Iterator[str]:
        """Yield all texts; faster than one index after another."""
        prefix, data, start = self.prefix, self._data.data, 0
        for end in self._ends.tolist():
            yield prefix + str(data[start:end], 'utf-8', _ERRORS)
            start = end

    def take(self, positions: ArrayLike) -> 'StringTable':
        """Return the texts at some positions, in their order.

        Args:
            positions (array-like): int (n,), in [0, N).
        """
        places = np.asarray(positions, dtype=np.int64)
        if np.array_equal(places, np.arange(len(self))):
            return self
        starts = np.concatenate([[0], self._ends])[places]
        lengths = self._ends[places] - starts
        parts = [
            self._data[_byte_places(starts[i : i + _CHUNK], lengths[i : i + _CHUNK])]
            for i in range(0, len(places), _CHUNK)
        ]
        return StringTable(
            self.prefix, np.concatenate([self._data[:0], *parts]), np.cumsum(lengths)
        )

    def tolist(self) -> List[str]:
        """Return all texts as a list."""
        return list(self)

    def __eq__(self, other: object) -> bool:
        """Return whether another table has the same texts."""
        if not isinstance(other, StringTable):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f'StringTable of {len(self)} texts, {self.nbytes} bytes'


def all_different(texts: Sequence, key: Callable[[str], str]) -> bool:
    """Return whether the keys of texts differ from one another.

    A set of the keys takes 200 bytes per text. Here only their hashes are kept, 8
    bytes each; the set is made if two hashes are equal.

    Args:
        texts (Sequence[str]): The texts.
        key (Callable): Function that returns the key of a text.
    """
    hashes = np.fromiter((hash(key(text)) for text in texts), np.int64, len(texts))
    hashes.sort()
    if (hashes[1:] != hashes[:-1]).all():
        return True
    return len({key(text) for text in texts}) == len(texts)


def _byte_places(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the places of the bytes of several texts, int64.

    Args:
        starts (np.ndarray): Place of the first byte of each text, int64 (n,).
        lengths (np.ndarray): Number of bytes of each text, int64 (n,).
    """
    ends = np.cumsum(lengths)
    # Number of bytes before each text in the result.
    before = ends - lengths
    places = np.repeat(starts - before, lengths)
    return places + np.arange(len(places))
