"""Reading of CIFAR's batch files, and of lists of numbered image files."""

from typing import List, Tuple

import numpy as np

from mmfer.datasets.lists import image_number, read_label_list
from mmfer.utils.safe_pickle import Limits, integers, load_arrays, read_bytes
from mmfer.utils.text_files import clipped
from mmfer.utils.text_tables import join_listed

PAGE = 'the CIFAR page of its authors (www.cs.toronto.edu/~kriz/cifar.html)'
"""Page that offers the archives, for messages."""
# The largest published file, the training set of CIFAR-100, has 155 MB.
LIMITS = Limits(file_size=1 << 30)


def read_batch(path: str, label_key: str) -> Tuple[np.ndarray, np.ndarray]:
    """Read a batch file without running any code that it contains.

    Args:
        path (str): A pickled dict, as published (by Python 2) or saved again
            by a later version.
        label_key (str): ``'labels'`` or ``'fine_labels'``.

    Returns:
        tuple[np.ndarray, np.ndarray]: Labels int64 (N,) and pixels uint8
        (N, 3072), the red plane, then green, then blue.

    Raises:
        ValueError: The file is no batch file, or is truncated.
    """
    try:
        content = load_arrays(read_bytes(path, LIMITS), LIMITS)
        if type(content) is not dict:
            raise ValueError(f'it holds a {type(content).__name__}, not a dict')
        # Copies that were saved after encoding='bytes' have keys of bytes.
        found = {
            key.decode('latin1') if isinstance(key, bytes) else key: value
            for key, value in content.items()
        }
        for key in ('data', label_key):
            if key not in found:
                raise ValueError(f'it has no {key!r}')
        labels, images = integers(found[label_key]), found['data']
        if labels is None or labels.ndim != 1:
            raise ValueError(f'{label_key!r} is no list of integers')
        if not isinstance(images, np.ndarray):
            raise ValueError(f"'data' is a {type(images).__name__}, not an array")
        if images.dtype != np.uint8 or images.shape != (len(labels), 3 * 32 * 32):
            raise ValueError(
                f'data {images.dtype} of shape {images.shape} for {len(labels)} labels'
            )
    except ValueError as error:
        raise ValueError(
            f'{path} is not a complete CIFAR batch with {label_key!r}: '
            f'{error}. Unpack the archive from {PAGE} again.'
        ) from error
    return labels, images


def read_numbered_list(
    table: str, folder: str, num_classes: int
) -> Tuple[List[str], np.ndarray]:
    """Read a list of images whose names are numbers in the original order.

    Args:
        table (str): File with rows ``00000.jpg 6`` in any order. Labels are
            0-based.
        folder (str): Folder of the images.
        num_classes (int): Number of classes.

    Returns:
        tuple[list[str], np.ndarray]: Paths and labels int64 (N,), in the
        order of the numbers.

    Raises:
        ValueError: The names are not the numbers from 0 to N - 1, or see
            :func:`~mmfer.datasets.lists.read_label_list`.
    """
    rows = read_label_list(
        table, num_classes, label_base=0, format='plain', by_path=True
    )
    found = [image_number(path) for path in rows.paths]
    numbers = [-1 if number is None else number for number in found]
    order = np.argsort(numbers, kind='stable')
    wrong = np.flatnonzero(np.take(numbers, order) != np.arange(len(rows)))
    if wrong.size:
        name = rows.paths[order[wrong[0]]]
        raise ValueError(
            f'{table}: its {len(rows)} images are not numbered from 0 to '
            f'{len(rows) - 1}, the order of the original batches, without a '
            f'gap: see {clipped(name)!r}. Complete the list; for images with other '
            'names, or for a part of them, use ImageList.'
        )
    paths = [join_listed(folder, rows.paths[row]) for row in order]
    return paths, rows.labels[order]
