"""Reading of the published label sets of CIFAR-10N and CIFAR-100N."""

import io
import pickle
from typing import Dict

import numpy as np
import torch

INTEGERS = ('int8', 'int16', 'int32', 'int64', 'uint8')


def numpy_globals() -> list:
    """Return the globals that torch's safe loader needs for integer arrays."""
    # Take the function from an array, because numpy has moved it to another
    # module.
    reconstruct = np.zeros(1).__reduce__()[0]
    dtypes = {type(np.dtype(name)) for name in INTEGERS}
    return [
        np.ndarray,
        np.dtype,
        *dtypes,
        (reconstruct, 'numpy.core.multiarray._reconstruct'),
        (reconstruct, 'numpy._core.multiarray._reconstruct'),
    ]


def load_label_sets(data: bytes) -> Dict[str, np.ndarray]:
    """Load the label sets of a published file.

    Args:
        data (bytes): Content of the file.

    Returns:
        dict[str, np.ndarray]: int64 (N, ) by key.

    Raises:
        ValueError: The file cannot be loaded safely, or has no label sets.
    """
    try:
        with torch.serialization.safe_globals(numpy_globals()):
            content = torch.load(
                io.BytesIO(data), map_location='cpu', weights_only=True
            )
    except pickle.UnpicklingError:
        # Hide torch's message: it advises to load such a file without checks.
        raise ValueError(
            'it contains objects other than arrays of integers, and loading '
            'them could run code. Download CIFAR-10_human.pt or '
            'CIFAR-100_human.pt from its publisher again.'
        ) from None
    # A file that torch did not write can raise nearly any error.
    except Exception as error:
        raise ValueError(
            f'it is not a whole torch file ({type(error).__name__}). Download '
            'it from its publisher again.'
        ) from error
    found = {}
    for key, value in content.items() if isinstance(content, dict) else ():
        value = np.asarray(value)
        if value.dtype.kind in 'iu' and value.ndim == 1 and value.size:
            found[str(key)] = value.astype(np.int64)
    if not found:
        raise ValueError(
            f'it holds a {type(content).__name__} without label arrays, '
            'where CIFAR-N has a dict of them. Is it CIFAR-10_human.pt or '
            'CIFAR-100_human.pt?'
        )
    return found


def format_list(labels: np.ndarray, source: str) -> str:
    """Format rows ``index label`` below a comment that names their source.

    Args:
        labels (np.ndarray): Labels in the original order, int (N, ).
        source (str): One line about the source.
    """
    rows = ''.join(f'{i} {label}\n' for i, label in enumerate(labels.tolist()))
    return f'# {source}\n{rows}'
