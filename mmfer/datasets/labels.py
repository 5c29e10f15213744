"""Labels of a data set: the store that keeps them, and ways to change them."""

import os
import os.path as osp
from typing import Callable, Dict, List, Optional

import numpy as np
import torch
from mmengine.dataset import force_full_init
from numpy.typing import ArrayLike

from mmfer.utils.text_tables import relative_path

from . import checks
from .lists import write_label_list
from .noise import GaussianVANoise, LabelNoise, check_va, labels_sha256
from .storage import NumberedDataset


class LabelStore:
    """Labels of all samples of a data set, kept as arrays by ``sample_id``.

    The store covers the full list. All subsets and views of a data set share
    one store, so a sample has the same label in each of them.

    Clean labels are kept here and in no sample, so that no model can see
    them. Only tables and metrics read them.

    Args:
        given (np.ndarray): Labels before any relabelling, int64 (N,).
        clean (np.ndarray, optional): Clean labels, int64 (N,). Defaults to
            None: they are unknown.
        sets (np.ndarray, optional): Labels of T annotators, int64 (N, T).
            The first column is ``given``. Defaults to None: there is one
            annotator.

    Attributes:
        given (np.ndarray): See above; never changed.
        clean (np.ndarray, optional): See above; never changed.
        sets (np.ndarray, optional): See above; never changed.
        current (torch.Tensor): Current labels, int64 (N,). They are in shared
            memory, so that running workers see every change.
    """

    def __init__(
        self,
        given: np.ndarray,
        clean: Optional[np.ndarray] = None,
        sets: Optional[np.ndarray] = None,
    ):
        self.given = given
        self.clean = clean
        self.sets = sets
        self.current = torch.from_numpy(given.copy()).share_memory_()

    @classmethod
    def with_noise(
        cls, clean: np.ndarray, noise: LabelNoise, num_classes: int
    ) -> 'LabelStore':
        """Make clean labels noisy, and keep both.

        Args:
            clean (np.ndarray): Clean labels, int64 (N,).
            noise (LabelNoise): Generator of the wrong labels.
            num_classes (int): Number of classes.
        """
        sets = noise.annotate(clean, num_classes)
        if sets is None:
            return cls(noise(clean, num_classes), clean)
        return cls(sets[:, 0].copy(), clean, sets)

    def of(self, sample_ids: ArrayLike) -> np.ndarray:
        """Return the current labels of some samples, int64 (n,)."""
        return self.current.numpy()[np.asarray(sample_ids)]

    def change(self, sample_ids: ArrayLike, labels: ArrayLike) -> None:
        """Give samples new labels, also in running workers.

        Args:
            sample_ids (array-like): Rows in the full list, int (n,).
            labels (array-like): Their new labels, int (n,).
        """
        self.current.numpy()[np.asarray(sample_ids)] = labels

    def sets_of(self, sample_ids: ArrayLike) -> Optional[np.ndarray]:
        """Return the labels of all annotators of some samples, int64 (..., T).

        The label of the first annotator is the current label, which a hook may
        have changed. The result is None if there is only one annotator.

        Args:
            sample_ids (array-like): Rows in the full list, int (n,); or one row.
        """
        if self.sets is None:
            return None
        sets = self.sets[np.asarray(sample_ids)].copy()
        sets[..., 0] = self.of(sample_ids)
        return sets

    def manifest(self, noise: LabelNoise) -> dict:
        """Describe the noise that ``noise`` added.

        Returns:
            dict: See :meth:`LabelNoise.manifest`. With several annotators,
            ``changed_share`` and ``noisy_sha256`` are those of the first
            one, and ``label_sets`` has both values for each annotator.
        """
        assert self.clean is not None
        manifest = noise.manifest(self.clean, self.given)
        if self.sets is not None:
            manifest['label_sets'] = [
                dict(
                    changed_share=float((labels != self.clean).mean()),
                    noisy_sha256=labels_sha256(labels),
                )
                for labels in self.sets.T
            ]
        return manifest

    def __deepcopy__(self, memo: dict) -> 'LabelStore':
        """Copy the current labels; share the arrays that never change."""
        other = type(self)(self.given, self.clean, self.sets)
        other.current.copy_(self.current)
        return other

    def __setstate__(self, state: dict) -> None:
        """Restore an unpickled store."""
        self.__dict__.update(state)
        # Unpickled tensors are private, and workers would not see changes.
        self.current.share_memory_()


