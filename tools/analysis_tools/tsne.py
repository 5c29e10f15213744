"""Plot the features of evaluation images in two dimensions, by t-SNE.

    python tools/analysis_tools/tsne.py CONFIG CHECKPOINT

A feature is the last feature map of the backbone, averaged over its positions.
The tool needs scikit-learn.
"""

import argparse

import numpy as np
import torch
from mmengine.config import DictAction
from mmengine.dataset import default_collate

from mmfer.analysis.figures import tsne_figure
from mmfer.analysis.runs import open_model
from mmfer.apis.images import in_chunks
from mmfer.cli import run_tool, save_figure
from mmfer.models.utils import as_map, last_feature
from mmfer.registry import DATASETS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of the training config')
    parser.add_argument('checkpoint', help='path of the weights')
    parser.add_argument(
        '--count',
        type=int,
        default=2000,
        help='largest number of images, drawn at random (default: 2000)',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of the config'
    )
    parser.add_argument('--out', default='tsne.png', help='file of the figure')
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    rng = np.random.default_rng(args.seed)
    chosen = np.sort(rng.permutation(len(dataset))[: args.count])
    features = []
    for chunk in in_chunks(chosen.tolist(), 128):
        data = model.data_preprocessor(default_collate([dataset[i] for i in chunk]))
        with torch.no_grad():
            maps = as_map(
                last_feature(model.extract_feat(data['inputs'], stage='backbone'))
            )
        features.append(maps.mean(dim=(2, 3)).cpu().numpy())
    save_figure(
        tsne_figure(
            np.concatenate(features),
            dataset.get_gt_labels()[chosen],
            dataset.metainfo['classes'],
            args.seed,
        ),
        args.out,
    )


if __name__ == '__main__':
    run_tool(main)
