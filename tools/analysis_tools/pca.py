"""Plot the features of two classes by PCA, with the samples that GAAVE suspects.

    python tools/analysis_tools/pca.py CONFIG CHECKPOINT sample_scores.csv \\
        --classes neutral anger

The images are training images without augmentation. A feature is the last feature map
of the backbone, averaged over its positions. The table comes from ``mmfer clean``, or
from a run with a GAAVEHook. Triangles are wrong labels, if the data set knows them.
"""

import argparse

import numpy as np
import torch
from mmengine.config import DictAction
from mmengine.dataset import default_collate

from mmfer.analysis.attackable import (
    attackable_figure,
    draw_two_classes,
    principal_components,
)
from mmfer.analysis.class_names import class_numbers
from mmfer.analysis.cleaning import build_training_set, read_label_decisions
from mmfer.analysis.runs import open_model
from mmfer.apis.images import in_chunks
from mmfer.cli import run_tool, save_figure
from mmfer.datasets import pipeline_of, unaugmented
from mmfer.models.utils import as_map, last_feature
from mmfer.registry import DATASETS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of the training config')
    parser.add_argument('checkpoint', help='path of the weights')
    parser.add_argument('table', help='sample_scores.csv with the columns of GAAVE')
    parser.add_argument(
        '--classes',
        nargs=2,
        required=True,
        metavar=('A', 'B'),
        help='names or numbers of two classes',
    )
    parser.add_argument(
        '--count',
        type=int,
        default=440,
        help='largest number of images, drawn at random (default: 440)',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides of the config'
    )
    parser.add_argument('--out', default='pca.png', help='file of the figure')
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    train_set = build_training_set(cfg)
    pipeline = pipeline_of(DATASETS.build(cfg.val_dataloader.dataset))
    decisions = read_label_decisions(args.table)
    names = train_set.CLASSES
    rows = draw_two_classes(
        decisions.given_label, class_numbers(args.classes, names), args.count, args.seed
    )
    ids, labels = decisions.sample_id[rows], decisions.given_label[rows]
    images = unaugmented(train_set, pipeline)
    positions = np.argsort(images.sample_ids)[
        np.searchsorted(np.sort(images.sample_ids), ids)
    ]
    features = []
    for chunk in in_chunks(positions.tolist(), 128):
        data = model.data_preprocessor(default_collate([images[i] for i in chunk]))
        with torch.no_grad():
            maps = as_map(
                last_feature(model.extract_feat(data['inputs'], stage='backbone'))
            )
        features.append(maps.mean(dim=(2, 3)).cpu().numpy())
    wrong = None
    if train_set.clean_labels is not None:
        wrong = train_set.clean_labels[ids] != labels
    points = principal_components(np.concatenate(features))
    figure = attackable_figure(points, labels, decisions.candidate[rows], names, wrong)
    save_figure(figure, args.out)


if __name__ == '__main__':
    run_tool(main)
