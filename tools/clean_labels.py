"""Clean the labels of a training set with GAAVE, and write the results to files.

    python tools/clean_labels.py CONFIG --out DIR

CONFIG is any training config. GAAVE's models use its backbone, schedule and seed. If
it has a GAAVEHook, GAAVE uses the options of this hook. The data set is not changed.
The tool writes these files to DIR:

- ``sample_scores.csv``: every sample with its measurements and its decision. To
  train on it:
  ``--cfg-options train_dataloader.dataset.decisions=DIR/sample_scores.csv``
- ``cleaned_list.txt`` or ``.csv``: the images that are not dropped with their new
  labels, in the data set's own format, ready for training. ``run.json`` and the last
  lines of the log state the settings with which the data set reads it
- ``report.txt``: human-readable report of the cleaning
- ``attack_steps.png``: histograms of survived steps, divided by the thresholds
- ``record.json``: subsets, histograms, thresholds and base models
- ``run.json``: config, options and versions

A killed run continues when it is started again. Results are known by the contents of
the images: copied images need no new run, changed ones do.
"""

import argparse
import os
import os.path as osp

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmfer import cli
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
from mmfer.engine.preflight import check_cleaning
from mmfer.engine.work_dir import claimed_work_dir
from mmfer.methods.gaave import GAAVE


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a training config')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--stages',
        help='folder of the stages (default: OUT/cleaning); runs with different '
        'options can share it, and then repeat only the stages that differ',
    )
    cli.add_runner_arguments(parser)
    return parser.parse_args()


def clean(args: argparse.Namespace, cfg: Config, method: GAAVE, options: dict) -> None:
    """Clean the training set of a config and write the results."""
    dataset = build_training_set(cfg)
    settings = cleaning_settings(args.config, cfg, options, dataset)
    # The process group may not exist yet.
    if int(os.environ.get('RANK', 0)) == 0:
        claim_folder(args.out, settings)
        check_list(dataset)
    # The runner provides log file, processes and seeds; it trains nothing.
    runner = cli.build_runner(cfg)
    # Reuse the data set instead of reading it a second time.
    runner._train_dataloader = dict(runner._train_dataloader, dataset=dataset)
    preflight = cli.preflight_of(runner)
    assert preflight is not None, 'build_runner adds a PreflightHook'
    check_cleaning(runner, dataset, method.base, preflight.strict)
    preflight.check_training(runner)
    pipeline = pipeline_of(runner.val_dataloader.dataset)
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


def main() -> None:
    args = parse_args()
    args.work_dir = args.out
    cfg = cli.finish_config(cli.load_training_config(args.config, args), args)
    options = take_gaave_options(cfg)
    method = GAAVE(**options)
    with (
        claimed_work_dir(cfg),
        cli.process_group(cfg),
        cli.checkpoint_loading(None, args.trust_checkpoint),
    ):
        clean(args, cfg, method, options)


if __name__ == '__main__':
    cli.run_training_tool(main)
