"""RAF-DB: seven basic expressions, also with published noisy labels."""

import os.path as osp
from typing import List, Optional

import numpy as np
from mmengine.logging import print_log

from mmfer.registry import DATASETS

from .checks import missing_root, tried
from .lists import (
    RAFDB_LIST_NAMES,
    rafdb_key,
    rafdb_split_rows,
    read_label_list,
    read_va_list,
    write_label_list,
)
from .noise import MISSING_VA
from .noisy_list import NoisyList, NoisyListDataset

EMOTIONS = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')
# Largest absolute value in a list of valence and arousal. A list with larger
# values has another scale.
LARGEST_VA = 1.5


@DATASETS.register_module()
class RAFDB(NoisyListDataset):
    """RAF-DB (basic), 12,271 training and 3,068 test images.

    It is read in its published layout::

        data_root/
        |-- EmoLabel/list_patition_label.txt    (their spelling)
        `-- Image/aligned/train_00001_aligned.jpg ...

    The ``Image/`` level may be missing. Files of the other published folders
    are not needed.

    With a noisy list, the labels of RAF-DB's own list become
    :attr:`clean_labels`. Published noisy lists have wrong labels for test
    images, too, so the test split refuses them.

    Args:
        data_root (str): Folder of ``EmoLabel``.
        split (str): ``'train'`` or ``'test'``.
        noisy_list (str, optional): A published list of noisy training
            labels, in any format of
            :func:`~mmfer.datasets.lists.read_label_list`. Its rows are
            joined by image name. The path is relative to the working
            directory. Refused together with ``label_noise``.
        label_base (int, optional): Label of the first class in
            ``noisy_list``, 0 or 1. Defaults to None: found from its labels.
        partial_list (bool): Whether to drop images that ``noisy_list`` does
            not have, e.g. after a cleaning. Defaults to False: a list that
            lacks images is refused.
        va_list (str, optional): Valence and arousal of training images, in
            the format of :func:`~mmfer.datasets.lists.read_va_list`. RAF-DB
            itself has none. A model predicted them, so they are clipped to
            [-1, 1].
        **kwargs: See :class:`~mmfer.datasets.FERDataset`.

    Raises:
        FileNotFoundError: The data, listed images or ``noisy_list`` do not
            exist.
        ValueError: ``noisy_list`` for the test split or together with
            ``label_noise``; or a list that cannot be parsed.
    """

    METAINFO = dict(classes=EMOTIONS)
    splits = ('train', 'test')

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
        self.va_list = None if va_list is None else osp.expanduser(va_list)
        self.label_base = label_base
        super().__init__(
            data_root=data_root,
            split=split,
            noisy_list=noisy_list,
            partial_list=partial_list,
            **kwargs,
        )

    def check_options(self) -> None:
        """Refuse ``va_list`` for an evaluation; see also the base classes."""
        super().check_options()
        self.refuse_in_evaluation(
            'va_list', 'Its rows of test images are the output of a model.'
        )

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
            raise missing_root(
                self.name,
                [tried(tables, table), tried(folders, images)],
                'the RAF-DB page of its authors (whdeng.cn, free for '
                'research on request)',
            )
        # Require the format 'rafdb' instead of detecting it. A noisy list that was
        # saved under the name of the original is then refused.
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
        """Add ``gt_va`` from the list to every sample."""
        assert self.va_list is not None
        names, values = read_va_list(self.va_list)
        va = dict(zip(map(rafdb_key, names), values, strict=True))
        keys = [rafdb_key(sample['img_path']) for sample in samples]
        missing = [key for key in keys if key not in va]
        if missing:
            raise ValueError(
                f'{self.va_list}: valence and arousal are missing for '
                f'{len(missing)} of {len(samples)} training images, first '
                f'{missing[0]}.jpg. Complete the list, or write -2 -2 for '
                'images that have none.'
            )
        # Valence may be missing where arousal is not, or the other way round.
        largest = {
            key: float(np.abs(va[key][va[key] != MISSING_VA]).max(initial=0))
            for key in keys
        }
        outside = {key: size for key, size in largest.items() if size > 1}
        if outside:
            name, most = max(outside.items(), key=lambda pair: pair[1])
            if most > LARGEST_VA:
                raise ValueError(
                    f'{self.va_list}: valence or arousal of {name}.jpg has '
                    f'the absolute value {most:g}. The output of a model can '
                    'be a little outside of [-1, 1] (the published list has '
                    'values up to 1.23). Does this list have another scale? '
                    'Convert it to [-1, 1].'
                )
            print_log(
                f'RAFDB: valence and arousal are clipped to [-1, 1] for '
                f'{len(outside)} of {len(samples)} samples.',
                'current',
            )
        for sample, key in zip(samples, keys, strict=True):
            unknown = va[key] == MISSING_VA
            sample['gt_va'] = np.where(unknown, MISSING_VA, va[key].clip(-1, 1))

    def _write_list(
        self, path: str, sample_ids: np.ndarray, labels: np.ndarray
    ) -> dict:
        """Write rows ``train_00001.jpg 5``, to use as ``noisy_list``.

        This is the format of RAF-DB's own list, without the test images.
        Labels start at 1.
        """
        paths = self.image_paths.take(self.positions_of(sample_ids))
        write_label_list(
            path, [f'{rafdb_key(path)}.jpg' for path in paths], labels, label_base=1
        )
        return dict(noisy_list=osp.abspath(path), label_base=1, partial_list=True)
