"""RAF-DB: seven basic expressions, with any published noisy list."""

import os.path as osp
from typing import List, Optional, Sequence

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.logging import print_log

from mmfer.registry import DATASETS

from .base import FERDataset
from .lists import (
    RAFDB_LIST_NAMES,
    rafdb_key,
    rafdb_split_rows,
    read_label_list,
    read_va_list,
    write_label_list,
)
from .noise import MISSING_VA
from .noisy_list import NoisyList, check_noisy_list

EMOTIONS = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')
# Beyond, a list of valence and arousal has another scale.
LARGEST_VA = 1.5


@DATASETS.register_module()
class RAFDB(FERDataset):
    """RAF-DB (basic) in its published layout, 12,271 and 3,068 images.

    ::

        data_root/
        |-- EmoLabel/list_patition_label.txt    (their spelling)
        `-- Image/aligned/train_00001_aligned.jpg ...

    The ``Image/`` level may be missing. The files of the other released
    folders are not needed.

    With a noisy list, the labels of RAF-DB's own list go to the sidecar
    :attr:`clean_labels`. Published noisy lists have wrong labels for test
    images too, so the test split never takes one.

    Args:
        data_root (str): Folder of ``EmoLabel``.
        split (str): ``'train'`` or ``'test'``.
        noisy_list (str, optional): A published list of noisy train labels,
            in any format of :func:`~mmfer.datasets.lists.read_label_list`;
            its rows are joined by image name. Relative to the working
            directory. Not together with ``label_noise``.
        label_base (int, optional): 0 or 1, what ``noisy_list`` calls the
            first class. Defaults to None: found from its labels.
        partial_list (bool): Leave images out that ``noisy_list`` does not
            have, as one that was cleaned. Defaults to False: refuse it.
        va_list (str, optional): Valence and arousal of train images, as
            :func:`~mmfer.datasets.lists.read_va_list` reads them; RAF-DB
            itself has none. They are a model's and clipped to [-1, 1].
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The data, listed images or ``noisy_list`` are not
            there.
        ValueError: The test split with ``noisy_list``; ``noisy_list`` with
            ``label_noise``; or a list that is not what it should be.
    """

    METAINFO = dict(classes=EMOTIONS)

    def __init__(
        self,
        data_root: str = 'data/rafdb',
        split: str = 'train',
        noisy_list: Optional[str] = None,
        label_base: Optional[int] = None,
        partial_list: bool = False,
        va_list: Optional[str] = None,
        **kwargs,
    ):
        if split not in ('train', 'test'):
            raise ValueError(f'RAFDB has no split {split!r}, only train, test.')
        test_mode = kwargs.pop('test_mode', False) or split != 'train'
        if noisy_list is not None:
            noisy_list = check_noisy_list(
                'RAFDB', noisy_list, test_mode, kwargs.get('label_noise')
            )
        if va_list is not None:
            if test_mode:
                raise ValueError(
                    f'RAFDB: va_list={va_list!r} for an evaluation: its rows '
                    'of test images are what a model says, nothing to '
                    'evaluate on. Remove it here.'
                )
            va_list = osp.expanduser(va_list)
        self.split = split
        self.va_list = va_list
        self.noisy_list = noisy_list
        self.label_base = label_base
        self.partial_list = partial_list
        self._noisy: Optional[NoisyList] = None
        super().__init__(data_root=data_root, test_mode=test_mode, **kwargs)

    def load_samples(self) -> List[dict]:
        """Read RAF-DB's own list and join the noisy one by image name."""
        tables = [
            osp.join(self.data_root, 'EmoLabel', name) for name in RAFDB_LIST_NAMES
        ]
        folders = [
            osp.join(self.data_root, 'Image', 'aligned'),
            osp.join(self.data_root, 'aligned'),
        ]
        table = next(filter(osp.isfile, tables), None)
        images = next(filter(osp.isdir, folders), None)
        if table is None or images is None:
            raise self.missing_root(
                [
                    f'{" or ".join(tables)} '
                    f'({"not there" if table is None else "found"})',
                    f'{" or ".join(folders)} '
                    f'({"not there" if images is None else "found"})',
                ],
                'the RAF-DB page of its authors (whdeng.cn, free for '
                'research on request)',
            )
        # The format is asked for, not detected: a noisy list saved under the
        # name of the original is refused.
        own = read_label_list(table, self.num_classes, label_base=1, format='rafdb')
        rows = rafdb_split_rows(own, self.split)
        samples = [
            dict(
                img_path=osp.join(images, f'{rafdb_key(own.names[row])}_aligned.jpg'),
                gt_label=int(own.labels[row]),
            )
            for row in rows
        ]
        if self.noisy_list is not None:
            self._noisy = NoisyList.by_name(
                self.noisy_list, own, self.label_base, self.partial_list, self.CLASSES
            )
            samples = self._noisy.apply(samples)
        if self.va_list is not None:
            self._add_va(samples)
        return samples

    def _add_va(self, samples: List[dict]) -> None:
        """Give every sample the ``gt_va`` of the list."""
        names, values = read_va_list(self.va_list)
        va = dict(zip(map(rafdb_key, names), values, strict=True))
        keys = [rafdb_key(sample['img_path']) for sample in samples]
        missing = [key for key in keys if key not in va]
        if missing:
            raise ValueError(
                f'{self.va_list}: there is no valence and arousal of '
                f'{len(missing)} of {len(samples)} training images, first '
                f'{missing[0]}.jpg. Complete the list, or write -2 -2 for '
                'those that have none.'
            )
        outside = {
            key: np.abs(va[key]).max()
            for key in keys
            if (np.abs(va[key]) > 1).any() and (va[key] != MISSING_VA).all()
        }
        if outside:
            name, most = max(outside.items(), key=lambda pair: pair[1])
            if most > LARGEST_VA:
                raise ValueError(
                    f'{self.va_list}: valence or arousal of {name}.jpg is '
                    f'{most:g} in size. A model leaves [-1, 1] by a little '
                    '(the published list goes to 1.23); is this another '
                    'scale? Bring it to [-1, 1].'
                )
            print_log(
                f'RAFDB: {len(outside)} of {len(samples)} samples with '
                'valence or arousal outside of [-1, 1] are clipped.',
                'current',
            )
        for sample, key in zip(samples, keys, strict=True):
            missing = va[key] == MISSING_VA
            sample['gt_va'] = np.where(missing, MISSING_VA, va[key].clip(-1, 1))

    def _write_list(
        self, path: str, sample_ids: Sequence[int], labels: Sequence[int]
    ) -> dict:
        """Rows ``train_00001.jpg 5``, labels from 1, for ``noisy_list``.

        RAF-DB's own format, without the test images.
        """
        infos = self._infos_of(sample_ids)
        write_label_list(
            path,
            [f'{rafdb_key(info["img_path"])}.jpg' for info in infos],
            labels,
            label_base=1,
        )
        return dict(noisy_list=osp.abspath(path), label_base=1, partial_list=True)

    @force_full_init
    def noise_manifest(self) -> Optional[dict]:
        """What noise the labels have; for a list, which one it was.

        Returns:
            dict, optional: For a list ``noisy_list`` (base name), ``format``
            and ``label_base`` as read, ``list_sha256`` (of the file), and
            ``num_samples`` to ``given_sha256`` as of a generator.
        """
        if self._noisy is None:
            return super().noise_manifest()
        return self._noisy.manifest(self._clean_labels, self._given_labels)
