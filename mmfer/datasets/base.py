"""The data set base class: noise, sidecar, reproducibility, checks."""
import os
import os.path as osp
import random
from contextlib import contextmanager
from typing import Dict, List, Optional, Sequence, Union

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress
from mmpretrain.datasets import BaseDataset

from mmfer.registry import TASK_UTILS
from .transforms.loading import UnreadableImageError, check_image_file


@contextmanager
def seeded_random_state(*entropy: int):
    """Seed ``random``, ``numpy.random`` and ``torch`` inside the block.

    Transforms of mmcv, mmpretrain and torchvision draw from these three
    global states, so this is what makes their draws a function of
    ``entropy`` alone. All states are put back afterwards.
    """
    sequence = np.random.SeedSequence(entropy)
    words = sequence.generate_state(2)
    python_state, torch_state = random.getstate(), torch.get_rng_state()
    # Swapping the generator costs a tenth of saving and restoring its state.
    numpy_generator = np.random.get_bit_generator()
    random.seed(int(words[0]))
    np.random.set_bit_generator(np.random.PCG64(sequence))
    # torch.manual_seed would also queue a call for CUDA, at 30 times the cost.
    torch.default_generator.manual_seed(int(words[1]))
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_bit_generator(numpy_generator)
        torch.set_rng_state(torch_state)


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
      reaches persistent workers too.
    - Augmentation drawn from (seed, epoch, sample_id), so that a resumed or
      differently parallel run sees the same images.
    - ``cache_images``: decode once, keep uint8 in memory.

    Args:
        data_root (str): Root of the data set. Defaults to ''.
        label_noise (dict | Callable, optional): A generator of
            :mod:`mmfer.datasets.label_noise`. Refused in ``test_mode``.
        cache_images (bool): Keep decoded images in memory. The first
            transform must then be ``LoadFERImage``. Defaults to False.
        on_bad_image (str): What to do with unreadable or truncated images.
            ``'raise'`` stops when one is met; ``'skip'`` checks every file
            once before training, leaves the bad ones out and lists them in
            :attr:`skipped`. Defaults to ``'raise'``.
        check_files (bool): Whether to check at start that every listed file
            exists. Defaults to True.
        **kwargs: Further arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: The root or listed images are not there.
        ValueError: The split is empty or labels are out of range.
    """

    def __init__(self,
                 data_root: str = '',
                 label_noise: Union[dict, object, None] = None,
                 cache_images: bool = False,
                 on_bad_image: str = 'raise',
                 check_files: bool = True,
                 ann_file: str = '',
                 **kwargs):
        if on_bad_image not in ('raise', 'skip'):
            raise ValueError(
                f"on_bad_image must be 'raise' or 'skip', got {on_bad_image}")
        if kwargs.get('test_mode') and label_noise is not None:
            raise ValueError(
                f'{type(self).__name__}: label_noise on an evaluation split '
                'would measure the noise, not the model; remove it.')
        if isinstance(label_noise, dict):
            label_noise = TASK_UTILS.build(label_noise)
        self.label_noise = label_noise
        self.cache_images = cache_images
        self.on_bad_image = on_bad_image
        self.check_files = check_files
        self.skipped: List[str] = []
        self._images: Optional[Sequence[np.ndarray]] = None
        self._clean_labels: Optional[np.ndarray] = None
        # Shared memory: workers are forked or spawned once and live long.
        self._random_state = torch.zeros(2, dtype=torch.int64).share_memory_()
        super().__init__(
            ann_file=ann_file, data_root=osp.expanduser(data_root), **kwargs)

    # -- loading -----------------------------------------------------------
    def load_samples(self) -> List[dict]:
        """Read the list: dicts with at least ``img_path`` and ``gt_label``.

        ``gt_label`` is the correct (or as-published) label, 0-based.
        """
        raise NotImplementedError

    def load_data_list(self) -> List[dict]:
        """Load, check, number and corrupt the samples."""
        samples = self.load_samples()
        if not samples:
            raise ValueError(
                f'{type(self).__name__}: the split is empty. '
                f'{self.where_it_looked()}')
        labels = np.array([s['gt_label'] for s in samples], dtype=np.int64)
        self._check_labels(labels)
        for sample_id, sample in enumerate(samples):
            sample['sample_id'] = sample_id
        if self.check_files:
            self._check_files(samples)
        given = labels
        if self.label_noise is not None:
            given = self.label_noise(labels, self.num_classes)
            self._clean_labels = labels
        self._given_labels = given
        # Indexed by sample_id, whatever subset is taken later.
        self._labels = torch.from_numpy(given.copy()).share_memory_()
        for sample in samples:
            del sample['gt_label']
        return samples

    def filter_data(self) -> List[dict]:
        """Leave unreadable images out when ``on_bad_image='skip'``."""
        if self.on_bad_image == 'raise' or self._images is not None:
            return self.data_list
        kept = []
        print_log(
            f'Checking {len(self.data_list)} images of '
            f'{type(self).__name__} ...', 'current')
        for sample in track_iter_progress(self.data_list):
            try:
                check_image_file(sample['img_path'])
            except UnreadableImageError as error:
                self.skipped.append(str(error))
            else:
                kept.append(sample)
        if self.skipped:
            print_log(self.skipped_report(), 'current', level='WARNING')
        if not kept:
            raise ValueError(f'{type(self).__name__}: not one of '
                             f'{len(self.data_list)} images can be read.')
        return kept

    def full_init(self):
        """Load the list and, if asked to, decode all images once."""
        if self._fully_initialized:
            return
        super().full_init()
        if self.cache_images and self._images is None:
            self._cache_images()

    def _cache_images(self) -> None:
        """Decode every image into memory through the first transform."""
        transforms = self.pipeline.transforms
        if not transforms or type(transforms[0]).__name__ != 'LoadFERImage':
            raise ValueError(
                f'{type(self).__name__}: cache_images=True needs '
                "dict(type='LoadFERImage', ...) as the first transform.")
        images = {}
        for index in range(len(self)):
            info = super().get_data_info(index)
            images[info['sample_id']] = transforms[0](info)['img']
        self._images = images

    # -- access ------------------------------------------------------------
    def get_data_info(self, idx: int) -> dict:
        """Annotation of one sample with its current label."""
        info = super().get_data_info(idx)
        info['gt_label'] = int(self._labels[info['sample_id']])
        if self._images is not None:
            image = self._images[info['sample_id']]
            info['img'] = image
            info['img_shape'] = info['ori_shape'] = image.shape[:2]
        return info

    def prepare_data(self, idx: int) -> dict:
        """Run the pipeline with draws fixed by (seed, epoch, sample_id)."""
        info = self.get_data_info(idx)
        if self.test_mode:
            return self.pipeline(info)
        seed, epoch = self._random_state.tolist()
        with seeded_random_state(seed, epoch, info['sample_id']):
            return self.pipeline(info)

    def set_random_state(self, seed: int, epoch: int) -> None:
        """Set what augmentation is drawn from; reaches running workers."""
        self._random_state[0] = seed
        self._random_state[1] = epoch

    def get_gt_labels(self) -> np.ndarray:
        """Current labels of the samples in this (sub)set, int64 (N,)."""
        return self._labels.numpy()[self.sample_ids]

    def set_labels(self, sample_ids: Sequence[int],
                   labels: Sequence[int]) -> None:
        """Give samples new labels, for running workers too.

        Args:
            sample_ids (Sequence[int]): Rows in the full list.
            labels (Sequence[int]): The new labels, in [0, num_classes).
        """
        labels = np.asarray(labels, dtype=np.int64)
        self._check_labels(labels)
        self._labels[torch.as_tensor(np.asarray(sample_ids))] = \
            torch.from_numpy(labels)

    @property
    def sample_ids(self) -> np.ndarray:
        """Rows in the full list of the samples in this set, int64 (N,)."""
        return np.array([
            BaseDataset.get_data_info(self, i)['sample_id']
            for i in range(len(self))
        ])

    @property
    def clean_labels(self) -> Optional[np.ndarray]:
        """The sidecar: true labels by ``sample_id``, or None if unknown.

        Only for writing tables and measuring; no training code reads it.
        """
        return self._clean_labels

    @property
    def all_labels(self) -> torch.Tensor:
        """Labels in use by ``sample_id``, shared memory, int64."""
        return self._labels

    @property
    def given_labels(self) -> np.ndarray:
        """Labels as given before any relabelling, by ``sample_id``."""
        return self._given_labels

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.CLASSES)

    def noise_manifest(self) -> Optional[dict]:
        """What noise was planted and how to plant it again."""
        if self.label_noise is None:
            return None
        return self.label_noise.manifest(self._clean_labels,
                                         self._given_labels)

    def image_name(self, img_path: str) -> str:
        """Name of an image in tables: relative to the data root."""
        if self.data_root and osp.isabs(img_path) == osp.isabs(
                self.data_root):
            return osp.relpath(img_path, self.data_root)
        return img_path

    def skipped_report(self) -> str:
        """One paragraph that names the images left out."""
        lines = '\n  '.join(self.skipped)
        return (f'{type(self).__name__}: {len(self.skipped)} unreadable '
                f'image(s) left out:\n  {lines}')

    def where_it_looked(self) -> str:
        """A sentence on where the samples were expected."""
        return f'Looked in {self.data_root or "the current folder"!r}.'

    # -- checks ------------------------------------------------------------
    def _check_labels(self, labels: np.ndarray) -> None:
        wrong = (labels < 0) | (labels >= self.num_classes)
        if wrong.any():
            raise ValueError(
                f'{type(self).__name__}: {int(wrong.sum())} label(s) outside '
                f'[0, {self.num_classes}), e.g. {labels[wrong][0]} in row '
                f'{int(np.flatnonzero(wrong)[0])}. Labels here are 0-based; '
                'does the list count from 1, or has it more classes?')

    def _check_files(self, samples: List[dict]) -> None:
        # One listing per folder: 10^5 stat calls on a network disk are slow.
        folders: Dict[str, set] = {}
        missing = []
        for sample in samples:
            folder, name = osp.split(sample['img_path'])
            if folder not in folders:
                folders[folder] = set(
                    os.listdir(folder)) if osp.isdir(folder) else set()
            if name not in folders[folder]:
                missing.append(sample['img_path'])
        if missing:
            raise FileNotFoundError(
                f'{type(self).__name__}: {len(missing)} of {len(samples)} '
                f'listed images are not there, first {missing[0]!r}. '
                'Complete the images, or remove these rows from the list.')

    def missing_root(self, looked_for: Sequence[str],
                     licence: str) -> FileNotFoundError:
        """The error for a data root that is not there.

        Args:
            looked_for (Sequence[str]): Paths that were tried.
            licence (str): Name of the page where the data can be had.
        """
        tried = '\n  '.join(looked_for)
        return FileNotFoundError(
            f'{type(self).__name__}: data not found. Looked for\n  {tried}\n'
            f'Get it from {licence} and unpack it there, or say where it is '
            'with --cfg-options data_root=... . To try mmfer without any '
            'data, run a *_synthfaces_* config: the same methods on drawn '
            'faces.')
