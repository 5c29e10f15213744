"""Images of a data set in stores and on devices, by the steps that made them."""

import zlib
from typing import Dict, Optional

import numpy as np
import torch

from .images import ImageStore

# Number of stores of one data set of which workers learn. It has one per pipeline.
MAX_ANNOUNCED = 64


class StoredImages:
    """Images of some samples after the head of a pipeline.

    Args:
        store (ImageStore): The images.
        sample_ids (np.ndarray, optional): Sample of each image of the store,
            ascending, int64 (n,). Defaults to None: image ``i`` is that of
            sample ``i``.
    """

    def __init__(self, store: ImageStore, sample_ids: Optional[np.ndarray] = None):
        self.store = store
        self.sample_ids = sample_ids

    def rows(self, sample_ids: np.ndarray) -> Optional[np.ndarray]:
        """Return the rows of samples in the store, int64 (B,).

        The result is None if the store lacks one of them.
        """
        if self.sample_ids is None:
            return sample_ids
        rows = np.searchsorted(self.sample_ids, sample_ids)
        rows = rows.clip(max=len(self.sample_ids) - 1)
        return rows if (self.sample_ids[rows] == sample_ids).all() else None

    def __deepcopy__(self, memo: dict) -> 'StoredImages':
        """Return these images, which never change."""
        return self


class DeviceKeys(Dict[str, str]):
    """Keys of images on the device of a model, by the recipe of the head.

    A deep copy is empty, because a copied data set may be used with another model.
    """

    def __deepcopy__(self, memo: dict) -> 'DeviceKeys':
        """Return no keys."""
        return DeviceKeys()


class Stores(Dict[str, StoredImages]):
    """Stores of a data set, by the recipe of the head.

    Loops that count iterations start their workers before a hook can build a store.
    Shared memory tells these workers that there is one.
    """

    def __init__(self) -> None:
        super().__init__()
        # Numbers of recipes; zero is none.
        self._announced = torch.zeros(MAX_ANNOUNCED, dtype=torch.int64).share_memory_()

    def add(self, recipe: str, stored: StoredImages) -> None:
        """Add a store, also for running workers."""
        self[recipe] = stored
        free = np.flatnonzero(self._announced.numpy() == 0)
        if len(free) and not self.is_announced(recipe):
            self._announced[int(free[0])] = number_of(recipe)

    def is_announced(self, recipe: str) -> bool:
        """Return whether some process has added a store for a recipe."""
        return bool((self._announced.numpy() == number_of(recipe)).any())


def number_of(recipe: str) -> int:
    """Return a number that a recipe has in all processes, not zero."""
    return zlib.crc32(recipe.encode()) + 1
