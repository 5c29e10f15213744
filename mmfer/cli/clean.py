"""Clean labels with GAAVE: ``mmfer clean CONFIG`` and ``tools/clean_labels.py``."""

import argparse
import os
import os.path as osp
from typing import Callable, cast

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmfer.analysis.cleaning import (
    STAGES_FOLDER,
    build_training_set,
    check_list,
    claim_folder,
    cleaning_settings,
    how_to_train,
    take_gaave_options,
    warn_of_lost_classes,
    write_results,
    write_run_file,
)
from mmfer.datasets import pipeline_of
from mmfer.engine.own_data import take_all
from mmfer.engine.preflight import check_cleaning
from mmfer.engine.run_header import cleaning_header
from mmfer.engine.work_dir import claimed_work_dir
from mmfer.methods.gaave import GAAVE

from .checkpoints import checkpoint_loading
from .common import (
    apply_init,
    build_runner,
    finish_config,
    load_training_config,
    preflight_of,
    process_group,
    run_training_tool,
)
from .config_errors import config_errors


def run(args: argparse.Namespace) -> None:
    """Clean labels, and show user errors without a traceback."""
    run_training_tool(lambda: clean(args), args.verbose)


def clean_config(
    args: argparse.Namespace, cfg: Config, method: GAAVE, options: dict, said: str
) -> None:
    """Clean the training set of a config and write the results; log ``said``."""
    dataset = build_training_set(cfg)
    settings = cleaning_settings(args.config, cfg, options, dataset)
    # The process group may not exist yet.
    if int(os.environ.get('RANK', 0)) == 0:
        claim_folder(args.out, settings)
        check_list(dataset)
    # The runner provides log file, processes and seeds; it trains nothing.
    runner = build_runner(cfg, args.verbose)
    if said:
        runner.logger.info(said)
    # Reuse the data set instead of reading it a second time.
    runner._train_dataloader = dict(runner._train_dataloader, dataset=dataset)
    preflight = preflight_of(runner)
    assert preflight is not None, 'build_runner adds a PreflightHook'
    check_cleaning(runner, dataset, method.base, preflight.strict)
    preflight.check_training(runner)
    pipeline = cast(Callable, pipeline_of(runner.val_dataloader.dataset))
    runner.logger.info(cleaning_header(runner, dataset, args.out))
    stages = args.stages or osp.join(args.out, STAGES_FOLDER)
    label_decisions, record = method(cfg, dataset, pipeline, stages, runner.logger)
    warn_of_lost_classes(label_decisions, dataset, runner.logger)
    if is_main_process():
        found = write_results(args.out, label_decisions, record, dataset)
        write_run_file(args.out, dict(settings, list_settings=found))
        runner.logger.info(
            f'The results are in {args.out}, with a report in report.txt.\n'
            + how_to_train(args.out, found)
        )


def clean(args: argparse.Namespace) -> None:
    """Clean the labels of a training set.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.clean`.

    Raises:
        SystemExit: There is no such config.
        ValueError: The config or the folder cannot be used.
    """
    args.work_dir = args.out
    cfg = finish_config(load_training_config(args.config, args), args)
    if args.data is not None:
        take_all(cfg)
    options = take_gaave_options(cfg)
    if args.scores is not None:
        options['scores'] = args.scores
    method = GAAVE(**options)
    said = apply_init(cfg, args)
    with (
        claimed_work_dir(cfg),
        process_group(cfg),
        checkpoint_loading(None, args.trust_checkpoint),
        config_errors(cfg, args.cfg_options),
    ):
        clean_config(args, cfg, method, options, said)
