"""Measure GAAVE's split and refactoring without a cleaning (a row of Table 3).

    python tools/benchmarks/split_only.py CONFIG --work-dir DIR

The tool trains a model on each refactored subset of the training set, with backbone,
schedule and seed of the config. Both models together predict the validation set by
Eq. 5; if it gives no label, they predict the most probable class. No label is cleaned.
The tool prints one line of JSON with the accuracy after the last epoch, in per cent.
For the other rows of the table, use ``GAAVEHook(split=..., annotate=...)``, see
configs/gaave. A killed run continues when it is started again.
"""

import argparse
import json
import os.path as osp
import sys
from contextlib import redirect_stdout

import numpy as np
from mmengine.dist import get_world_size, is_main_process
from mmengine.registry import init_default_scope

from mmfer.cli import (
    add_runner_arguments,
    build_runner,
    checkpoint_loading,
    finish_config,
    load_training_config,
    process_group,
    run_training_tool,
)
from mmfer.datasets import LabelView
from mmfer.engine.provenance import config_hash
from mmfer.engine.scoring import predict_view
from mmfer.engine.stages import fingerprint
from mmfer.engine.training import train_classifier
from mmfer.evaluation.functional import mean_class_accuracy
from mmfer.methods.gaave.annotation import predict_classes
from mmfer.methods.gaave.splitting import refactor, split_head_tail, subset_names
from mmfer.registry import DATASETS


def measure(cfg) -> dict:
    """Train both models, and return what the tool prints."""
    init_default_scope('mmfer')
    train_set, val_set = (
        DATASETS.build(cfg[name].dataset)
        for name in ('train_dataloader', 'val_dataloader')
    )
    classes = train_set.CLASSES
    labels = train_set.get_gt_labels()
    split = split_head_tail(np.bincount(labels, minlength=len(classes)))
    if not len(split.tail):
        raise SystemExit(
            'The classes are about equally large, so there is no tail to split off. '
            'Name a config with classes of different sizes.'
        )
    cfg.custom_hooks = []
    # The runner opens the log file and sets the seeds; it trains nothing.
    logger = build_runner(cfg).logger
    seed = cfg.get('randomness', {}).get('seed') or 0
    # Other settings, labels or processes lead to other folders.
    key = fingerprint(
        dict(config=config_hash(cfg), labels=labels, processes=get_world_size())
    )[:8]
    subsets = refactor(train_set.sample_ids, labels, split, seed)
    scores = []
    for side, subset in zip(subset_names(2), subsets):
        view = LabelView(
            train_set, subset.sample_ids, subset.labels, subset.num_classes
        )
        trained = train_classifier(
            cfg,
            view,
            subset.num_classes,
            osp.join(cfg.work_dir, f'{side}-{key}'),
            seed,
            f'Model of the {side}',
            logger,
        )
        asked = LabelView(
            val_set,
            val_set.sample_ids,
            np.zeros(len(val_set), dtype=np.int64),
            subset.num_classes,
        )
        scores.append(predict_view(trained.model, asked, cfg.val_dataloader)[1])
    predictions = predict_classes(*scores, split)
    # Scores are ordered by ascending sample id, so order the labels, too.
    truth = val_set.get_gt_labels()[val_set.sample_ids.argsort()]
    return dict(
        head=[classes[c] for c in split.head],
        tail=[classes[c] for c in split.tail],
        accuracy=round(100 * float((predictions == truth).mean()), 2),
        mean_class_accuracy=round(mean_class_accuracy(predictions, truth), 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    add_runner_arguments(parser)
    args = parser.parse_args()
    cfg = finish_config(load_training_config(args.config, args), args)
    with (
        redirect_stdout(sys.stderr),
        process_group(cfg),
        checkpoint_loading(None, args.trust_checkpoint),
    ):
        result = measure(cfg)
        first = is_main_process()
    if first:
        print(json.dumps(result))


if __name__ == '__main__':
    run_training_tool(main)
