"""The data set base class: noise, sidecar, reproducibility, checks."""

import copy
import logging
import os
import os.path as osp
import pickle
from typing import Dict, Iterator, List, Optional, Sequence, Union

import numpy as np
import torch
from mmengine.dataset import force_full_init
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress
from mmpretrain.datasets import BaseDataset

from mmfer.registry import TASK_UTILS
from mmfer.score_table import read_decisions
from mmfer.utils.random import seeded_random_state
from mmfer.utils.text_tables import check_class_names, read_class_names

from .images import UnreadableImageError, check_image_file, looks_complete
from .label_noise import labels_sha256
from .lists import write_label_list
from .va_noise import check_va

# Classes that a message lists by name.
MAX_NAMED = 10


class FERDataset(BaseDataset):
    """Base of all mmfer data sets.

    A subclass implements :meth:`load_samples`. This class adds what every
    data set here has in common:

    - ``sample_id``: the row in the full list, the same in every subset,
      epoch and rank (mmengine's ``sample_idx`` is renumbered by subsets).
    - ``label_noise``: planted noise as a property of the data set. The clean
      labels stay in a sidecar, :attr:`clean_labels`, which no sample and no
      model ever sees.
    - Labels live in one shared tensor, so that a hook's :meth:`set_labels`
      reaches persistent workers and subsets too: a subset is a choice of
      samples, not a second opinion on them.
    - Augmentation drawn from (seed, epoch, sample_id), so that a resumed or
      differently parallel run sees the same images.
    - ``cache_images``: decode once, keep uint8 in memory.

    Args:
        data_root (str): Root of the data set. Defaults to ''.
        label_noise (dict | LabelNoise, optional): A generator of
            :mod:`mmfer.datasets.label_noise`. Refused in ``test_mode``, and
            on labels that are already known to be noisy. With
            ``Annotators``, samples have ``gt_label_sets``, too.
        va_noise (dict, optional): A generator of
            :mod:`mmfer.datasets.va_noise`, for data sets with valence and
            arousal. Refused in ``test_mode``.
        cache_images (bool): Keep decoded images in memory. The first
            transform must then be ``LoadFERImage``. Defaults to False.
        on_bad_image (str): What to do with unreadable or damaged images.
            ``'raise'`` stops when one is met and says how many look bad;
            ``'skip'`` checks every file once before training, leaves the
            bad ones out and lists them in :attr:`skipped`. Defaults to
            ``'raise'``.
        check_files (bool): Whether to check at start that every listed file
            exists. Defaults to True.
        decisions (str, optional): A ``sample_scores.csv`` that was made of
            this set with these labels: samples are relabelled and left out
            as it says. Refused in ``test_mode``.
        **kwargs: Further arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: The root or listed images are not there.
        UnreadableImageError: An image is empty, damaged or no image.
        ValueError: The split is empty, or labels are out of range or
            refused.
    """

    # Of a file by write_list; None: there is no list of these images.
    list_suffix: Optional[str] = '.txt'

    def __init__(
        self,
        data_root: str = '',
        label_noise: Union[dict, object, None] = None,
        va_noise: Union[dict, object, None] = None,
        cache_images: bool = False,
        on_bad_image: str = 'raise',
        check_files: bool = True,
        decisions: Optional[str] = None,
        ann_file: str = '',
        **kwargs,
    ):
        if on_bad_image not in ('raise', 'skip'):
            raise ValueError(
                f"on_bad_image must be 'raise' or 'skip', got {on_bad_image}"
            )
        if kwargs.get('test_mode') and label_noise is not None:
            raise ValueError(
                f'{type(self).__name__}: label_noise on an evaluation split '
                'would measure the noise, not the model; remove it.'
            )
        if kwargs.get('test_mode') and va_noise is not None:
            raise ValueError(
                f'{type(self).__name__}: va_noise on an evaluation split '
                'would measure the noise, not the model; remove it.'
            )
        if kwargs.get('test_mode') and decisions is not None:
            raise ValueError(
                f'{type(self).__name__}: decisions on an evaluation split '
                'would leave out what is hard; remove them.'
            )
        if isinstance(label_noise, dict):
            label_noise = TASK_UTILS.build(label_noise)
        if isinstance(va_noise, dict):
            va_noise = TASK_UTILS.build(va_noise)
        self.label_noise = label_noise
        self.va_noise = va_noise
        self.cache_images = cache_images
        self.on_bad_image = on_bad_image
        self.check_files = check_files
        self.decisions = decisions
        self.skipped: List[str] = []
        # All by sample_id, whatever subset is taken later.
        self._images: Union[Dict[int, np.ndarray], np.ndarray, None] = None
        self._labels: Optional[torch.Tensor] = None
        self._given_labels: Optional[np.ndarray] = None
        self._clean_labels: Optional[np.ndarray] = None
        self._label_sets: Optional[np.ndarray] = None
        self._clean_va: Optional[np.ndarray] = None
        self._sample_ids: Optional[np.ndarray] = None
        self._sample_ids_of = None
        self.label_decisions: Optional[Dict[str, np.ndarray]] = None
        self.uncleaned: Optional['FERDataset'] = None
        # Shared memory: workers are forked or spawned once and live long.
        # Negative: not set, augmentation uses the running random state.
        self._random_state = torch.full((2,), -1).share_memory_()
        self._loader = (
            'val_dataloader' if kwargs.get('test_mode') else 'train_dataloader'
        )
        super().__init__(
            ann_file=ann_file, data_root=osp.expanduser(data_root), **kwargs
        )

    def _compat_classes(
        self, metainfo: Optional[dict], classes: Union[str, Sequence[str], None]
    ) -> dict:
        """Merge ``classes`` into ``metainfo``; both may name a file.

        mmpretrain reads the file as it is: with its byte order mark, and
        with blank lines as classes.
        """
        metainfo = dict(metainfo or {})
        classes = metainfo.get('classes', classes)
        if classes is None:
            return metainfo
        if isinstance(classes, (str, os.PathLike)):
            classes = read_class_names(classes)
        elif isinstance(classes, (list, tuple)):
            try:
                classes = check_class_names(classes)
            except ValueError as error:
                raise ValueError(f'{type(self).__name__}: {error}') from None
        else:
            raise ValueError(
                f'{type(self).__name__}: classes={classes!r} is neither a '
                'list of names nor a file with one name per line.'
            )
        return {**metainfo, 'classes': tuple(classes)}

    # -- loading -----------------------------------------------------------
    def load_samples(self) -> List[dict]:
        """Read the list: dicts with at least ``img_path`` and ``gt_label``.

        ``gt_label`` is the label to train on, 0-based: the correct one, as
        far as the publisher knows, or that of a published noisy list. In the
        latter case every sample may also have ``clean_label``, which goes
        to the sidecar.
        """
        raise NotImplementedError

    def load_data_list(self) -> List[dict]:
        """Load, check, number and corrupt the samples."""
        samples = self.load_samples()
        if not samples:
            raise ValueError(
                f'{type(self).__name__}: the split is empty. {self.where_it_looked()}'
            )
        # Off the samples for good: labels can change, and the clean ones
        # must not travel to the model.
        given = np.array([s.pop('gt_label') for s in samples], dtype=np.int64)
        clean = [s.pop('clean_label', None) for s in samples]
        self._check_labels(given)
        self._warn_of_empty_classes(given)
        for sample_id, sample in enumerate(samples):
            sample['sample_id'] = sample_id
        if self.check_files:
            self._check_files(samples)
        if any(label is not None for label in clean):
            if self.label_noise is not None:
                raise ValueError(
                    f'{type(self).__name__}: these labels come from a noisy '
                    'list already; label_noise on top of it would be noise '
                    'of no known rate. Choose one.'
                )
            self._clean_labels = np.array(clean, dtype=np.int64)
            self._check_labels(self._clean_labels)
        elif self.label_noise is not None:
            self._clean_labels = given
            self._label_sets = self.label_noise.annotate(given, self.num_classes)
            given = (
                self.label_noise(given, self.num_classes)
                if self._label_sets is None
                else self._label_sets[:, 0].copy()
            )
        self._prepare_va(samples)
        self._given_labels = given
        self._labels = torch.from_numpy(given.copy()).share_memory_()
        if self.decisions is not None:
            self._names = [self.image_name(s['img_path']) for s in samples]
        return samples

    def _prepare_va(self, samples: List[dict]) -> None:
        """Check valence and arousal, count what is missing, add noise."""
        if 'gt_va' not in samples[0]:
            if self.va_noise is not None:
                raise ValueError(
                    f'{type(self).__name__} has no valence and arousal here '
                    'that va_noise could change; remove it.'
                )
            return
        va = check_va(np.stack([s['gt_va'] for s in samples]), type(self).__name__)
        if self.va_noise is not None:
            self._clean_va = va
            va = self.va_noise(va)
        for sample, pair in zip(samples, va, strict=True):
            sample['gt_va'] = pair

    def filter_data(self) -> List[dict]:
        """Leave unreadable images out when ``on_bad_image='skip'``."""
        if self.on_bad_image == 'raise' or self._images is not None:
            return self.data_list
        kept = []
        print_log(
            f'Checking {len(self.data_list)} images of {type(self).__name__} ...',
            'current',
        )
        for sample in track_iter_progress(self.data_list):
            try:
                check_image_file(sample['img_path'])
            except UnreadableImageError as error:
                self.skipped.append(str(error))
            else:
                kept.append(sample)
        if self.skipped:
            print_log(self.skipped_report(), 'current', level=logging.WARNING)
        if not kept:
            raise ValueError(
                f'{type(self).__name__}: not one of '
                f'{len(self.data_list)} images can be read.'
            )
        self._warn_of_empty_classes(
            *(
                self._given_labels[[s['sample_id'] for s in samples]]
                for samples in (kept, self.data_list)
            ),
            "on_bad_image='skip'",
        )
        return kept

    def full_init(self):
        """Load the list and, if asked to, decode all images once."""
        if self._fully_initialized:
            return
        super().full_init()
        if self.cache_images and self._images is None:
            self._cache_images()
        if self.decisions is not None:
            self.apply_decisions(
                read_decisions(
                    self.decisions,
                    self._names,
                    self._given_labels,
                    self.sample_ids,
                    self.num_classes,
                    self.CLASSES,
                )
            )

    def _cache_images(self) -> None:
        """Decode every image into memory through the first transform."""
        transforms = self.pipeline.transforms
        if not transforms or type(transforms[0]).__name__ != 'LoadFERImage':
            raise ValueError(
                f'{type(self).__name__}: cache_images=True needs '
                "dict(type='LoadFERImage', ...) as the first transform."
            )
        images = {}
        for index in range(len(self)):
            info = super().get_data_info(index)
            try:
                images[info['sample_id']] = transforms[0](info)['img']
            except UnreadableImageError as error:
                raise self._unreadable(error, info['img_path']) from None
        self._images = images

    # -- access ------------------------------------------------------------
    def get_data_info(self, idx: int) -> dict:
        """Annotation of one sample with its current label."""
        info = super().get_data_info(idx)
        info['gt_label'] = int(self._labels[info['sample_id']])
        if self._label_sets is not None:
            # The first set is that of gt_label, which a hook may change.
            sets = self._label_sets[info['sample_id']].copy()
            sets[0] = info['gt_label']
            info['gt_label_sets'] = sets
        if self._images is not None:
            image = self._images[info['sample_id']]
            info['img'] = image
            info['img_shape'] = info['ori_shape'] = image.shape[:2]
        return info

    def prepare_data(self, idx: int) -> dict:
        """Run the pipeline with draws fixed by (seed, epoch, sample_id)."""
        info = self.get_data_info(idx)
        if self._images is not None:
            # Some transforms write into the image that they are given.
            info['img'] = info['img'].copy()
        try:
            if self.test_mode:
                return self.pipeline(info)
            seed, epoch = self._random_state.tolist()
            if seed < 0:
                return self.pipeline(info)
            with seeded_random_state(seed, epoch, info['sample_id']):
                return self.pipeline(info)
        except UnreadableImageError as error:
            raise self._unreadable(error, info['img_path']) from None

    def set_random_state(self, seed: int, epoch: int) -> None:
        """Set what augmentation is drawn from; reaches running workers."""
        self._random_state[0] = seed
        self._random_state[1] = epoch

    @force_full_init
    def get_gt_labels(self) -> np.ndarray:
        """Current labels of the samples in this (sub)set, int64 (N,)."""
        return self._labels.numpy()[self.sample_ids]

    @force_full_init
    def set_labels(self, sample_ids: Sequence[int], labels: Sequence[int]) -> None:
        """Give samples new labels, for running workers too.

        Args:
            sample_ids (Sequence[int]): Rows in the full list.
            labels (Sequence[int]): The new labels, in [0, num_classes).
        """
        sample_ids = np.asarray(sample_ids)
        labels = np.asarray(labels, dtype=np.int64)
        if sample_ids.shape != labels.shape:
            raise ValueError(
                f'set_labels: sample_ids have shape {sample_ids.shape}, '
                f'labels {labels.shape}. Give one label for each sample.'
            )
        if not labels.size:
            return
        self._check_labels(labels)
        self._labels.numpy()[sample_ids] = labels

    @force_full_init
    def apply_decisions(self, label_decisions: Dict[str, np.ndarray]) -> None:
        """Act on what a cleaning method says of the labels.

        Changes this data set: samples to relabel get their suggested label,
        samples to drop are left out. What it was before stays in
        :attr:`uncleaned`, for tables.

        Args:
            label_decisions (dict[str, np.ndarray]): Arrays (N, ) by name, of all
                samples in any order: ``sample_id``, ``decision`` (keep,
                relabel, drop), ``suggested_label``, ``noise_score``, and
                further measurements.
        """
        before = self.get_gt_labels()
        self.uncleaned = self.get_subset(list(range(len(self))))
        self.label_decisions = dict(label_decisions)
        ids, decision = (label_decisions['sample_id'], label_decisions['decision'])
        changed = decision == 'relabel'
        self.set_labels(ids[changed], label_decisions['suggested_label'][changed])
        kept = np.isin(self.sample_ids, ids[decision != 'drop'])
        self.get_subset_(np.flatnonzero(kept).tolist())
        self._warn_of_empty_classes(
            self.get_gt_labels(), before, 'the decisions on labels'
        )

    def write_list(
        self, path: str, sample_ids: Sequence[int], labels: Sequence[int]
    ) -> dict:
        """Write training samples and labels in this data set's own format.

        Args:
            path (str): The file; replaced if it exists. Its ending is that
                of :attr:`list_suffix`.
            sample_ids (Sequence[int]): Rows in the full list, ascending.
            labels (Sequence[int]): int (N, ), in [0, num_classes).

        Returns:
            dict: What to change in the data set's config for it to read the
            list; all else stays.
        """
        # The list has its noise already, and is of the chosen samples.
        return dict(
            self._write_list(path, sample_ids, labels), label_noise=None, indices=None
        )

    def _write_list(
        self, path: str, sample_ids: Sequence[int], labels: Sequence[int]
    ) -> dict:
        """Here as rows ``image label`` for ``ImageList``."""
        root = self.img_prefix or os.curdir
        write_label_list(
            path,
            [
                osp.relpath(info['img_path'], root)
                for info in self._infos_of(sample_ids)
            ],
            labels,
            by_path=True,
        )
        return dict(
            type='ImageList',
            ann_file=osp.abspath(path),
            label_base=0,
            classes=list(self.CLASSES),
        )

    def _infos_of(self, sample_ids: Sequence[int]) -> List[dict]:
        """Annotations of samples of this (sub)set, in the order asked for."""
        infos = {info['sample_id']: info for info in self._iterate_infos()}
        return [infos[int(sample_id)] for sample_id in sample_ids]

    @property
    @force_full_init
    def sample_ids(self) -> np.ndarray:
        """Rows in the full list of the samples in this set, int64 (N,).

        Read-only; gathered once per (sub)set.
        """
        # Taking a subset, by whatever way, replaces this object.
        rows = self.data_address if self.serialize_data else self.data_list
        if self._sample_ids_of is not rows:
            ids = np.fromiter(
                (info['sample_id'] for info in self._iterate_infos()),
                dtype=np.int64,
                count=len(rows),
            )
            ids.flags.writeable = False
            self._sample_ids, self._sample_ids_of = ids, rows
        return self._sample_ids

    @property
    @force_full_init
    def clean_labels(self) -> Optional[np.ndarray]:
        """The sidecar: true labels by ``sample_id``, or None if unknown.

        Only for writing tables and measuring; no training code reads it.
        """
        return self._clean_labels

    @property
    @force_full_init
    def clean_va(self) -> Optional[np.ndarray]:
        """The same of valence and arousal, float32 (N, 2)."""
        return self._clean_va

    @property
    @force_full_init
    def all_labels(self) -> torch.Tensor:
        """Labels in use by ``sample_id``, shared memory, int64."""
        return self._labels

    @property
    @force_full_init
    def given_labels(self) -> np.ndarray:
        """Labels as given before any relabelling, by ``sample_id``."""
        return self._given_labels

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.CLASSES)

    @force_full_init
    def noise_manifest(self) -> Optional[dict]:
        """What noise was planted and how to plant it again.

        Returns:
            dict, optional: See :meth:`LabelNoise.manifest`; of several
            annotators ``changed_share`` and ``noisy_sha256`` are those of
            the first, and ``label_sets`` has both of each. ``va_noise`` is
            what was done to valence and arousal. None without noise.
        """
        manifest = {}
        if self.label_noise is not None:
            manifest = self.label_noise.manifest(self._clean_labels, self._given_labels)
        if self._label_sets is not None:
            manifest['label_sets'] = [
                dict(
                    changed_share=float((s != self._clean_labels).mean()),
                    noisy_sha256=labels_sha256(s),
                )
                for s in self._label_sets.T
            ]
        if self.va_noise is not None:
            manifest['va_noise'] = self.va_noise.manifest()
        return manifest or None

    def image_name(self, img_path: str) -> str:
        """Name of an image in tables: relative to the data root.

        An image outside of the data root keeps its path.
        """
        if self.data_root and osp.isabs(img_path) == osp.isabs(self.data_root):
            name = osp.relpath(img_path, self.data_root)
            if name.split(os.sep)[0] != os.pardir:
                return name
        return img_path

    def skipped_report(self) -> str:
        """One paragraph that names the images left out."""
        lines = '\n  '.join(self.skipped)
        return (
            f'{type(self).__name__}: {len(self.skipped)} unreadable '
            f'image(s) left out:\n  {lines}'
        )

    def where_it_looked(self) -> str:
        """A sentence on where the samples were expected."""
        return f'Looked in {self.data_root or "the current folder"!r}.'

    # -- storage -----------------------------------------------------------
    def _iterate_infos(self):
        """Stored annotations in order, without current labels and images."""
        if not self.serialize_data:
            yield from self.data_list
            return
        start = 0
        for end in self.data_address.tolist():
            yield pickle.loads(memoryview(self.data_bytes[start:end]))
            start = end

    def _copy_without_annotation(self, memo=None) -> 'FERDataset':
        """What a subset starts from: shares everything kept by sample_id."""
        # mmengine's default memo is one dict for all calls: the second
        # subset of a data set would get the first one's attributes.
        memo = {} if memo is None else memo
        for name in (
            '_images',
            '_labels',
            '_given_labels',
            '_clean_labels',
            '_label_sets',
            '_clean_va',
            '_random_state',
            '_sample_ids',
            '_sample_ids_of',
        ):
            value = getattr(self, name)
            memo[id(value)] = value
        return super()._copy_without_annotation(memo)

    def __deepcopy__(self, memo: dict) -> 'FERDataset':
        """A copy with labels of its own; images are shared."""
        for name in (
            '_images',
            '_given_labels',
            '_clean_labels',
            '_label_sets',
            '_clean_va',
            'data_bytes',
            'data_address',
        ):
            value = getattr(self, name, None)
            memo[id(value)] = value
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__setstate__(copy.deepcopy(vars(self), memo))
        return other

    def __setstate__(self, state: dict) -> None:
        """Restore a deep copy or an unpickled data set."""
        self.__dict__.update(state)
        # Their tensors are private, and a worker would not see changes.
        for tensor in (self._labels, self._random_state):
            if tensor is not None:
                tensor.share_memory_()

    # -- checks ------------------------------------------------------------
    def _check_labels(self, labels: np.ndarray) -> None:
        wrong = (labels < 0) | (labels >= self.num_classes)
        if wrong.any():
            raise ValueError(
                f'{type(self).__name__}: {int(wrong.sum())} label(s) outside '
                f'[0, {self.num_classes}), e.g. {labels[wrong][0]} in row '
                f'{int(np.flatnonzero(wrong)[0])}. Labels here are 0-based; '
                'does the list count from 1, or has it more classes?'
            )

    def _warn_of_empty_classes(
        self, labels: np.ndarray, before: Optional[np.ndarray] = None, cause: str = ''
    ) -> None:
        """Warn of classes without a sample.

        Args:
            labels (np.ndarray): int64 (N, ).
            before (np.ndarray, optional): Labels of this set before samples
                were left out; only classes that had one are named.
            cause (str): Why they were left out.
        """
        empty = np.bincount(labels, minlength=self.num_classes) == 0
        if before is not None:
            empty &= np.bincount(before, minlength=self.num_classes) > 0
        empty = np.flatnonzero(empty)
        if not empty.size:
            return
        names = ', '.join(self.CLASSES[i] for i in empty[:MAX_NAMED])
        if empty.size > MAX_NAMED:
            names += f' and {empty.size - MAX_NAMED} more'
        place = f' of {self.data_root!r}' if self.data_root else ''
        left, check = '', 'the data set is complete'
        if before is not None:
            left = f' of {len(before)} are left by {cause}'
            check = f'{cause} may leave these classes out'
        print_log(
            f'{type(self).__name__}{place}: {len(labels)} samples{left}, but '
            f'no sample of {names}. They are used as they are, but these '
            'classes cannot be learnt or measured on them; check that '
            f'{check}.',
            'current',
            level=logging.WARNING,
        )

    def _check_files(self, samples: List[dict]) -> None:
        # One listing per folder: 10^5 stat calls on a network disk are slow.
        folders: Dict[str, set] = {}
        missing = []
        for sample in samples:
            folder, name = osp.split(sample['img_path'])
            if folder not in folders:
                listed = folder or os.curdir
                folders[folder] = (
                    set(os.listdir(listed)) if osp.isdir(listed) else set()
                )
            if name not in folders[folder]:
                missing.append(sample['img_path'])
        if missing:
            raise FileNotFoundError(
                f'{type(self).__name__}: {len(missing)} of {len(samples)} '
                f'listed images are not there, first {missing[0]!r}. '
                'Complete the images, or remove these rows from the list.'
            )

    def _unreadable(
        self, error: UnreadableImageError, path: str
    ) -> UnreadableImageError:
        """The error for a bad image: how many more, and what to do.

        Only file ends are looked at, about 50 us a file, so that the answer
        comes at once; decoding could find some more.
        """
        paths = {info['img_path'] for info in self._iterate_infos()}
        bad = sum(not looks_complete(p) for p in paths if p != path) + 1
        return UnreadableImageError(
            f'{error}. {type(self).__name__}: {bad} of {len(paths)} image '
            'files look empty or broken. Replace or remove them, or leave '
            'them out with --cfg-options '
            f'{self._loader}.dataset.on_bad_image=skip (every file is then '
            'decoded once before the start; those left out are counted and '
            'listed).'
        )

    def missing_root(
        self, looked_for: Sequence[str], licence: str
    ) -> FileNotFoundError:
        """The error for a data root that is not there.

        Args:
            looked_for (Sequence[str]): Paths that were tried.
            licence (str): Name of the page where the data can be had.
        """
        tried = '\n  '.join(looked_for)
        return FileNotFoundError(
            f'{type(self).__name__}: data not found. Looked for\n  {tried}\n'
            f'Get it from {licence} and unpack it there, or say where it is '
            'with --cfg-options train_dataloader.dataset.data_root=DIR '
            'val_dataloader.dataset.data_root=DIR (and test_dataloader for '
            'tests). To try mmfer without any data, run a *_synthfaces* '
            'config: the same methods on drawn faces.'
        )


def fer_datasets(dataset) -> Iterator[FERDataset]:
    """The mmfer data sets inside any wrappers."""
    if isinstance(dataset, FERDataset):
        yield dataset
    for inner in getattr(dataset, 'datasets', None) or filter(
        None, [vars(dataset).get('dataset') or vars(dataset).get('_dataset')]
    ):
        yield from fer_datasets(inner)
