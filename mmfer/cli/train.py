"""Train a model: ``mmfer train CONFIG`` and ``tools/train.py``."""

import argparse
import os.path as osp

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmfer.analysis.predictions import read_predictions
from mmfer.engine.hooks.predictions import CURVE
from mmfer.engine.hooks.predictions import FILE_NAME as PREDICTIONS
from mmfer.engine.work_dir import claimed_work_dir
from mmfer.models.pretrained import check_pretrained
from mmfer.models.utils import unwrap_model

from .checkpoints import check_checkpoint_file, checkpoint_loading
from .common import (
    apply_init,
    build_runner,
    finish_config,
    load_training_config,
    preflight_of,
    process_group,
    run_training_tool,
    save_figure,
)
from .config_errors import config_errors


def run(args: argparse.Namespace) -> None:
    """Train a model, and show user errors without a traceback."""
    run_training_tool(lambda: train(args), args.verbose)


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


def train(args: argparse.Namespace) -> None:
    """Train a model.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.train`.

    Raises:
        SystemExit: The checkpoint cannot be loaded, or there is no such config.
    """
    if args.resume not in (None, 'auto'):
        check_checkpoint_file(args.resume)
    cfg = merge_args(args)
    said = apply_init(cfg, args)
    with (
        claimed_work_dir(cfg),
        process_group(cfg),
        checkpoint_loading(cfg.get('load_from'), args.trust_checkpoint),
        config_errors(cfg, args.cfg_options),
    ):
        runner = build_runner(cfg, args.verbose)
        if said:
            runner.logger.info(said)
        check_pretrained(unwrap_model(runner.model))
        # If an epoch has no batch, the schedules fail before any hook is called.
        preflight = preflight_of(runner)
        assert preflight is not None, 'build_runner adds a PreflightHook'
        preflight.check_training(runner)
        runner.train()
        draw_rejection_curve(runner)


def draw_rejection_curve(runner: Runner) -> None:
    """Draw ``rejection_curve.png`` from the predictions of the last validation.

    Args:
        runner (Runner): Runner after its training.
    """
    predictions = osp.join(runner.work_dir, PREDICTIONS)
    if not is_main_process() or not osp.isfile(predictions):
        return
    try:
        found = read_predictions(predictions)
    except ValueError:
        # A model without classes has no such curve.
        return
    # Matplotlib takes half a second to import.
    from mmfer.analysis.figures import rejection_figure

    name = osp.basename(osp.normpath(runner.work_dir))
    path = osp.join(runner.work_dir, CURVE)
    save_figure(rejection_figure({name: found}), path)
