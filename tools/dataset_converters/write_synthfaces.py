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
import os
import os.path as osp

from mmengine.registry import init_default_scope

from mmfer.cli import run_tool
from mmfer.datasets.lists import write_label_list
from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic, write_image


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
    if osp.exists(args.out) and os.listdir(args.out):
        raise ValueError(f'{args.out} is not empty; choose another --out.')
    init_default_scope('mmfer')
    for split, count in (('train', args.train), ('test', args.test)):
        dataset = DATASETS.build(
            dict(
                type='SyntheticFaces',
                split=split,
                num_samples=count,
                size=args.size,
                seed=args.seed,
                label_noise=dict(type='SymmetricNoise', rate=args.noise, seed=args.seed)
                if split == 'train'
                else None,
            )
        )
        dataset.full_init()
        os.makedirs(osp.join(args.out, split))
        names = []
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            names.append(f'{split}/{osp.basename(info["img_path"])}')
            write_image(osp.join(args.out, names[-1]), info['img'])
        lists = {split: dataset.get_gt_labels()}
        if split == 'train':
            lists['train_clean'] = dataset.clean_labels
        for name, labels in lists.items():
            write_label_list(
                osp.join(args.out, f'{name}.txt'), names, labels, by_path=True
            )
        print(f'{args.out}/{split}: {count} images')
    classes = '\n'.join(dataset.metainfo['classes'])
    write_atomic(osp.join(args.out, 'classes.txt'), f'{classes}\n'.encode())


if __name__ == '__main__':
    run_tool(main)
