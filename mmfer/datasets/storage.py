"""Storage of samples, their numbers, and the data that subsets and copies share."""

import copy
from typing import Any, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.dataset import force_full_init
from mmpretrain.datasets import BaseDataset
from numpy.typing import ArrayLike

from mmfer.utils.string_table import StringTable

from .sample_table import SampleTable


class NumberedDataset(BaseDataset):
    """Data set whose samples keep their numbers in subsets.

    Every stored annotation has a ``sample_id``, its row in the full list.
    Subsets share all arrays that are indexed by ``sample_id``, because these
    arrays are valid for every subset.
    """

    # Attributes that a subset shares with the set it is taken from.
    SHARED_WITH_SUBSETS: Tuple[str, ...] = (
        '_sample_ids',
        '_sample_ids_of',
        '_image_paths',
        '_image_paths_of',
    )
    # Attributes that a deep copy shares with the original.
    SHARED_WITH_COPIES: Tuple[str, ...] = ('data_bytes', 'data_address', '_image_paths')

    # The two parts of the storage have the names of mmengine, which asks for them
    # in its methods: all samples of the full list, and the rows of it that this
    # (sub)set has, int64 (N,). A subset shares the first part.
    data_bytes: SampleTable
    data_address: np.ndarray

    _sample_ids: Optional[np.ndarray] = None
    # The stored rows from which _sample_ids was made.
    _sample_ids_of: Any = None
    _image_paths: Optional[StringTable] = None
    _image_paths_of: Any = None

    @property
    def name(self) -> str:
        """Name of the data set, as a config gives it."""
        return type(self).__name__

    # -- storage -----------------------------------------------------------
    def _serialize_data(self) -> Tuple[SampleTable, np.ndarray]:
        """Move the annotations from the list of dicts to arrays."""
        table = SampleTable.from_samples(self.data_list)
        self.data_list.clear()
        return table, np.arange(len(table))

    def _get_serialized_subset(
        self, indices: Union[Sequence[int], int]
    ) -> Tuple[SampleTable, np.ndarray]:
        """Return the storage of a subset, see mmengine's ``get_subset``."""
        rows = self.data_address
        if isinstance(indices, (int, np.integer)):
            if abs(indices) > len(rows):
                raise IndexError(
                    f'{self.name}: a subset of {abs(indices)} samples is wanted, but '
                    f'there are only {len(rows)}. Ask for fewer.'
                )
            return self.data_bytes, rows[:indices] if indices >= 0 else rows[indices:]
        return self.data_bytes, rows[np.asarray(indices, dtype=np.int64)]

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Return the stored annotation of one sample, with its ``sample_idx``."""
        if not self.serialize_data:
            return super().get_data_info(idx)
        info = self.data_bytes[int(self.data_address[idx])]
        info['sample_idx'] = idx if idx >= 0 else len(self) + idx
        return info

    def _stored_rows(self) -> Any:
        """Return an object that is replaced whenever a subset is taken."""
        return self.data_address if self.serialize_data else self.data_list

    def stored_infos(self) -> Iterator[dict]:
        """Yield the stored annotations in order, without labels and images."""
        if not self.serialize_data:
            yield from self.data_list
            return
        for row in self.data_address.tolist():
            yield self.data_bytes[row]

    def stored_values(self, name: str) -> Any:
        """Return one value of every stored annotation, in order.

        Args:
            name (str): Name of the value, such as ``'img_path'``.

        Returns:
            Sequence: Texts as a :class:`StringTable`, numbers as an array,
            arrays stacked, and other values as a list; N values in each case.

        Raises:
            KeyError: The samples have no such value.
        """
        if self.serialize_data:
            return self.data_bytes.take(name, self.data_address)
        return SampleTable.from_samples(
            [{name: info[name]} for info in self.data_list]
        ).column(name)

    # -- numbers and names -------------------------------------------------
    @property
    @force_full_init
    def sample_ids(self) -> np.ndarray:
        """Rows of the samples in the full list, int64 (N,).

        The array is read-only, and is made once for each (sub)set.
        """
        rows = self._stored_rows()
        if self._sample_ids is None or self._sample_ids_of is not rows:
            ids = np.array(
                self.stored_values('sample_id') if len(rows) else [], dtype=np.int64
            )
            ids.flags.writeable = False
            self._sample_ids, self._sample_ids_of = ids, rows
        return self._sample_ids

    @property
    @force_full_init
    def image_paths(self) -> StringTable:
        """Paths of the images by position in this (sub)set, N texts.

        The table is made once for each (sub)set.
        """
        rows = self._stored_rows()
        if self._image_paths is None or self._image_paths_of is not rows:
            self._image_paths = (
                self.stored_values('img_path')
                if len(rows)
                else StringTable.from_texts([])
            )
            self._image_paths_of = rows
        return self._image_paths

    @force_full_init
    def positions_of(self, sample_ids: ArrayLike) -> np.ndarray:
        """Return the positions of samples in this (sub)set, int64 (n,).

        Args:
            sample_ids (array-like): Rows in the full list, int (n,).

        Raises:
            ValueError: This set lacks some of these samples.
        """
        wanted = np.asarray(sample_ids, dtype=np.int64)
        own = self.sample_ids
        if np.array_equal(wanted, own):
            return np.arange(len(own))
        order = np.argsort(own, kind='stable')
        places = np.searchsorted(own, wanted, sorter=order)
        # A number above the largest one would be out of range.
        found = places < len(order)
        positions = order[places[found]]
        missing = (
            wanted[~found].tolist()
            + wanted[found][own[positions] != wanted[found]].tolist()
        )
        if missing:
            raise ValueError(
                f'{len(missing)} of {len(wanted)} samples are not in this '
                f'{self.name}, e.g. sample {min(missing)}. Name samples of this '
                'set, see sample_ids.'
            )
        return positions

    def infos_of(self, sample_ids: ArrayLike) -> List[dict]:
        """Return the stored annotations of samples of this (sub)set, in order."""
        positions = self.positions_of(sample_ids).tolist()
        if not self.serialize_data:
            return [self.data_list[position] for position in positions]
        return [self.data_bytes[int(self.data_address[p])] for p in positions]

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
