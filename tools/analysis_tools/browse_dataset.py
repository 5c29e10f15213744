"""Show images after the training pipeline, with their labels.

    python tools/analysis_tools/browse_dataset.py CONFIG

Each row of the figure shows one image that went through the pipeline several
times. If label noise has changed its label, the clean label is below the given one.
"""

import argparse

import numpy as np
from mmengine.config import DictAction
from mmengine.registry import init_default_scope

from mmfer.analysis.figures import browse_figure
from mmfer.analysis.runs import read_named_config
from mmfer.cli import run_tool, save_figure
from mmfer.registry import DATASETS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a training config')
    parser.add_argument('--count', type=int, default=8, help='number of images')
    parser.add_argument('--times', type=int, default=6, help='copies of each image')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--split',
        choices=('train', 'val', 'test'),
        default='train',
        help='split of the data set (default: train)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of the config'
    )
    parser.add_argument(
        '--out', default='browse_dataset.png', help='file of the figure'
    )
    args = parser.parse_args()
    cfg = read_named_config(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope('mmfer')
    dataset = DATASETS.build(dict(cfg[f'{args.split}_dataloader'].dataset))
    dataset.full_init()
    rng = np.random.default_rng(args.seed)
    chosen = rng.permutation(len(dataset))[: args.count]
    names = dataset.metainfo['classes']
    images, labels = [], []
    for i in chosen:
        row = []
        for time in range(args.times):
            dataset.set_random_state(args.seed, time)
            row.append(dataset[i]['inputs'].numpy().transpose(1, 2, 0))
        images.append(row)
        info = dataset.get_data_info(i)
        text = names[info['gt_label']]
        clean = dataset.clean_labels
        if clean is not None and clean[info['sample_id']] != info['gt_label']:
            text += f'\n(is {names[clean[info["sample_id"]]]})'
        labels.append(text)
    save_figure(browse_figure(images, labels), args.out)


if __name__ == '__main__':
    run_tool(main)
