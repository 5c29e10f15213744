"""CIFAR-10 and CIFAR-100 with wrong labels and long tails."""

import hashlib
import logging
import numbers
import os.path as osp
import pickle
import re
import zlib
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.logging import print_log
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES, CIFAR100_CATEGORIES

from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic
from mmfer.utils.text_files import Line, line_error, read_text
from mmfer.utils.text_tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    class_index,
    join_listed,
    known_columns,
    match_columns,
    split_fields,
    unquoted,
    whole_number,
)

from .base import NOISE_REASON, FERDataset
from .checks import check_label_range, missing_root
from .label_noise import labels_sha256
from .lists import read_label_list

PAGE = 'the CIFAR page of its authors (www.cs.toronto.edu/~kriz/cifar.html)'
# 12, 00012.jpg, train/00012.jpg and train_00012 all name image 12.
_IMAGE = r'(?:\S*[/\\])?(?:train_|test_)?([0-9]+)(?:\.[A-Za-z]+)?'
# What a noisy list may call the column of indices.
INDEX_COLUMNS = (
    'index',
    'id',
    'sample_id',
    'image_id',
    'original_index',
    *IMAGE_COLUMNS,
)


class Layout(NamedTuple):
    """How a CIFAR archive is made up.

    Attributes:
        folder (str): Of the batch files.
        archive (str): What it is unpacked from.
        train, test (tuple[str]): Batch files of the splits, in order.
        label_key (str): Of the labels in a batch file.
    """

    folder: str
    archive: str
    train: Tuple[str, ...]
    test: Tuple[str, ...]
    label_key: str


