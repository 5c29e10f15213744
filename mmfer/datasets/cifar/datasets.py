"""CIFAR-10 and CIFAR-100 with noisy labels and long tails."""

import os.path as osp
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
from mmengine.dataset import force_full_init
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES, CIFAR100_CATEGORIES

from mmfer.datasets.checks import missing_root
from mmfer.datasets.numbered_images import NumberedImages
from mmfer.registry import DATASETS

from .files import PAGE, read_batch, read_numbered_list
from .long_tail import check_long_tail, long_tail_rows


class Layout(NamedTuple):
    """Layout of a published CIFAR archive.

    Attributes:
        folder (str): Folder of the batch files.
        archive (str): Archive that this folder is unpacked from.
        train (tuple[str]): Batch files of the train split, in order.
        test (tuple[str]): Batch files of the test split, in order.
        label_key (str): Key of the labels in a batch file.
    """

    folder: str
    archive: str
    train: Tuple[str, ...]
    test: Tuple[str, ...]
    label_key: str


@DATASETS.register_module()
class NoisyCIFAR10(NumberedImages):
    """CIFAR-10, 50,000 training and 10,000 test images, with noise or a long tail.

    It is not called ``CIFAR10``, because that is the name of mmpretrain's data
    set. A config of mmfer can also use mmpretrain's data set, but it lacks
    what :class:`~mmfer.datasets.FERDataset` adds.

    Two layouts are read. The first is the published one, as torchvision
    unpacks it; the batch files may also lie in ``data_root`` itself::

        data_root/cifar-10-batches-py/data_batch_1 ... 5, test_batch

    The second layout has image files and, for each folder of images, a list
    with rows ``00000.jpg 6``. The number of an image is its place in the
    batches::

        data_root/
        |-- train.txt   test.txt
        `-- train/00000.jpg ...     test/00000.jpg ...

    If batch files are found, they are used. Both layouts give the same samples
    in the order of the batches; the order of the list does not matter. Only
    the pixels of a JPEG differ slightly from the original. Batches are kept in
    memory as uint8 (N, 32, 32, 3), in BGR like every image from
    ``LoadFERImage``. Image files are decoded once, see ``image_store``. For
    images with other names use ``ImageList``.

    ``sample_id`` counts the samples that are used. With ``long_tail`` it
    therefore differs from the row in the original data set, which is kept as
    ``original_index``. Image names in tables have the original row, e.g.
    ``train_00012``.

    Asymmetric noise between similar classes is
    ``label_noise=dict(type='AsymmetricNoise', rate=...,
    mapping=[(9, 1), (2, 0), (3, 5), (5, 3), (4, 7)])``.

    Args:
        data_root (str): Folder of the batch folder or of the lists.
        split (str): ``'train'`` or ``'test'``.
        noisy_list (str, optional): Text file with noisy training labels. It
            has one label per line in the original order, or rows
            ``index label`` in any order. It must have all images of the
            split, even with ``long_tail``; see also ``partial_list``.
            ``tools/dataset_converters/convert_cifar_n.py`` makes such lists
            from CIFAR-10N. The original labels become :attr:`clean_labels`.
            The path is relative to the working directory. Refused together
            with ``label_noise``.
        long_tail (float, optional): Imbalance ratio, at least 1; see
            :func:`~mmfer.datasets.cifar.long_tail.long_tail_counts`. Samples
            are removed before labels become noisy. Defaults to None: all
            samples are used.
        long_tail_seed (int): Seed that selects the samples of each class.
            With one seed, the samples of a larger ratio are a part of the
            samples of a smaller ratio. Defaults to 0.
        partial_list (bool): Whether to drop images that ``noisy_list`` does
            not have, e.g. after a cleaning. Defaults to False: a list that
            lacks images is refused.
        **kwargs: See :class:`~mmfer.datasets.FERDataset`.

    Raises:
        FileNotFoundError: The data, some of the batch files, listed images
            or ``noisy_list`` are missing.
        ValueError: The split is unknown; ``noisy_list``, ``label_noise`` or
            ``long_tail`` is given for the test split; ``noisy_list`` is given
            with ``label_noise``; or a file has other contents than expected.
    """

    METAINFO = dict(classes=CIFAR10_CATEGORIES)
    splits = ('train', 'test')
    LAYOUT = Layout(
        folder='cifar-10-batches-py',
        archive='cifar-10-python.tar.gz',
        train=tuple(f'data_batch_{i}' for i in range(1, 6)),
        test=('test_batch',),
        label_key='labels',
    )

    def __init__(
        self,
        data_root: str = 'data/cifar10',
        split: str = 'train',
        noisy_list: Optional[str] = None,
        long_tail: Optional[float] = None,
        long_tail_seed: int = 0,
        partial_list: bool = False,
        **kwargs,
    ):
        if long_tail is not None:
            check_long_tail(long_tail, long_tail_seed)
        self.long_tail = long_tail
        self.long_tail_seed = long_tail_seed
        super().__init__(
            data_root=data_root,
            split=split,
            noisy_list=noisy_list,
            partial_list=partial_list,
            **kwargs,
        )

    def check_options(self) -> None:
        """Refuse a long tail for an evaluation; see also the base classes."""
        super().check_options()
        if self.split != 'train':
            self.refuse_in_evaluation(
                'long_tail', 'The test split stays balanced in all papers.'
            )

    def chosen_rows(self, labels: np.ndarray) -> np.ndarray:
        """Return the numbers of the images of the long tail, or of all images."""
        if self.long_tail is None:
            return super().chosen_rows(labels)
        return long_tail_rows(
            labels, self.num_classes, self.long_tail, self.long_tail_seed
        )

    def pixels_of(self, images: np.ndarray) -> np.ndarray:
        """Turn RGB planes, (n, 3072), into BGR pixels, as image files have them."""
        planes = images.reshape(-1, 3, 32, 32)[:, ::-1]
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))

    def read_split(self) -> Tuple[List[str], np.ndarray, Optional[np.ndarray]]:
        """Read batch files or image files; see the base class.

        Pixels are uint8 (N, 3072) for batch files, and None for image files.
        """
        folders = [osp.join(self.data_root, self.LAYOUT.folder), self.data_root]
        files = self.LAYOUT.train + self.LAYOUT.test
        for folder in folders:
            if any(osp.isfile(osp.join(folder, name)) for name in files):
                labels, images = self._read_batches(folder)
                names = [f'{self.split}_{row:05d}' for row in range(len(labels))]
                return names, labels, images
        table = osp.join(self.data_root, f'{self.split}.txt')
        folder = osp.join(self.data_root, self.split)
        if osp.isfile(table) and osp.isdir(folder):
            return *read_numbered_list(table, folder, self.num_classes), None
        raise missing_root(
            self.name,
            [
                f'{" or ".join(folders)} with '
                f'{", ".join(getattr(self.LAYOUT, self.split))}',
                f'or {table} with {folder}',
            ],
            PAGE,
        )

    def _read_batches(self, folder: str) -> Tuple[np.ndarray, np.ndarray]:
        """Read labels (N,) and pixels (N, 3072) from the batch files of the split."""
        names = getattr(self.LAYOUT, self.split)
        missing = [name for name in names if not osp.isfile(osp.join(folder, name))]
        if missing:
            raise FileNotFoundError(
                f'{self.name}: {len(missing)} of {len(names)} '
                f'batch files of split {self.split!r} are missing in '
                f'{folder!r}: {", ".join(missing)}. Unpack '
                f'{self.LAYOUT.archive} from {PAGE} again: '
                f'tar -xzf {self.LAYOUT.archive} -C {self.data_root or "."}'
            )
        batches = [
            read_batch(osp.join(folder, name), self.LAYOUT.label_key) for name in names
        ]
        labels = np.concatenate([batch_labels for batch_labels, _ in batches])
        return labels, np.concatenate([pixels for _, pixels in batches])

    def _write_list(
        self, path: str, sample_ids: np.ndarray, labels: np.ndarray
    ) -> dict:
        """Write a list for ``noisy_list``, which has only the samples that are used."""
        return dict(super()._write_list(path, sample_ids, labels), long_tail=None)

    @force_full_init
    def noise_manifest(self) -> Optional[dict]:
        """Describe the label noise, or the list that the labels come from.

        Returns:
            dict, optional: The manifest of the generator or the list. With a
            long tail it also has ``long_tail`` and ``long_tail_seed``, and
            the hashes are those of the long-tailed subset.
        """
        manifest = super().noise_manifest()
        if manifest is not None and self.long_tail is not None:
            manifest.update(
                long_tail=float(self.long_tail), long_tail_seed=int(self.long_tail_seed)
            )
        return manifest


@DATASETS.register_module()
class NoisyCIFAR100(NoisyCIFAR10):
    """CIFAR-100 with its fine labels, 50,000 training and 10,000 test images.

    The published layout is::

        data_root/cifar-100-python/train, test

    Image files with lists are read too. Everything else is as in
    :class:`NoisyCIFAR10`.

    Args:
        data_root (str): Folder of the batch folder or of the lists.
        split (str): ``'train'`` or ``'test'``.
        **kwargs: See :class:`NoisyCIFAR10`.
    """

    METAINFO = dict(classes=CIFAR100_CATEGORIES)
    LAYOUT = Layout(
        folder='cifar-100-python',
        archive='cifar-100-python.tar.gz',
        train=('train',),
        test=('test',),
        label_key='fine_labels',
    )

    def __init__(
        self, data_root: str = 'data/cifar100', split: str = 'train', **kwargs
    ):
        super().__init__(data_root=data_root, split=split, **kwargs)
