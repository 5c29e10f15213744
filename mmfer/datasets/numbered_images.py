"""Base of data sets whose images are known by their numbers."""

import logging
import os.path as osp
from typing import List, Optional, Tuple

import numpy as np
from mmengine.logging import print_log

from mmfer.utils.files import write_atomic

from .checks import check_label_range
from .noisy_list import NoisyList, NoisyListDataset


class NumberedImages(NoisyListDataset):
    """Base of data sets whose images are known by their number in a published order.

    Their archives hold arrays of pixels instead of image files. A ``noisy_list`` has
    one label per line in the published order of the split, or rows ``index label``.
    The number of an image is kept as ``original_index``.

    A subclass implements :meth:`read_split`. Pixels that it returns are kept in
    memory.

    Args:
        **kwargs: See :class:`~mmfer.datasets.noisy_list.NoisyListDataset`.
    """

    def read_split(self) -> Tuple[List[str], np.ndarray, Optional[np.ndarray]]:
        """Read all images of the split.

        Returns:
            tuple[list[str], np.ndarray, np.ndarray | None]: Names or paths of N images
            in the published order, labels int64 (N,), and what :meth:`pixels_of` turns
            into pixels, (N, ...). The last one is None if the images are files.
        """
        raise NotImplementedError

    def pixels_of(self, images: np.ndarray) -> np.ndarray:
        """Return pixels uint8 (n, H, W[, 3]), BGR, of some images of the split.

        Args:
            images (np.ndarray): Rows of the third result of :meth:`read_split`.
        """
        return np.ascontiguousarray(images)

    def chosen_rows(self, labels: np.ndarray) -> np.ndarray:
        """Return the numbers of the images that are used, int64, ascending.

        Args:
            labels (np.ndarray): Labels of the split, int64 (N,).
        """
        return np.arange(len(labels))

    def load_samples(self) -> List[dict]:
        """Read the split, choose images, apply the noisy list."""
        paths, labels, images = self.read_split()
        # Subclasses count the labels of each class, so check them here already. The
        # base class checks them later.
        check_label_range(labels, self.num_classes, self.name)
        rows = self.chosen_rows(labels)
        if self.noisy_list is not None:
            self._noisy = self._read_noisy_list(self.noisy_list, labels)
            rows = rows[self._noisy.labels[rows] >= 0]
        if images is not None:
            self._images = self.pixels_of(images[rows])
        samples = [
            dict(img_path=paths[row], gt_label=int(labels[row]), original_index=row)
            for row in rows.tolist()
        ]
        if self._noisy is not None:
            samples = self._noisy.apply(samples, rows)
        return samples

    def _read_noisy_list(self, path: str, labels: np.ndarray) -> NoisyList:
        """Read ``noisy_list``; warn if it agrees with ``labels`` only by chance."""
        noisy = NoisyList.by_index(
            path, len(labels), self.num_classes, self.partial_list, self.CLASSES
        )
        correct = (noisy.labels == labels)[noisy.labels >= 0].mean()
        if correct <= 1.5 / self.num_classes:
            print_log(
                f'{self.name}: only {correct:.1%} of the labels in '
                f'{path} are correct, no more than by chance. Is the '
                'list in the order of the original images?',
                'current',
                level=logging.WARNING,
            )
        return noisy

    def _write_list(
        self, path: str, sample_ids: np.ndarray, labels: np.ndarray
    ) -> dict:
        """Write rows ``index label`` in the original order, for ``noisy_list``."""
        rows = [
            f'{info["original_index"]} {label}\n'
            for info, label in zip(self.infos_of(sample_ids), labels, strict=True)
        ]
        write_atomic(path, ''.join(rows).encode())
        return dict(noisy_list=osp.abspath(path), partial_list=True)
