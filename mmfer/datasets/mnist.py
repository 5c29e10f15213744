"""MNIST with noisy labels."""

import os.path as osp
from typing import List, Optional, Tuple

import numpy as np
from mmpretrain.datasets.categories import MNIST_CATEGORITES

from mmfer.registry import DATASETS

from .checks import missing_root, tried
from .idx import read_idx
from .numbered_images import NumberedImages

# Folders below data_root in which the files may lie; torchvision uses the last one.
FOLDERS = ('', 'raw', osp.join('MNIST', 'raw'))
PREFIXES = dict(train='train', test='t10k')
PAGE = 'the MNIST page of its authors (yann.lecun.com/exdb/mnist)'
SIZE = 28


@DATASETS.register_module()
class NoisyMNIST(NumberedImages):
    """MNIST, 60,000 training and 10,000 test images of digits, with label noise.

    It is not called ``MNIST``, because that is the name of mmpretrain's data set. That
    one has no sample numbers, label noise or score table.

    The files are read as published, compressed or not, and as torchvision unpacks
    them. A dot may stand before ``idx``::

        data_root/
        |-- train-images-idx3-ubyte[.gz]   train-labels-idx1-ubyte[.gz]
        `-- t10k-images-idx3-ubyte[.gz]    t10k-labels-idx1-ubyte[.gz]

    Images are kept in memory as uint8 (N, 28, 28). Image names in tables are like
    ``train_00012``, with the number in the file.

    Args:
        data_root (str): Folder of the files, or of ``raw`` or ``MNIST/raw``.
        split (str): ``'train'`` or ``'test'``.
        noisy_list (str, optional): Text file with noisy training labels, see
            :class:`~mmfer.datasets.numbered_images.NumberedImages`.
        **kwargs: See :class:`~mmfer.datasets.FERDataset`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The split is unknown, options contradict each other, or a file has
            other contents than expected.
    """

    METAINFO = dict(classes=MNIST_CATEGORITES)
    splits = tuple(PREFIXES)

    def __init__(
        self,
        data_root: str = 'data/mnist',
        split: str = 'train',
        noisy_list: Optional[str] = None,
        **kwargs,
    ):
        super().__init__(
            data_root=data_root, split=split, noisy_list=noisy_list, **kwargs
        )

    def read_split(self) -> Tuple[List[str], np.ndarray, np.ndarray]:
        """Read images uint8 (N, 28, 28) and their labels; see the base class."""
        paths = [self._find(kind) for kind in ('images-idx3', 'labels-idx1')]
        images, labels = map(read_idx, paths)
        if images.shape[1:] != (SIZE, SIZE):
            raise ValueError(
                f'{paths[0]}: an array of shape {images.shape}, but images of MNIST '
                f'have {SIZE} x {SIZE} pixels. Get the file again from {PAGE}.'
            )
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f'{paths[1]}: labels of shape {labels.shape} for {len(images)} images. '
                f'Get both files of the split again from {PAGE}.'
            )
        names = [f'{self.split}_{row:05d}' for row in range(len(labels))]
        return names, labels.astype(np.int64), images

    def _find(self, kind: str) -> str:
        """Return the path of a file of the split.

        Args:
            kind (str): ``'images-idx3'`` or ``'labels-idx1'``.
        """
        names = [
            f'{PREFIXES[self.split]}-{written}-ubyte{ending}'
            for written in (kind, kind.replace('-idx', '.idx'))
            for ending in ('', '.gz')
        ]
        for folder in FOLDERS:
            for name in names:
                path = osp.join(self.data_root, folder, name)
                if osp.isfile(path):
                    return path
        raise missing_root(
            f'{self.name}, {self.split} split',
            [
                tried(
                    [osp.join(self.data_root, folder, names[1]) for folder in FOLDERS],
                    None,
                )
            ],
            PAGE,
        )
