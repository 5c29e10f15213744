"""Turn a label set of CIFAR-10N or CIFAR-100N into a plain list.

    python tools/dataset_converters/convert_cifar_n.py SRC DST --key KEY

``SRC`` is the published ``CIFAR-10_human.pt`` or ``CIFAR-100_human.pt``: a dict of
numpy arrays that torch saved, in the order of the original training batches. ``KEY``
chooses the labels: ``aggre_label``, ``random_label1`` to ``random_label3`` or
``worse_label`` (CIFAR-10N), ``noisy_label`` (CIFAR-100N). ``DST`` gets a row
``index label`` for every image; ``NoisyCIFAR10(noisy_list=DST)`` reads it.

The file is loaded safely: no code in it is run.
"""

import argparse
import hashlib
import os
import os.path as osp
import sys
from typing import List, Optional

from mmfer.datasets.cifar.human_labels import format_list, load_label_sets
from mmfer.utils.files import write_atomic
from mmfer.utils.safe_pickle import read_bytes


def convert(args: argparse.Namespace) -> None:
    """Load the file, choose and check the labels, write them, report."""
    if not osp.isfile(args.src):
        raise ValueError('there is no such file. Download it from its publisher first.')
    if osp.exists(args.dst) and osp.samefile(args.src, args.dst):
        raise ValueError('it would overwrite itself: choose another DST.')
    data = read_bytes(args.src)
    label_sets = load_label_sets(data)
    if args.key not in label_sets:
        raise ValueError(
            f'it has no {args.key!r}. Choose --key from {", ".join(label_sets)}.'
        )
    labels = label_sets[args.key]
    if labels.min() < 0:
        raise ValueError(
            f'{args.key!r} has the label {labels.min()}, but labels start at 0.'
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
    parser.add_argument(
        '--key', required=True, help='name of the labels, e.g. worse_label'
    )
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