class LabelledDataset(NumberedDataset):
    """Data set that keeps its labels in a :class:`LabelStore`.

    Training code and tables read and change all labels through this class.
    Valence and arousal are kept here, too, and samples get theirs as ``gt_va``.
    If they are noisy, the clean values reach no sample.
    """

    # Suffix of the file that write_list writes; None if the data set has no list
    # format.
    list_suffix: Optional[str] = '.txt'

    SHARED_WITH_SUBSETS = (
        *NumberedDataset.SHARED_WITH_SUBSETS,
        '_labels',
        '_va',
        '_clean_va',
    )
    SHARED_WITH_COPIES = (*NumberedDataset.SHARED_WITH_COPIES, '_va', '_clean_va')

    label_noise: Optional[LabelNoise] = None
    va_noise: Optional[GaussianVANoise] = None
    # The argument of apply_decisions, and a copy of the data set before that call.
    label_decisions: Optional[Dict[str, np.ndarray]] = None
    uncleaned: Optional['LabelledDataset'] = None
    # Number of annotators who chose each class, int (N, C) by sample_id, if known.
    class_votes: Optional[np.ndarray] = None
    # The store does not exist before the list is loaded.
    _labels: LabelStore
    _va: Optional[np.ndarray] = None
    _clean_va: Optional[np.ndarray] = None

    def _take_labels(self, samples: List[dict]) -> LabelStore:
        """Move the labels from the samples to a store, and add noise.

        Samples hold no labels, because the current labels can change and the
        clean labels must not reach the model.
        """
        given = np.array([s.pop('gt_label') for s in samples], dtype=np.int64)
        published = [s.pop('clean_label', None) for s in samples]
        checks.check_label_range(given, self.num_classes, self.name)
        self._warn_of_empty_classes(given)
        if all(label is None for label in published):
            if self.label_noise is None:
                return LabelStore(given)
            self.label_noise.take_votes(self.class_votes, self.name)
            return LabelStore.with_noise(given, self.label_noise, self.num_classes)
        if self.label_noise is not None:
            raise ValueError(
                f'{self.name}: these labels come from a noisy list already. '
                'If label_noise changed them again, the noise rate would be '
                'unknown. Choose one of the two.'
            )
        clean = np.array(published, dtype=np.int64)
        checks.check_label_range(clean, self.num_classes, self.name)
        return LabelStore(given, clean)

    def _prepare_va(self, samples: List[dict]) -> None:
        """Move valence and arousal to one array, check them, add noise."""
        if 'gt_va' not in samples[0]:
            if self.va_noise is not None:
                raise ValueError(
                    f'{self.name} has no valence and arousal that va_noise '
                    'could change. Remove va_noise.'
                )
            return
        va = check_va(np.stack([s.pop('gt_va') for s in samples]), self.name)
        if self.va_noise is not None:
            self._clean_va = va
            va = self.va_noise(va)
        self._va = va

    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of one sample, with valence and arousal if known."""
        info = super().get_data_info(idx)
        if self._va is not None:
            info['gt_va'] = self._va[info['sample_id']].copy()
        return info

    @property
    @force_full_init
    def clean_labels(self) -> Optional[np.ndarray]:
        """Clean labels by ``sample_id``, int64 (N,); None if they are unknown.

        Only tables and metrics read them. No training code does.
        """
        return self._labels.clean

    @property
    @force_full_init
    def clean_va(self) -> Optional[np.ndarray]:
        """Valence and arousal before noise by ``sample_id``, float32 (N, 2).

        None without ``va_noise``. No training code reads them, as with
        :attr:`clean_labels`.
        """
        return self._clean_va

    @property
    @force_full_init
    def all_va(self) -> Optional[np.ndarray]:
        """Valence and arousal by ``sample_id``, float32 (N, 2), NaN where missing.

        They are those that samples have as ``gt_va``, with noise if there is any.
        None for a data set without them.
        """
        return self._va

    @property
    @force_full_init
    def all_labels(self) -> torch.Tensor:
        """Current labels by ``sample_id``, int64 (N,), in shared memory."""
        return self._labels.current

    @property
    @force_full_init
    def given_labels(self) -> np.ndarray:
        """Given labels, before any relabelling, by ``sample_id``, int64 (N,)."""
        return self._labels.given

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.CLASSES)

    @force_full_init
    def noise_manifest(self) -> Optional[dict]:
        """Describe the added noise, and how to add it again.

        Returns:
            dict, optional: See :meth:`LabelStore.manifest`. Its ``va_noise``
            describes the noise of valence and arousal. None without noise.
        """
        manifest = {}
        if self.label_noise is not None:
            manifest = self._labels.manifest(self.label_noise)
        if self.va_noise is not None:
            manifest['va_noise'] = self.va_noise.manifest()
        return manifest or None

    @force_full_init
    def get_gt_labels(self) -> np.ndarray:
        """Return the current labels of the samples in this (sub)set, int64 (N,)."""
        return self._labels.of(self.sample_ids)

    @force_full_init
    def set_labels(self, sample_ids: ArrayLike, labels: ArrayLike) -> None:
        """Give samples new labels, also in running workers.

        Args:
            sample_ids (array-like): Rows in the full list, int (n,).
            labels (array-like): The new labels, int (n,), in [0, num_classes).
        """
        rows, values = np.asarray(sample_ids), np.asarray(labels, dtype=np.int64)
        if rows.shape != values.shape:
            raise ValueError(
                f'set_labels: sample_ids have shape {rows.shape}, '
                f'labels {values.shape}. Give one label for each sample.'
            )
        if values.size:
            checks.check_label_range(values, self.num_classes, self.name)
            self._labels.change(rows, values)

    @force_full_init
    def apply_decisions(self, label_decisions: Dict[str, np.ndarray]) -> None:
        """Relabel and drop samples as a cleaning method decided.

        This changes the data set in place. :attr:`uncleaned` keeps all samples
        that it had before, so that tables can list them.

        Args:
            label_decisions (dict[str, np.ndarray]): Columns (N,) by name, with
                all samples in any order: ``sample_id``, ``decision`` (keep,
                relabel or drop), ``suggested_label``, ``noise_score``, and
                further measurements.
        """
        before = self.get_gt_labels()
        self.uncleaned = self.get_subset(list(range(len(self))))
        self.label_decisions = dict(label_decisions)
        ids, decision = label_decisions['sample_id'], label_decisions['decision']
        changed = decision == 'relabel'
        self.set_labels(ids[changed], label_decisions['suggested_label'][changed])
        kept = np.isin(self.sample_ids, ids[decision != 'drop'])
        self.get_subset_(np.flatnonzero(kept).tolist())
        self._warn_of_empty_classes(
            self.get_gt_labels(), before, 'the decisions on labels'
        )

    def write_list(self, path: str, sample_ids: ArrayLike, labels: ArrayLike) -> dict:
        """Write training samples and labels in the format of this data set.

        Args:
            path (str): The file; replaced if it exists. It ends with
                :attr:`list_suffix`.
            sample_ids (array-like): Rows in the full list, int (N,),
                ascending.
            labels (array-like): Their labels, int (N,), in
                [0, num_classes).

        Returns:
            dict: Options to change in the config of the data set, so that it
            reads the list. All other options stay as they are.
        """
        options = self._write_list(path, np.asarray(sample_ids), np.asarray(labels))
        return self.list_options(options)

    def list_writer(self, sample_ids: ArrayLike) -> Callable[[str, ArrayLike], dict]:
        """Return a function that writes several lists of the same samples.

        A data set that reads its own table for this reads it once.

        Args:
            sample_ids (array-like): See :meth:`write_list`.

        Returns:
            Callable: Function of ``path`` and ``labels`` that does what
            :meth:`write_list` does.
        """
        return lambda path, labels: self.write_list(path, sample_ids, labels)

    @staticmethod
    def list_options(options: dict) -> dict:
        """Add to the options of a list what follows from reading a list."""
        # The labels in the list are noisy already, and the list has only the
        # chosen samples.
        return dict(options, label_noise=None, indices=None)

    def _write_list(
        self, path: str, sample_ids: np.ndarray, labels: np.ndarray
    ) -> dict:
        """Write rows ``image label`` for ``ImageList``."""
        root = self.img_prefix or os.curdir
        paths = self.image_paths.take(self.positions_of(sample_ids))
        names = [relative_path(path, root) for path in paths]
        write_label_list(path, names, labels, by_path=True)
        return dict(
            type='ImageList',
            ann_file=osp.abspath(path),
            label_base=0,
            classes=list(self.CLASSES),
        )

    def image_name(self, img_path: str) -> str:
        """Return the name of an image in tables: its path below the data root.

        An image outside the data root keeps its path.
        """
        if self.data_root and osp.isabs(img_path) == osp.isabs(self.data_root):
            name = relative_path(img_path, self.data_root)
            if name.split(os.sep, 1)[0] != os.pardir:
                return name
        return img_path

    @force_full_init
    def image_names(self, sample_ids: Optional[ArrayLike] = None) -> List[str]:
        """Return the names of images in tables, (n,); see :meth:`image_name`.

        Args:
            sample_ids (array-like, optional): Rows in the full list, int (n,).
                Defaults to None: all samples of this (sub)set, in its order.

        Raises:
            ValueError: This set lacks some of these samples.
        """
        paths = self.image_paths
        if sample_ids is not None:
            paths = paths.take(self.positions_of(sample_ids))
        return list(map(self.image_name, paths))

    @force_full_init
    def names_by_id(self) -> List[str]:
        """Return names of images by ``sample_id``; empty for absent samples."""
        names = [''] * (int(self.sample_ids.max(initial=-1)) + 1)
        for sample_id, name in zip(self.sample_ids.tolist(), self.image_names()):
            names[sample_id] = name
        return names

    def _warn_of_empty_classes(
        self, labels: np.ndarray, before: Optional[np.ndarray] = None, cause: str = ''
    ) -> None:
        """Log a warning that names the classes without a sample."""
        place = f' of {self.data_root!r}' if self.data_root else ''
        checks.warn_of_empty_classes(
            labels, self.CLASSES, self.name + place, before, cause
        )
