"""Storage of samples, their numbers, and the data that subsets and copies share."""

import copy
import pickle
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np
from mmengine.dataset import force_full_init
from mmpretrain.datasets import BaseDataset
from numpy.typing import ArrayLike


class NumberedDataset(BaseDataset):
    """Data set whose samples keep their numbers in subsets.

    Every stored annotation has a ``sample_id``, its row in the full list.
    Subsets share all arrays that are indexed by ``sample_id``, because these
    arrays are valid for every subset.
    """

    # Attributes that a subset shares with the set it is taken from.
    SHARED_WITH_SUBSETS: Tuple[str, ...] = ('_sample_ids', '_sample_ids_of')
    # Attributes that a deep copy shares with the original.
    SHARED_WITH_COPIES: Tuple[str, ...] = ('data_bytes', 'data_address')

    _sample_ids: Optional[np.ndarray] = None
    # The stored rows from which _sample_ids was made.
    _sample_ids_of: Optional[Sequence] = None

    @property
    def name(self) -> str:
        """Name of the data set, as a config gives it."""
        return type(self).__name__

    @property
    @force_full_init
    def sample_ids(self) -> np.ndarray:
        """Rows of the samples in the full list, int64 (N,).

        The array is read-only, and is made once for each (sub)set.
        """
        # This object is replaced whenever a subset is taken.
        rows = self.data_address if self.serialize_data else self.data_list
        if self._sample_ids is None or self._sample_ids_of is not rows:
            ids = np.fromiter(
                (info['sample_id'] for info in self.stored_infos()),
                dtype=np.int64,
                count=len(rows),
            )
            ids.flags.writeable = False
            self._sample_ids, self._sample_ids_of = ids, rows
        return self._sample_ids

    def stored_infos(self) -> Iterator[dict]:
        """Yield the stored annotations in order, without labels and images."""
        if not self.serialize_data:
            yield from self.data_list
            return
        start = 0
        for end in self.data_address.tolist():
            yield pickle.loads(memoryview(self.data_bytes[start:end]))
            start = end

    def infos_of(self, sample_ids: ArrayLike) -> List[dict]:
        """Return the stored annotations of samples of this (sub)set, in order."""
        infos = {info['sample_id']: info for info in self.stored_infos()}
        return [infos[sample_id] for sample_id in np.asarray(sample_ids).tolist()]

    def _share(self, names: Sequence[str], memo: dict) -> None:
        """Add attributes to the memo of a deep copy, so that it shares them."""
        for name in names:
            value = getattr(self, name, None)
            memo[id(value)] = value

    def _copy_without_annotation(self, memo: Optional[dict] = None):
        """Copy this set without its samples, to make a subset of it."""
        # The default memo of mmengine is the same dict in all calls. The second
        # subset of a data set would get the attributes of the first one.
        memo = {} if memo is None else memo
        self._share(self.SHARED_WITH_SUBSETS, memo)
        return super()._copy_without_annotation(memo)

    def __deepcopy__(self, memo: dict):
        """Copy all attributes except those in ``SHARED_WITH_COPIES``."""
        self._share(self.SHARED_WITH_COPIES, memo)
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__setstate__(copy.deepcopy(self.__dict__, memo))
        return other

    def __setstate__(self, state: dict) -> None:
        """Restore a deep copy or an unpickled data set."""
        self.__dict__.update(state)
