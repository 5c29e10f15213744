"""Train a model: ``python tools/train.py CONFIG [--noise symmetric:0.3]``."""

import argparse

from mmengine.config import Config

from mmfer.cli import (
    add_runner_arguments,
    add_variant_arguments,
    build_runner,
    check_checkpoint_file,
    checkpoint_loading,
    finish_config,
    load_training_config,
    preflight_of,
    process_group,
    run_training_tool,
)
from mmfer.engine.work_dir import claimed_work_dir
from mmfer.models.pretrained import check_pretrained
from mmfer.models.utils import unwrap_model


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='path of the training config')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint; without a path, from the latest one '
        'in the work dir',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size',
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start new workers of the data loaders in each epoch',
    )
    add_variant_arguments(parser)
    add_runner_arguments(parser)
    return parser.parse_args()


def merge_args(args: argparse.Namespace) -> Config:
    """Merge the command line into the config."""
    cfg = load_training_config(args.config, args)
    if args.no_validate:
        cfg.val_cfg = None
        cfg.val_dataloader = None
        cfg.val_evaluator = None
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    return finish_config(cfg, args, not args.no_persistent_workers)


def main() -> None:
    args = parse_args()
    if args.resume not in (None, 'auto'):
        check_checkpoint_file(args.resume)
    cfg = merge_args(args)
    with (
        claimed_work_dir(cfg),
        process_group(cfg),
        checkpoint_loading(cfg.get('load_from'), args.trust_checkpoint),
    ):
        runner = build_runner(cfg)
        check_pretrained(unwrap_model(runner.model))
        # If an epoch has no batch, the schedules fail before any hook is called.
        preflight_of(runner).check_training(runner)
        runner.train()


if __name__ == '__main__':
    run_training_tool(main)
