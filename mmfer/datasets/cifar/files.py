"""Reading of CIFAR's batch files, and of lists of numbered image files."""

import pickle
from typing import Any, List, Tuple

import numpy as np

from mmfer.datasets.lists import image_number, read_label_list
from mmfer.utils.text_files import clipped
from mmfer.utils.text_tables import join_listed

PAGE = 'the CIFAR page of its authors (www.cs.toronto.edu/~kriz/cifar.html)'
"""Page that offers the archives, for messages."""


def _latin1_bytes(text: str, encoding: str = 'latin1') -> bytes:
    """Replace ``_codecs.encode``, with which pickles of protocol 2 make bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it asks for the codec {encoding!r}')
    return text.encode(encoding)


# Ask numpy which functions rebuild an array, because they moved between
# versions.
_ARRAY = np.zeros(1)
_BATCH_GLOBALS = {
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    ('numpy.core.multiarray', '_reconstruct'): _ARRAY.__reduce__()[0],
    ('numpy.core.numeric', '_frombuffer'): _ARRAY.__reduce_ex__(5)[0],
    ('_codecs', 'encode'): _latin1_bytes,
}


class BatchUnpickler(pickle.Unpickler):
    """Unpickler that can build only numpy arrays and containers, so it is safe."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the global of that name if a batch file needs it.

        Raises:
            UnpicklingError: The pickle asks for any other global.
        """
        # numpy 2 moved numpy.core to numpy._core.
        key = module.replace('numpy._core', 'numpy.core'), name
        if key not in _BATCH_GLOBALS:
            raise pickle.UnpicklingError(
                f'it asks for {module}.{name}, but a batch contains only '
                'arrays and lists'
            )
        return _BATCH_GLOBALS[key]


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
        with open(path, 'rb') as file:
            content = BatchUnpickler(file, encoding='latin1').load()
        # Copies that were saved after encoding='bytes' have keys of bytes.
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
    # A broken pickle can raise nearly any exception.
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