@DATASETS.register_module()
class NoisyCIFAR10(FERDataset):
    """CIFAR-10, 50,000 and 10,000 images, to study wrong labels on.

    It has a name of its own because ``CIFAR10`` is mmpretrain's, which has
    none of what :class:`FERDataset` adds, and which configs of this package
    can name too.

    As published (and as torchvision unpacks it); the batch files may also
    lie in ``data_root`` itself::

        data_root/cifar-10-batches-py/data_batch_1 ... 5, test_batch

    or as image files, numbered in the order of the batches, with a list of
    rows ``00000.jpg 6`` beside each folder::

        data_root/
        |-- train.txt   test.txt
        `-- train/00000.jpg ...     test/00000.jpg ...

    Which one it is, is found from the files; batches come first. Samples
    are the same in both and in the order of the batches, whatever the order
    of the list; only the pixels of a JPEG are not quite those of the
    original. Batches are kept in memory as uint8 (N, 32, 32, 3), BGR like
    any image from ``LoadFERImage``; files are read when needed, or once with
    ``cache_images``. For images of other names use ``ImageList``.

    ``sample_id`` counts the samples in use, so with ``long_tail`` it is not
    the row of the original list. That one is ``original_index``, and the
    images are named after it, ``train_00012``, in tables.

    Asymmetric noise between the classes that look alike is
    ``label_noise=dict(type='AsymmetricNoise', rate=...,
    mapping=[(9, 1), (2, 0), (3, 5), (5, 3), (4, 7)])``.

    Args:
        data_root (str): Folder of the batch folder or of the lists.
        split (str): ``'train'`` or ``'test'``.
        noisy_list (str, optional): Training labels to use instead: a text
            file of one label per line in the original order, or of rows
            ``index label`` in any, for all images of the split, before a
            long tail. CIFAR-10N becomes such lists with
            ``tools/dataset_converters/convert_cifar_n.py``. The original
            labels then go to the sidecar :attr:`clean_labels`. Relative to
            the working directory. Not together with ``label_noise``.
        long_tail (float, optional): Imbalance ratio, at least 1: see
            :func:`long_tail_counts`. Samples are removed before labels
            become noisy. Defaults to None: all are used.
        long_tail_seed (int): Which samples of a class stay. Of the same seed
            those of a larger ratio are among those of a smaller one.
            Defaults to 0.
        partial_list (bool): Leave images out that ``noisy_list`` does not
            have, as one that was cleaned. Defaults to False: refuse it.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The data, some of the batch files, listed images
            or ``noisy_list`` are not there.
        ValueError: Another split; ``noisy_list``, ``label_noise`` or
            ``long_tail`` for the test split; ``noisy_list`` with
            ``label_noise``; or a file that is not what it should be.
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
        self.noisy_list = None if noisy_list is None else osp.expanduser(noisy_list)
        self.long_tail = long_tail
        self.long_tail_seed = long_tail_seed
        self.partial_list = partial_list
        self._noisy_sha256: Optional[str] = None
        super().__init__(data_root=data_root, split=split, **kwargs)

    def check_options(self) -> None:
        """Refuse a noisy list and a long tail for an evaluation."""
        super().check_options()
        self.refuse_in_evaluation('noisy_list', NOISE_REASON)
        if self.noisy_list is not None and self.label_noise is not None:
            raise ValueError(
                f'{self.name}: noisy_list and label_noise are two sources of '
                'wrong labels. Choose one of the two.'
            )
        if self.split != 'train':
            self.refuse_in_evaluation(
                'long_tail', 'The test split stays balanced in all papers.'
            )

    def load_samples(self) -> List[dict]:
        """Read either layout, then cut the tail, then take noisy labels."""
        paths, labels, images = self._read_layout()
        rows = np.arange(len(labels))
        if self.long_tail is not None:
            rows = long_tail_rows(
                labels, self.num_classes, self.long_tail, self.long_tail_seed
            )
        if self.noisy_list is not None:
            noisy = self._read_noisy_labels(labels)
            rows = rows[noisy[rows] >= 0]
        if images is not None:
            # From RGB planes to the BGR pixels that image files decode to.
            planes = images[rows].reshape(-1, 3, 32, 32)[:, ::-1]
            self._images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        samples = [
            dict(img_path=paths[row], gt_label=int(labels[row]), original_index=row)
            for row in rows.tolist()
        ]
        if self.noisy_list is not None:
            for sample in samples:
                sample['clean_label'] = sample['gt_label']
                sample['gt_label'] = int(noisy[sample['original_index']])
        return samples

    def _read_layout(self) -> Tuple[List[str], np.ndarray, Optional[np.ndarray]]:
        """Names, labels (N, ), and uint8 (N, 3072) or None for files."""
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
        """Labels (N, ) and pixels (N, 3072) of the split's batch files."""
        names = getattr(self.LAYOUT, self.split)
        missing = [name for name in names if not osp.isfile(osp.join(folder, name))]
        if missing:
            raise FileNotFoundError(
                f'{type(self).__name__}: {len(missing)} of {len(names)} '
                f'batch files of split {self.split!r} are missing in '
                f'{folder!r}: {", ".join(missing)}. Unpack '
                f'{self.LAYOUT.archive} from {PAGE} again: '
                f'tar -xzf {self.LAYOUT.archive} -C {self.data_root or "."}'
            )
        batches = [
            read_batch(osp.join(folder, name), self.LAYOUT.label_key) for name in names
        ]
        labels, images = zip(*batches)
        labels = np.concatenate(labels)
        # The long tail counts classes before the base class checks labels.
        check_label_range(labels, self.num_classes, self.name)
        return labels, np.concatenate(images)

    def _read_noisy_labels(self, labels: np.ndarray) -> np.ndarray:
        """The list's labels (N, ), by original row."""
        noisy = read_noisy_list(
            self.noisy_list,
            len(labels),
            self.num_classes,
            self.partial_list,
            self.CLASSES,
        )
        with open(self.noisy_list, 'rb') as file:
            self._noisy_sha256 = hashlib.sha256(file.read()).hexdigest()
        right = (noisy == labels)[noisy >= 0].mean()
        if right <= 1.5 / self.num_classes:
            print_log(
                f'{type(self).__name__}: only {right:.1%} of the labels in '
                f'{self.noisy_list} are those of the images, as if by '
                'chance. Is the list in the order of the original batches?',
                'current',
                level=logging.WARNING,
            )
        return noisy

    def _write_list(
        self, path: str, sample_ids: Sequence[int], labels: Sequence[int]
    ) -> dict:
        """Rows ``index label`` in the original order, for ``noisy_list``."""
        rows = [
            f'{info["original_index"]} {label}\n'
            for info, label in zip(self.infos_of(sample_ids), labels, strict=True)
        ]
        write_atomic(path, ''.join(rows).encode())
        return dict(noisy_list=osp.abspath(path), partial_list=True, long_tail=None)

    @force_full_init
    def noise_manifest(self) -> Optional[dict]:
        """What noise the labels have; for a list, which one it was.

        Returns:
            dict, optional: As of a generator; for a list ``noisy_list`` (base
            name), ``list_sha256`` (of the file), and ``num_samples`` to
            ``given_sha256``. Of a long tail also ``long_tail`` and
            ``long_tail_seed``: the hashes are those of what is left.
        """
        manifest = super().noise_manifest()
        if self.noisy_list is not None:
            clean, noisy = self._labels.clean, self._labels.given
            changed = int((clean != noisy).sum())
            manifest = dict(
                noisy_list=osp.basename(self.noisy_list),
                list_sha256=self._noisy_sha256,
                num_samples=len(noisy),
                num_changed=changed,
                changed_share=changed / len(noisy),
                noisy_sha256=labels_sha256(noisy),
                given_sha256=labels_sha256(clean),
            )
        if manifest is not None and self.long_tail is not None:
            manifest.update(
                long_tail=float(self.long_tail), long_tail_seed=int(self.long_tail_seed)
            )
        return manifest


