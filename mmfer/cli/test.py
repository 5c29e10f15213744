"""Test a model: ``mmfer test CONFIG CHECKPOINT`` and ``tools/test.py``."""

import argparse
from copy import deepcopy

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks.test_time_aug_hook import PrepareTTAHook

from mmfer.evaluation import check_results_file, dump_predictions

from .checkpoints import check_checkpoint_file, checkpoint_loading
from .common import (
    build_runner,
    finish_config,
    load_config,
    process_group,
    run_training_tool,
)
from .config_errors import config_errors


def run(args: argparse.Namespace) -> None:
    """Test a model, and show user errors without a traceback."""
    run_training_tool(lambda: test(args), args.verbose)


def test(args: argparse.Namespace) -> None:
    """Test a model.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.test`.

    Raises:
        SystemExit: The checkpoint cannot be loaded, or there is no such config.
        ValueError: The file for the results has another format.
    """
    if args.out_item is not None and args.out is None:
        raise SystemExit('--out-item needs --out, the file to write to')
    if args.out is not None:
        check_results_file(args.out, args.out_item == 'metrics')
    check_checkpoint_file(args.checkpoint)
    cfg = merge_args(args)
    with process_group(cfg), config_errors(cfg, args.cfg_options):
        run_test(cfg, args)


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


def run_test(cfg: Config, args: argparse.Namespace) -> None:
    """Predict, evaluate, and write the requested files."""
    if args.tta:
        add_tta(cfg)
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    runner = build_runner(cfg, args.verbose)
    if args.tta:
        # This hook wraps the model after its weights are loaded.
        runner.register_hook(PrepareTTAHook(tta_cfg=cfg.tta_model))
    if args.out and args.out_item != 'metrics':
        dump_predictions(runner.test_evaluator, args.out)
    with checkpoint_loading(args.checkpoint, args.trust_checkpoint):
        metrics = runner.test()
    if args.out and args.out_item == 'metrics' and is_main_process():
        mmengine.dump(metrics, args.out)
