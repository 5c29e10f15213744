"""Base class of all data sets: labels, noise, images, seeded augmentation."""

import logging
import os.path as osp
from typing import Any, List, Optional, Sequence, Set, Union

import numpy as np
import torch
from mmengine.dataset import force_full_init
from mmengine.logging import print_log

from mmfer.registry import TASK_UTILS
from mmfer.score_table import read_decisions
from mmfer.utils.checks import choices
from mmfer.utils.random import seeded_random_state
from mmfer.utils.string_table import StringTable

from . import checks
from .batched import BatchedDataset
from .folds import check_fold, fold_numbers
from .images import UnreadableImageError, hash_array, hash_files
from .noise import GaussianVANoise, LabelNoise
from .stored_images import DeviceKeys, Stores

# Sentence in the message that refuses noise for an evaluation set.
NOISE_REASON = 'Wrong labels would measure the noise, not the model.'


class FERDataset(BatchedDataset):
    """Base of all mmfer data sets.

    A subclass implements :meth:`load_samples`. This class adds what all data
    sets of this package have in common:

    - ``sample_id``: the row in the full list. It is the same in every subset,
      epoch and rank, while mmengine's ``sample_idx`` changes in a subset.
    - ``label_noise``: noise that is added to the labels. The clean labels are
      kept apart, in :attr:`clean_labels`. No sample has them, so no model can
      see them.
    - Labels in one shared tensor. If a hook calls :meth:`set_labels`, running
      workers and all subsets have the new labels, too. A subset chooses
      samples and has no labels of its own.
    - Augmentation drawn from (seed, epoch, sample_id). A run that was resumed,
      or that uses another number of workers or processes, sees the same
      images.
    - ``image_store``: decode and resize each image once, for all runs.

    Args:
        data_root (str): Root of the data set. Defaults to ''.
        split (str): One of :attr:`splits`. The first is for training; the
            others are for evaluation and set ``test_mode``. Defaults to '',
            for data sets without splits.
        label_noise (dict | LabelNoise, optional): A generator of
            :mod:`mmfer.datasets.noise`. Refused in ``test_mode``, and for
            labels that are already known to be noisy. With ``Annotators``,
            samples also have ``gt_label_sets``.
        va_noise (dict | GaussianVANoise, optional): A generator of
            :mod:`mmfer.datasets.noise`, for data sets with valence and
            arousal. Refused in ``test_mode``.
        image_store (bool): Keep the images after the deterministic steps at
            the beginning of the pipeline, in mmfer's cache folder. See
            :func:`~mmfer.datasets.images.open_store`. Defaults to True.
        on_bad_image (str): What to do with unreadable or damaged images.
            ``'raise'`` stops at the first one and says how many images look
            damaged. ``'skip'`` decodes every file once before training, drops
            the bad images and lists them in ``skipped``. Defaults to
            ``'raise'``.
        fold (Sequence[int], optional): ``(number, folds)``: cut the images at random
            into equal parts, and hold one out. The training set has all other parts,
            the evaluation set (``test_mode``) has this one. The parts are the same in
            every run. So ``fold=(0, 10)`` in both sets holds out a tenth, and
            ``fold=(0, 5)`` to ``fold=(4, 5)`` are a cross-validation. Images of one
            person may come into different parts. Defaults to None.
        check_files (bool): Whether to check at the start that every listed
            file exists. Defaults to True.
        decisions (str, optional): A ``sample_scores.csv`` that was made from
            this set with these labels. Its decisions relabel and drop
            samples. Refused in ``test_mode``.
        ann_file (str): File of annotations, for subclasses that have one.
            Defaults to ''.
        test_mode (bool): Whether the set is for evaluation.
            Defaults to False.
        **kwargs: Further arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: The root or listed images do not exist.
        UnreadableImageError: An image is empty, damaged or not an image.
        ValueError: The split is unknown or empty, an option contradicts
            another one, or labels are out of range.
    """

    # Names of the published splits; the split for training is the first.
    splits: Sequence[str] = ()

    uncleaned: Optional['FERDataset']

    def __init__(
        self,
        data_root: str = '',
        split: str = '',
        label_noise: Union[dict, LabelNoise, None] = None,
        va_noise: Union[dict, GaussianVANoise, None] = None,
        image_store: bool = True,
        on_bad_image: str = 'raise',
        fold: Optional[Sequence[int]] = None,
        check_files: bool = True,
        decisions: Optional[str] = None,
        ann_file: str = '',
        test_mode: bool = False,
        **kwargs,
    ):
        choices(self, 'on_bad_image', on_bad_image, ('raise', 'skip'))
        checks.check_split(split, self.splits, self.name)
        self.split = split
        self.test_mode = test_mode or split not in ('', *self.splits[:1])
        self.label_noise: Any = label_noise
        self.va_noise: Any = va_noise
        self.decisions = decisions
        self.check_options()
        if isinstance(label_noise, dict):
            self.label_noise = TASK_UTILS.build(label_noise)
        if isinstance(va_noise, dict):
            self.va_noise = TASK_UTILS.build(va_noise)
        self.fold = check_fold(fold, self.name)
        self.image_store = image_store
        self.on_bad_image = on_bad_image
        self.check_files = check_files
        self.skipped: List[str] = []
        self._images: Optional[np.ndarray] = None
        self._stores = Stores()
        self._without_store: Set[str] = set()
        self._resident = DeviceKeys()
        self._logged: Set[str] = set()
        # Seed and epoch. They are in shared memory, because workers keep running
        # when the epoch changes. Negative values mean that they are not set;
        # augmentation then draws from the global random states.
        self._random_state = torch.full((2,), -1).share_memory_()
        self._loader = 'val_dataloader' if self.test_mode else 'train_dataloader'
        checks.check_option_names(type(self), kwargs)
        super().__init__(
            ann_file=ann_file,
            data_root=osp.expanduser(data_root),
            test_mode=self.test_mode,
            **kwargs,
        )

    def check_options(self) -> None:
        """Refuse options that contradict each other, before loading.

        A subclass sets its options before it calls ``super().__init__``, and
        extends this method. ``split`` and ``test_mode`` are set here.
        """
        self.refuse_in_evaluation('label_noise', NOISE_REASON)
        self.refuse_in_evaluation('va_noise', NOISE_REASON)
        self.refuse_in_evaluation(
            'decisions', 'Decisions would drop the samples that are hard.'
        )

    def refuse_in_evaluation(self, option: str, reason: str) -> None:
        """Raise ``ValueError`` if a set for evaluation has a training option.

        Args:
            option (str): Name of an attribute; None means that it is not set.
            reason (str): A sentence on why an evaluation does not take it.
        """
        value = getattr(self, option)
        if self.test_mode and value is not None:
            raise checks.evaluation_error(self.name, option, value, reason)

    def _compat_classes(
        self, metainfo: Optional[dict], classes: Union[str, Sequence[str], None]
    ) -> dict:
        """Merge ``classes`` into ``metainfo``; mmpretrain calls this."""
        return checks.merge_classes(metainfo, classes, self.name)

    # -- loading -----------------------------------------------------------
    def load_samples(self) -> List[dict]:
        """Read the list of samples.

        Returns:
            list[dict]: Each with at least ``img_path`` and ``gt_label``, the
            0-based label. It comes from the data set, or from a published
            noisy list. With such a list, every sample may also have
            ``clean_label``, which is moved to :attr:`clean_labels`.
        """
        raise NotImplementedError

    def load_data_list(self) -> List[dict]:
        """Load, check and number the samples; add noise to their labels."""
        samples = self.load_samples()
        if not samples:
            raise ValueError(
                f'{self.name}: the split is empty. {self.where_it_looked()}'
            )
        self._labels = self._take_labels(samples)
        for sample_id, sample in enumerate(samples):
            sample['sample_id'] = sample_id
        # Images that were loaded into memory have names, but no files.
        if self.check_files and self._images is None:
            checks.check_files(samples, self.name)
        checks.check_names(samples, self.name)
        self._prepare_va(samples)
        if self.decisions is not None:
            self._names = StringTable.from_texts(
                [self.image_name(s['img_path']) for s in samples]
            )
        return samples

    def filter_data(self) -> List[dict]:
        """Drop other folds, and unreadable images if ``on_bad_image='skip'``."""
        if self.fold is not None:
            self.data_list = self._samples_of_fold(*self.fold)
        if self.on_bad_image == 'raise' or self._images is not None:
            return self.data_list
        bad = checks.find_unreadable(self.data_list, self.name)
        if not bad:
            return self.data_list
        self.skipped += bad.values()
        print_log(self.skipped_report(), 'current', level=logging.WARNING)
        kept = [s for s in self.data_list if s['sample_id'] not in bad]
        if not kept:
            raise ValueError(
                f'{self.name}: not one of {len(self.data_list)} images can be read.'
            )
        given = self._labels.given
        self._warn_of_empty_classes(
            given[[s['sample_id'] for s in kept]],
            given[[s['sample_id'] for s in self.data_list]],
            "on_bad_image='skip'",
        )
        return kept

    def _samples_of_fold(self, number: int, folds: int) -> List[dict]:
        """Return the samples of one fold for an evaluation, else those of the others.

        Args:
            number (int): Number of the fold that is held out.
            folds (int): Number of folds.
        """
        if len(self.data_list) < folds:
            raise ValueError(
                f'{self.name}: fold={self.fold}, but there are only '
                f'{len(self.data_list)} images for {folds} folds. Use fewer folds.'
            )
        held_out = fold_numbers(len(self.data_list), folds) == number
        chosen = held_out if self.test_mode else ~held_out
        return [self.data_list[i] for i in np.flatnonzero(chosen)]

    def full_init(self) -> None:
        """Load the list, and apply decisions."""
        if self._fully_initialized:
            return
        super().full_init()
        if self.decisions is not None:
            self.apply_decisions(
                read_decisions(
                    self.decisions,
                    self._names.tolist(),
                    self._labels.given,
                    self.sample_ids,
                    self.num_classes,
                    self.CLASSES,
                )
            )

    # -- access ------------------------------------------------------------
    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of one sample with its current label."""
        info = super().get_data_info(idx)
        sample_id = info['sample_id']
        info['gt_label'] = int(self._labels.of(sample_id))
        sets = self._labels.sets_of(sample_id)
        if sets is not None:
            info['gt_label_sets'] = sets
        if self._images is not None:
            image = self._images[sample_id]
            info['img'] = image
            info['img_shape'] = info['ori_shape'] = image.shape[:2]
        return info

    def prepare_data(self, idx: int) -> Optional[dict]:
        """Run the pipeline with draws fixed by (seed, epoch, sample_id)."""
        info = self.get_data_info(idx)
        try:
            seed, epoch = self._random_state.tolist()
            if self.test_mode or seed < 0:
                return self._run_pipeline(info)
            with seeded_random_state(seed, epoch, info['sample_id']):
                return self._run_pipeline(info)
        except UnreadableImageError as error:
            raise self._unreadable(error, info['img_path']) from None

    def _run_pipeline(self, info: dict) -> Optional[dict]:
        """Run the pipeline for one sample; the image may come from the store."""
        parts = self.parts
        results: Optional[dict] = self.head_results(info)
        if not parts.head:
            return self.pipeline(results)
        for step in (*parts.rest, parts.pack):
            if results is None:
                break
            results = step(results)
        return results

    def set_random_state(self, seed: int, epoch: int) -> None:
        """Set the seed and the epoch of the augmentation, also in running workers."""
        self._random_state[0] = seed
        self._random_state[1] = epoch

    @force_full_init
    def images_hash(self) -> str:
        """Return a hash of the contents of all images of this (sub)set.

        Copied, moved and touched files have the same hash. The hash depends on the
        order of the samples. It reads every file: 30,000 small ones take a second.

        Returns:
            str: SHA-256, 64 hex digits.

        Raises:
            OSError: An image file cannot be read.
        """
        if self._images is not None:
            return hash_array(self._images)
        found, missing = hash_files(self.image_paths)
        if missing:
            print_log(
                f'{self.name}: {len(missing)} of {len(self)} images are no files, e.g. '
                f'{missing[0]!r}. mmfer knows them by their names only, so it does '
                'not notice if they change. Delete stored results when they do.',
                'current',
                level=logging.WARNING,
            )
        return found

    def skipped_report(self) -> str:
        """Return a paragraph that names the images in ``skipped``."""
        return checks.describe_skipped(self.skipped, self.name)

    def where_it_looked(self) -> str:
        """Return a sentence on where the samples were expected."""
        return f'Looked in {self.data_root or "the current folder"!r}.'

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ('get_data_info', 'prepare_data', '__getitem__'):
            # The method may be that of a mixin.
            if getattr(cls, name) is not getattr(FERDataset, name):
                cls.own_method = name

    def __setstate__(self, state: dict) -> None:
        """Restore a deep copy or an unpickled data set."""
        super().__setstate__(state)
        # Unpickled tensors are private, and workers would not see changes.
        self._random_state.share_memory_()

    def _unreadable(
        self, error: UnreadableImageError, path: str
    ) -> UnreadableImageError:
        """Make the error for an unreadable image of this data set."""
        return checks.unreadable_error(
            error, path, self.image_paths, self.name, self._loader
        )
