"""Reading of the published label sets of CIFAR-10N and CIFAR-100N."""

from typing import Dict

import numpy as np
import torch

from mmfer.utils.safe_pickle import ForeignObject, PickleError, integers, load_torch


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
        content = load_torch(data)
    except ForeignObject as error:
        raise ValueError(
            'it contains objects other than arrays of integers, and loading '
            f'them could run code: {error}. Download CIFAR-10_human.pt or '
            'CIFAR-100_human.pt from its publisher again.'
        ) from None
    except PickleError as error:
        raise ValueError(
            f'it is not a whole torch file: {error}. Download it from its '
            'publisher again.'
        ) from None
    found = {}
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, torch.Tensor) and value.dtype != torch.bfloat16:
            value = value.numpy()
        labels = integers(value)
        if labels is not None and labels.ndim == 1 and labels.size:
            found[key if isinstance(key, str) else repr(key)] = labels
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
