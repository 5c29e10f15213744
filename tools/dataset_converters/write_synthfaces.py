"""Write drawn faces and lists of labels to files, as an example of own data.

    python tools/dataset_converters/write_synthfaces.py --out data/faces

The tool writes the files from which ``ImageList`` reads your own images:

- ``train/*.png`` and ``test/*.png``
- ``train.txt``, in which 30 % of the labels are wrong
- ``test.txt``, with right labels
- ``classes.txt``
- ``train_clean.txt``, the right labels of ``train.txt``, for comparison only
"""

import argparse

from mmfer.cli import run_tool
from mmfer.datasets.synthetic_faces.writing import (
    draw_faces,
    make_empty_folder,
    write_lists,
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', default='data/faces', help='a new folder')
    parser.add_argument('--train', type=int, default=4000, metavar='N')
    parser.add_argument('--test', type=int, default=1000, metavar='N')
    parser.add_argument('--size', type=int, default=48, help='in pixels')
    parser.add_argument(
        '--noise', type=float, default=0.3, help='share of wrong training labels'
    )
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    make_empty_folder(args.out)
    for split, count, noise in (
        ('train', args.train, args.noise),
        ('test', args.test, 0.0),
    ):
        dataset = draw_faces(split, count, args.size, noise, args.seed)
        write_lists(args.out, dataset, split)
        print(f'{args.out}/{split}: {count} images')


if __name__ == '__main__':
    run_tool(main)