@DATASETS.register_module()
class NoisyCIFAR100(NoisyCIFAR10):
    """CIFAR-100 with its fine labels, 50,000 and 10,000 images.

    ::

        data_root/cifar-100-python/train, test

    or image files with lists. All else is as in :class:`NoisyCIFAR10`.

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


# -- long tail ---------------------------------------------------------------
def check_long_tail(ratio: float, seed: int) -> None:
    """Raise ValueError for an imbalance ratio or a seed that makes no sense.

    Args:
        ratio (float): Finite, at least 1.
        seed (int): At least 0.
    """
    if not isinstance(ratio, numbers.Real) or not 1 <= ratio < np.inf:
        raise ValueError(
            f'long_tail={ratio!r} is no imbalance ratio, which is the size '
            'of the largest class by that of the smallest: a number of at '
            'least 1, such as 50.'
        )
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(
            f'long_tail_seed={seed!r} is not an integer of at '
            'least 0. Give one, e.g. long_tail_seed=0.'
        )


def long_tail_counts(counts: Sequence[int], ratio: float) -> np.ndarray:
    """How many samples of each class stay in a long-tailed set.

    Class k of C keeps ``floor(n_max * ratio ** (-k / (C - 1)))``, at least
    one, and not more than it has; ``n_max`` is the size of the largest
    class. CIFAR-10 with ratio 50: 5000 to 100, 13,996 in all (GAAVE).

    Args:
        counts (Sequence[int]): Samples of each class, (C, ), C at least 2.
        ratio (float): Largest class by smallest class, at least 1.

    Returns:
        np.ndarray: int64 (C, ).
    """
    counts = np.asarray(counts, dtype=np.int64)
    powers = np.arange(len(counts)) / (len(counts) - 1)
    # Division, not a negative power, so that whole numbers come out whole.
    wanted = np.floor(counts.max() / float(ratio) ** powers).astype(np.int64)
    return np.minimum(counts, np.maximum(wanted, 1))


def long_tail_rows(
    labels: np.ndarray, num_classes: int, ratio: float, seed: int
) -> np.ndarray:
    """Which samples stay in a long-tailed set.

    Args:
        labels (np.ndarray): int (N, ), in [0, num_classes).
        num_classes (int): Number of classes, at least 2.
        ratio (float): See :func:`long_tail_counts`.
        seed (int): At least 0; not shared with any other draws.

    Returns:
        np.ndarray: int64, rows in ascending order.
    """
    kept = long_tail_counts(np.bincount(labels, minlength=num_classes), ratio)
    rng = np.random.default_rng([seed, zlib.crc32(b'long_tail')])
    # A whole permutation whatever is kept: larger ratios keep a part of it.
    rows = [
        rng.permutation(np.flatnonzero(labels == label))[:count]
        for label, count in enumerate(kept)
    ]
    return np.sort(np.concatenate(rows))


# -- reading -----------------------------------------------------------------
def _latin1_bytes(text: str, encoding: str = 'latin1') -> bytes:
    """What ``_codecs.encode`` does for bytes in a pickle of protocol 2."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it asks for the codec {encoding!r}')
    return text.encode(encoding)


# numpy says itself what an array is made by: the functions have moved.
_ARRAY = np.zeros(1)
_BATCH_GLOBALS = {
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    ('numpy.core.multiarray', '_reconstruct'): _ARRAY.__reduce__()[0],
    ('numpy.core.numeric', '_frombuffer'): _ARRAY.__reduce_ex__(5)[0],
    ('_codecs', 'encode'): _latin1_bytes,
}


class BatchUnpickler(pickle.Unpickler):
    """Unpickler for containers of numpy arrays that runs no other code."""

    def find_class(self, module: str, name: str) -> Any:
        """The global of that name, if a batch file needs it."""
        # numpy 2 moved numpy.core to numpy._core.
        key = module.replace('numpy._core', 'numpy.core'), name
        if key not in _BATCH_GLOBALS:
            raise pickle.UnpicklingError(
                f'it asks for {module}.{name}, and a batch consists of '
                'arrays and lists alone'
            )
        return _BATCH_GLOBALS[key]


