"""Plot the features of evaluation images in two dimensions, by t-SNE.

    python tools/analysis_tools/tsne.py CONFIG CHECKPOINT
    python tools/analysis_tools/tsne.py CONFIG1 CHECKPOINT1 CONFIG2 CHECKPOINT2

A feature is what the last layer classifies: the mean vector of RUL and ALUM, and the
pooled map of the backbone in other models. Several models, such as two methods or the
noise levels of one, are drawn side by side, with the same images. The tool needs
scikit-learn.
"""

import argparse
from pathlib import Path

import numpy as np
from mmengine.config import DictAction

from mmfer.analysis.features import classified_features, embed, tsne_figure
from mmfer.analysis.runs import distinct, open_model
from mmfer.cli import run_tool, save_figure
from mmfer.registry import DATASETS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'models',
        nargs='+',
        metavar='CONFIG CHECKPOINT',
        help='path of the training config and of the weights, for each model',
    )
    parser.add_argument(
        '--count',
        type=int,
        default=2000,
        help='largest number of images, drawn at random (default: 2000)',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--names', nargs='+', help='titles (default: of the configs)')
    parser.add_argument('--columns', type=int, help='panels side by side')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of all configs'
    )
    parser.add_argument('--out', default='tsne.png', help='file of the figure')
    args = parser.parse_args()
    configs, checkpoints = args.models[::2], args.models[1::2]
    if len(configs) != len(checkpoints):
        parser.error('give a checkpoint after each config: CONFIG CHECKPOINT ...')
    names = args.names or [Path(config).stem for config in configs]
    if len(names) != len(configs):
        parser.error(f'{len(names)} --names for {len(configs)} models: give one each.')
    points, first = {}, None
    rng = np.random.default_rng(args.seed)
    for name, config, checkpoint in zip(distinct(names), configs, checkpoints):
        cfg, model = open_model(config, checkpoint, args.cfg_options)
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        labels, classes = dataset.get_gt_labels(), dataset.metainfo['classes']
        if first is None:
            first = labels, classes
            chosen = np.sort(rng.permutation(len(dataset))[: args.count])
        elif not np.array_equal(labels, first[0]) or classes != first[1]:
            raise ValueError(
                f'{config} has other test images or classes than {configs[0]}, so '
                'their features cannot be compared. Name configs with one test set.'
            )
        features = classified_features(model, dataset, chosen.tolist())
        points[name] = embed(features, args.seed)
    assert first is not None
    figure = tsne_figure(points, first[0][chosen], first[1], args.columns)
    save_figure(figure, args.out)


if __name__ == '__main__':
    run_tool(main)
