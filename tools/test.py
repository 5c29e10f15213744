"""Test a model: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
from copy import deepcopy

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks.test_time_aug_hook import build_runner_with_tta

from mmfer.cli import (
    add_runner_arguments,
    build_runner,
    check_checkpoint_file,
    checkpoint_loading,
    finish_config,
    load_config,
    process_group,
    run_training_tool,
    with_preflight,
)
from mmfer.evaluation import check_results_file, dump_predictions


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a model')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='checkpoint to test')
    parser.add_argument(
        '--out',
        help='file for the results: predictions as .npz, metrics as .json or .yaml',
    )
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='content of the file --out: metrics, or predictions (default)',
    )
    parser.add_argument('--show-dir', help='folder for images with their predictions')
    parser.add_argument('--show', action='store_true', help='show results in a window')
    parser.add_argument('--interval', type=int, default=1, help='show every n-th image')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that each window stays'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='use test-time augmentation: that of the config (tta_pipeline and '
        'tta_model), or else the mean over an image and its mirror image',
    )
    add_runner_arguments(parser)
    args = parser.parse_args()
    if args.out_item is not None and args.out is None:
        parser.error('--out-item needs --out, the file to write to')
    if args.out is not None:
        try:
            check_results_file(args.out, args.out_item == 'metrics')
        except ValueError as error:
            parser.error(str(error))
    return args


def add_tta(cfg: Config) -> None:
    """Add the settings for test-time augmentation that the config lacks."""
    if 'tta_model' not in cfg:
        cfg.tta_model = dict(type='AverageUncertaintyTTA')
    if 'tta_pipeline' not in cfg:
        *steps, pack = deepcopy(cfg.test_dataloader.dataset.pipeline)
        flips = [
            dict(type='RandomFlip', prob=p, direction='horizontal') for p in (1.0, 0.0)
        ]
        cfg.tta_pipeline = [
            *steps,
            dict(type='TestTimeAug', transforms=[flips, [pack]]),
        ]


def merge_args(args: argparse.Namespace) -> Config:
    """Merge the command line into the config."""
    cfg = load_config(args.config, args)
    cfg.load_from = args.checkpoint
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir is not None:
        cfg.default_hooks.visualization.update(
            enable=True,
            show=args.show,
            wait_time=args.wait_time,
            out_dir=args.show_dir,
            interval=args.interval,
        )
    return finish_config(cfg, args)


def main() -> None:
    args = parse_args()
    check_checkpoint_file(args.checkpoint)
    cfg = merge_args(args)
    with process_group(cfg):
        test(cfg, args)


def test(cfg: Config, args: argparse.Namespace) -> None:
    """Predict, evaluate, and write the requested files."""
    if args.tta:
        add_tta(cfg)
        # This runner wraps the model after its weights are loaded.
        runner = with_preflight(build_runner_with_tta(cfg))
    else:
        runner = build_runner(cfg)
    if args.out and args.out_item != 'metrics':
        dump_predictions(runner.test_evaluator, args.out)
    with checkpoint_loading(args.checkpoint, args.trust_checkpoint):
        metrics = runner.test()
    if args.out and args.out_item == 'metrics' and is_main_process():
        mmengine.dump(metrics, args.out)


if __name__ == '__main__':
    run_training_tool(main)