def read_batch(path: str, label_key: str) -> Tuple[np.ndarray, np.ndarray]:
    """Read a batch file without running anything that is in it.

    Args:
        path (str): A pickled dict, as published (by Python 2) or since.
        label_key (str): ``'labels'`` or ``'fine_labels'``.

    Returns:
        tuple[np.ndarray, np.ndarray]: Labels int64 (N, ) and pixels uint8
        (N, 3072), the red plane, then green, then blue.

    Raises:
        ValueError: It is something else, or truncated.
    """
    try:
        with open(path, 'rb') as file:
            content = BatchUnpickler(file, encoding='latin1').load()
        # Copies that went through encoding='bytes' have keys of bytes.
        content = {
            key.decode() if isinstance(key, bytes) else key: value
            for key, value in content.items()
        }
        images = content['data']
        labels = np.array(content[label_key], dtype=np.int64)
        if images.dtype != np.uint8 or images.shape != (len(labels), 3 * 32 * 32):
            raise ValueError(
                f'data {images.dtype} of shape {images.shape} for {len(labels)} labels'
            )
    # A broken pickle can raise nearly anything.
    except Exception as error:
        raise ValueError(
            f'{path} is not a complete CIFAR batch with {label_key!r}: '
            f'{type(error).__name__}: {error}. Unpack the archive from '
            f'{PAGE} again.'
        ) from error
    return labels, images


def read_numbered_list(
    table: str, folder: str, num_classes: int
) -> Tuple[List[str], np.ndarray]:
    """Read a list of images that are numbered in the original order.

    Args:
        table (str): Rows ``00000.jpg 6``, in any order, labels from 0.
        folder (str): Where the images are.
        num_classes (int): Number of classes.

    Returns:
        tuple[list[str], np.ndarray]: Paths and labels int64 (N, ), by number.

    Raises:
        ValueError: The names are not the numbers from 0 to N - 1, or see
            :func:`~mmfer.datasets.lists.read_label_list`.
    """
    rows = read_label_list(
        table, num_classes, label_base=0, format='plain', by_path=True
    )
    found = [re.fullmatch(_IMAGE, path) for path in rows.paths]
    numbers = [-1 if match is None else int(match[1]) for match in found]
    order = np.argsort(numbers, kind='stable')
    wrong = np.flatnonzero(np.take(numbers, order) != np.arange(len(rows)))
    if wrong.size:
        name = rows.paths[order[wrong[0]]]
        raise ValueError(
            f'{table}: its {len(rows)} images are not numbered from 0 to '
            f'{len(rows) - 1}, the order of the original batches, without a '
            f'gap: see {name!r}. Complete the list; for images of other '
            'names, or a part of them, use ImageList.'
        )
    paths = [join_listed(folder, rows.paths[row]) for row in order]
    return paths, rows.labels[order]


def read_noisy_list(
    path: str,
    count: int,
    num_classes: int,
    partial: bool = False,
    classes: Optional[Sequence[str]] = None,
) -> np.ndarray:
    """Read a plain list of labels for all images of a split.

    Args:
        path (str): One label per line in the original order, or rows
            ``index label`` in any (also with a comma, and with an image name
            such as ``train_00012`` as the index; with a header, in either
            order). Blank lines and lines that start with ``#`` are skipped.
            Labels and indices start at 0.
        count (int): Number of images N.
        num_classes (int): Number of classes.
        partial (bool): Rows have an index, and some images have no row.
            Defaults to False.
        classes (Sequence[str], optional): Names that labels may be instead.

    Returns:
        np.ndarray: int64 (N, ), in the original order; -1 without a row.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no text; a row is neither; a label is out of range;
            or there is not exactly one label for each image.
    """
    rows = _noisy_rows(path, num_classes, classes)
    labels = np.full(count, -1, dtype=np.int64)
    for position, (where, index, label) in enumerate(rows):
        if (index is None) != (rows[0][1] is None):
            raise ValueError(
                f'{where}: some rows have an index and others '
                'do not. Give all of them one, or none.'
            )
        index = position if index is None else index
        if index >= count:
            continue
        if labels[index] >= 0:
            raise ValueError(
                f'{where}: image {index} already has a label. '
                'Keep one row for each image.'
            )
        labels[index] = label
    missing = np.flatnonzero(labels < 0)
    if partial:
        where, index, _ = rows[0] if rows else (path, None, None)
        if index is None:
            raise ValueError(
                f'{where}: a list of a part of the images needs the index of '
                'each one, as in "12 6". Add it, or leave partial_list out.'
            )
        beyond = [row for row in rows if row[1] >= count]
        if beyond:
            raise ValueError(
                f'{beyond[0][0]}: there is no image {beyond[0][1]}, only '
                f'{count} of this split. Take a list that was made for them.'
            )
        return labels
    if len(rows) != count or missing.size:
        first = f', none for image {missing[0]}' if missing.size else ''
        raise ValueError(
            f'{path} has {len(rows)} labels for {count} images{first}. Take '
            'the list that was made for all images of this split; if it is '
            'to lack some, as one that was cleaned, its rows need an index, '
            'and the data set partial_list=True.'
        )
    return labels


