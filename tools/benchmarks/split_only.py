"""Dataset splitting and subset refactoring alone: a row of GAAVE's Table 3.

    python tools/benchmarks/split_only.py CONFIG --work-dir DIR

Trains a model on each refactored subset of the training set, with backbone,
schedule and seed of the config, and predicts the validation set with both:
Eq. 5, and where it gives no label, the likeliest class. No label is judged.
Prints one line of JSON with the accuracy of the last epoch, in per cent. The
other rows are ``GAAVEHook(split=..., annotate=...)``, see configs/gaave. A run
that was killed goes on where it was.
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
            'The classes are about equally large: there is nothing to split.'
        )
    cfg.custom_hooks = []
    # For its log file and its seeds; nothing is trained by it.
    logger = build_runner(cfg).logger
    seed = cfg.get('randomness', {}).get('seed') or 0
    # What another run left in the work dir is not taken for this one's.
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
    # By ascending sample id, as the scores.
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
    main()
