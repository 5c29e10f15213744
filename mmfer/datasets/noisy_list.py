"""Published noisy label lists, for data sets with a ``noisy_list`` argument."""

import hashlib
import os.path as osp
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from mmengine.dataset import force_full_init

from mmfer.utils.checks import exclusive

from .base import FERDataset
from .lists import (
    LabelList,
    merge_rafdb_train_labels,
    read_indexed_labels,
    read_label_list,
)
from .noise.functional import describe_change


@dataclass(frozen=True, eq=False)
class NoisyList:
    """Noisy labels of a training split, read from a published list.

    Make one with :meth:`by_name` or :meth:`by_index`. A data set gives the
    labels to its samples with :meth:`apply` and describes them with
    :meth:`manifest`.

    Attributes:
        path (str): The file.
        labels (np.ndarray): int64 (N,), one label for each image of the
            split, in its order; -1 where a partial list has no label.
        sha256 (str): Hash of the file as it was read.
        details (dict): Further entries of the manifest, such as the format.
    """

    path: str
    labels: np.ndarray
    sha256: str
    details: Dict[str, Any] = field(default_factory=dict)

    @classmethod
    def by_name(
        cls,
        path: str,
        clean: LabelList,
        label_base: Optional[int] = None,
        partial: bool = False,
        classes: Optional[Sequence[str]] = None,
    ) -> 'NoisyList':
        """Read a list of RAF-DB train images and join it by image name.

        Args:
            path (str): The file, in any format of
                :func:`~mmfer.datasets.lists.read_label_list`.
            clean (LabelList): RAF-DB's own list, which defines the order.
            label_base (int, optional): First class index of the file, 0 or
                1. Defaults to None: found from its labels.
            partial (bool): Whether images may have no row. Defaults to False.
            classes (Sequence[str], optional): Class names, if labels may be
                names instead of numbers.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: See :func:`~mmfer.datasets.lists.read_label_list` and
                :func:`~mmfer.datasets.lists.merge_rafdb_train_labels`.
        """
        noisy = read_label_list(
            path, clean.num_classes, label_base=label_base, classes=classes
        )
        digest = _sha256(path)
        return cls(
            path,
            merge_rafdb_train_labels(clean, noisy, partial),
            digest,
            dict(format=noisy.format, label_base=noisy.label_base),
        )

    @classmethod
    def by_index(
        cls,
        path: str,
        count: int,
        num_classes: int,
        partial: bool = False,
        classes: Optional[Sequence[str]] = None,
    ) -> 'NoisyList':
        """Read a list whose labels are in the original order, or have image numbers.

        Args:
            path (str): The file.
            count (int): Number of images N of the whole split.
            num_classes (int): Number of classes.
            partial (bool): Whether images may have no row. Defaults to False.
            classes (Sequence[str], optional): Class names, if labels may be
                names instead of numbers.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: See
                :func:`~mmfer.datasets.lists.read_indexed_labels`.
        """
        labels = read_indexed_labels(path, count, num_classes, partial, classes)
        return cls(path, labels, _sha256(path))

    def apply(
        self, samples: Sequence[dict], rows: Optional[np.ndarray] = None
    ) -> List[dict]:
        """Replace the labels of samples, and return the samples that have one.

        The previous label of a sample becomes its ``clean_label``. The base
        class of the data sets then moves it out of the sample.

        Args:
            samples (Sequence[dict]): Samples with ``gt_label``; changed.
            rows (np.ndarray, optional): Row of each sample in the split.
                Defaults to None: the samples are the whole split.

        Returns:
            list[dict]: The samples that have a label in the list.
        """
        labels = self.labels if rows is None else self.labels[rows]
        for sample, label in zip(samples, labels.tolist(), strict=True):
            sample['clean_label'] = sample['gt_label']
            sample['gt_label'] = label
        return [sample for sample in samples if sample['gt_label'] >= 0]

    def manifest(self, clean: np.ndarray, noisy: np.ndarray) -> Dict[str, Any]:
        """Describe the list and the labels that it gave to a data set.

        Args:
            clean (np.ndarray): (N,) clean labels of the samples.
            noisy (np.ndarray): (N,) labels from the list.

        Returns:
            dict: ``noisy_list`` (base name of the file), the entries of
            ``details``, ``list_sha256`` (hash of the file), and those of
            :func:`~mmfer.datasets.noise.functional.describe_change`.
        """
        return dict(
            noisy_list=osp.basename(self.path),
            **self.details,
            list_sha256=self.sha256,
            **describe_change(clean, noisy),
        )


class NoisyListDataset(FERDataset):
    """Base of the data sets whose training labels may come from a noisy list.

    If ``noisy_list`` is given, ``load_samples`` of a subclass must set
    ``self._noisy`` to a :class:`NoisyList`.

    Args:
        noisy_list (str, optional): A published list of noisy training labels;
            ``~`` is expanded. Refused together with ``label_noise``.
        partial_list (bool): Whether to drop images that ``noisy_list`` does
            not have. Defaults to False: a list that lacks images is refused.
        **kwargs: See :class:`~mmfer.datasets.FERDataset`.

    Raises:
        ValueError: ``noisy_list`` is given for an evaluation, or together
            with ``label_noise``.
    """

    def __init__(
        self, noisy_list: Optional[str] = None, partial_list: bool = False, **kwargs
    ) -> None:
        self.noisy_list = None if noisy_list is None else osp.expanduser(noisy_list)
        self.partial_list = partial_list
        self._noisy: Optional[NoisyList] = None
        super().__init__(**kwargs)

    def check_options(self) -> None:
        """Refuse a noisy list for an evaluation, or together with ``label_noise``."""
        super().check_options()
        self.refuse_in_evaluation(
            'noisy_list',
            'Published lists can have wrong test labels, which would measure '
            'the noise, not the model.',
        )
        exclusive(
            self.name,
            'Both are sources of wrong labels; choose one.',
            noisy_list=self.noisy_list,
            label_noise=self.label_noise,
        )

    @force_full_init
    def noise_manifest(self) -> Optional[dict]:
        """Describe the label noise, or the list that the labels come from.

        Returns:
            dict, optional: The manifest of the generator, or of the list, see
            :class:`NoisyList`; None without noise.
        """
        if self._noisy is None:
            return super().noise_manifest()
        assert self._labels.clean is not None
        return self._noisy.manifest(self._labels.clean, self._labels.given)


def _sha256(path: str) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()
