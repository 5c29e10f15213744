"""Turn a label set of CIFAR-10N or CIFAR-100N into a plain list.

    python tools/dataset_converters/convert_cifar_n.py SRC DST --key KEY

``SRC`` is the published ``CIFAR-10_human.pt`` or ``CIFAR-100_human.pt``, a
dict of numpy arrays saved by torch, in the order of the original training
batches. ``KEY`` chooses the labels: ``aggre_label``, ``random_label1`` to
``random_label3`` or ``worse_label`` (CIFAR-10N), ``noisy_label``
(CIFAR-100N). ``DST`` gets a row ``index label`` for every image and is what
``NoisyCIFAR10(noisy_list=DST)`` reads.

The file is loaded without running anything that is in it.
"""

import argparse
import hashlib
import io
import os
import os.path as osp
import pickle
import sys
from typing import Dict, List, Optional

import numpy as np
import torch

from mmfer.utils.files import write_atomic

INTEGERS = ('int8', 'int16', 'int32', 'int64', 'uint8')


def numpy_globals() -> list:
    """What torch's safe loader needs to know to make integer arrays."""
    # numpy says itself what an array is made by: the function has moved.
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
    """The label sets of a published file.

    Args:
        data (bytes): Its contents.

    Returns:
        dict[str, np.ndarray]: int64 (N, ) by key.

    Raises:
        ValueError: It cannot be loaded safely, or holds something else.
    """
    try:
        with torch.serialization.safe_globals(numpy_globals()):
            content = torch.load(
                io.BytesIO(data), map_location='cpu', weights_only=True
            )
    except pickle.UnpicklingError:
        # torch's own message advises to load such a file regardless.
        raise ValueError(
            'it holds something else than arrays of integers, and loading '
            'that could run code. Download CIFAR-10_human.pt or '
            'CIFAR-100_human.pt from its publisher again.'
        ) from None
    # Loading what torch did not save can raise nearly anything.
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
    """Rows ``index label`` below a line that says where they come from.

    Args:
        labels (np.ndarray): int (N, ), in the original order.
        source (str): One line.
    """
    rows = ''.join(f'{i} {label}\n' for i, label in enumerate(labels.tolist()))
    return f'# {source}\n{rows}'


def convert(args: argparse.Namespace) -> None:
    """Load, choose, check, write, report."""
    if not osp.isfile(args.src):
        raise ValueError('there is no such file. Download it from its publisher first.')
    if osp.exists(args.dst) and osp.samefile(args.src, args.dst):
        raise ValueError('it would overwrite itself: choose another DST.')
    with open(args.src, 'rb') as file:
        data = file.read()
    label_sets = load_label_sets(data)
    if args.key not in label_sets:
        raise ValueError(
            f'it has no {args.key!r}. Choose --key from {", ".join(label_sets)}.'
        )
    labels = label_sets[args.key]
    if labels.min() < 0:
        raise ValueError(
            f'{args.key!r} has the label {labels.min()}; they count from 0.'
        )
    digest = hashlib.sha256(data).hexdigest()
    text = format_list(
        labels, f'{args.key} of {osp.basename(args.src)}, sha256 {digest}'
    )
    write_atomic(args.dst, text.encode())
    print(f'{args.dst}: {len(labels)} labels')
    clean = label_sets.get('clean_label')
    if clean is not None and clean.shape == labels.shape:
        print(f'wrong labels: {(clean != labels).mean():.4f}')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Turn a label set of CIFAR-N into a plain list'
    )
    parser.add_argument('src', metavar='SRC', help='the published file')
    parser.add_argument('dst', metavar='DST', help='the list to write')
    parser.add_argument('--key', required=True, help='which labels, e.g. worse_label')
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    try:
        convert(args)
    except (ValueError, OSError) as error:
        sys.stdout.flush()
        raise SystemExit(
            f'{args.src}: {error}{os.linesep}Nothing was written.'
        ) from None


if __name__ == '__main__':
    main()