def _noisy_rows(
    path: str, num_classes: int, classes: Optional[Sequence[str]]
) -> List[Tuple[str, Optional[int], int]]:
    """Rows of a list of labels: where, index if there is one, label."""
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'noisy_list: there is no file {path!r}. Make it from a '
            'published N list with '
            'tools/dataset_converters/convert_cifar_n.py.'
        )
    try:
        filled = read_text(path, 'list of labels').filled
    except ValueError as error:
        raise ValueError(
            f'{path} is not a text file ({error}) A published N list is made '
            'one with tools/dataset_converters/convert_cifar_n.py.'
        ) from None
    lines = [line for line in filled if line.text[0] != '#']
    if len(lines) < len(filled):
        comment = next(line for line in filled if line.text[0] == '#')
        print_log(
            f'{path}: {len(filled) - len(lines)} line(s) that start with "#" '
            f'are left out as comments, e.g. line {comment.number}: '
            f'{comment.text[:80]!r}.',
            'current',
        )
    rows = []
    for line, fields in zip(*_index_and_label(path, lines)):
        where = f'{path}, line {line.number}: {line.text!r}'
        label = whole_number(fields[-1])
        if label is None and classes is not None:
            label = class_index(fields[-1], classes)
        index = None
        if len(fields) == 2:
            index = whole_number(fields[0])
            match = re.fullmatch(_IMAGE, fields[0])
            if index is None and match is not None:
                index = int(match[1])
        if (
            label is None
            or label < 0
            or len(fields) == 2
            and (index is None or index < 0)
        ):
            raise ValueError(
                f'{where} is neither a label nor an index and a '
                'label, such as "12 6". Correct the row.'
            )
        if label >= num_classes:
            raise ValueError(
                f'{where}: the label is outside [0, {num_classes}). Labels '
                'here are 0-based; does the list count from 1?'
            )
        rows.append((where, index, label))
    return rows


def _index_and_label(
    path: str, lines: List[Line]
) -> Tuple[List[Line], List[List[str]]]:
    """Lines of rows, and their fields: label, or index and label."""
    if not lines:
        return [], []
    separator = next((s for s in (';', '\t', ',') if s in lines[0].text), None)
    if separator is None:
        rows = [[unquoted(x) for x in line.text.split()] for line in lines]
    else:
        rows = split_fields(path, lines, separator)
    full = [i for i, row in enumerate(rows) if any(row)]
    lines = [lines[i] for i in full]
    rows = [rows[i] for i in full]
    for row in rows:
        while not row[-1]:
            row.pop()
    columns = dict(index=INDEX_COLUMNS, label=LABEL_COLUMNS)
    places: Optional[List[int]] = None
    if rows and 'label' in known_columns(rows[0], columns):
        names = rows.pop(0)
        line, *lines = lines
        try:
            header = match_columns(names, columns)
        except ValueError as error:
            raise line_error(
                path, line.number, line.text, str(error), 'Keep one of the two.'
            ) from None
        if header.others:
            raise line_error(
                path,
                line.number,
                line.text,
                f'nothing is known of the column {header.others[0]!r}',
                'The columns of this list are label, and before or behind '
                'it index or image.',
            )
        index = header.position.get('index', header.index)
        places = [header.position['label']]
        if index is not None:
            places.insert(0, index)
    width = 2 if places is None else len(names)
    for line, row in zip(lines, rows):
        if len(row) > width or places is not None and len(row) < width:
            raise line_error(
                path,
                line.number,
                line.text,
                f'this is neither a label nor an index and a label, but '
                f'{len(row)} fields, where {width} are expected',
                'A row is a label, or an index and a label, such as "12 6".',
            )
    if places is not None:
        rows = [[row[place] for place in places] for row in rows]
    return lines, rows
