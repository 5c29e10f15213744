"""Measure how well planted wrong labels are found and corrected.

    python tools/benchmarks/label_cleaning.py figures TABLE [TABLE ...]
    python tools/benchmarks/label_cleaning.py control TABLE --out NEW_TABLE
    python tools/benchmarks/label_cleaning.py cleanlab CONFIG --out NEW_DIR \\
        --like CLEANED/record.json

A TABLE is a ``sample_scores.csv`` with decisions and clean labels, as
``tools/clean_labels.py`` writes it for a config with ``label_noise``.

- ``figures`` prints how well wrong labels are detected, and how the decisions change
  wrong and right labels, for all samples and for each class.
- ``control`` writes a table that drops the same number of samples as TABLE, but at
  random. A run on it (``train_dataloader.dataset.decisions=NEW_TABLE``) shows the
  effect of fewer samples alone.
- ``cleanlab`` makes decisions with cleanlab (``pip install mmfer[cleanlab]``). Each
  sample is predicted by a model that was trained on the other folds. The backbone,
  the recipe and the choice of an epoch are those of GAAVE. With ``--like``, the number
  of image passes is also that of GAAVE, rounded to whole epochs. A killed run resumes.
"""

import argparse
import os.path as osp

from mmengine.registry import init_default_scope

from mmfer.analysis.benchmarks import cleanlab_labels, label_cleaning
from mmfer.cli import (
    add_runner_arguments,
    build_runner,
    checkpoint_loading,
    finish_config,
    load_training_config,
    run_training_tool,
)
from mmfer.score_table import FILE_NAME, write_score_table


def figures(args: argparse.Namespace) -> None:
    """Print how well several cleanings find and correct wrong labels."""
    names = [osp.basename(osp.dirname(osp.abspath(p))) for p in args.tables]
    names = args.tables if len(set(names)) < len(names) else names
    tables = [
        label_cleaning.with_candidates(label_cleaning.read_clean_table(path))
        for path in args.tables
    ]
    print(label_cleaning.figures(dict(zip(names, tables))))


def control(args: argparse.Namespace) -> None:
    """Write a table that drops equally many samples at random."""
    if osp.exists(args.out):
        raise SystemExit(f'{args.out} already exists; choose another --out.')
    table = label_cleaning.read_clean_table(args.table)
    table = label_cleaning.control_table(table, args.seed)
    write_score_table(args.out, table)
    dropped = table['decision'] == 'drop'
    print(f'{args.out}: {dropped.sum()} of {len(dropped)} samples dropped at random.')


def cleanlab(args: argparse.Namespace) -> None:
    """Let cleanlab decide about the labels, and write its score table."""
    if args.launcher != 'none':
        raise SystemExit('cleanlab runs in one process: omit --launcher.')
    args.work_dir = args.out
    cfg = finish_config(load_training_config(args.config, args), args)
    if osp.isfile(f'{args.out}/run.json'):
        raise SystemExit(f'{args.out} has results of clean_labels; use another --out.')
    init_default_scope('mmfer')
    cfg, train_set, test_set = cleanlab_labels.models_and_data(cfg)
    count, epochs = len(train_set.sample_ids), args.epochs
    if args.like:
        epochs = cleanlab_labels.epochs_like(args.like, count, args.folds)
    cleanlab_labels.rescale(cfg, epochs)
    # The runner opens the log file and sets the seeds; it trains nothing.
    logger = build_runner(cfg).logger
    logger.info(
        f'{args.folds} folds, {epochs} epochs each: '
        f'{epochs * (args.folds - 1) * count} image passes'
    )
    with checkpoint_loading(None, args.trust_checkpoint):
        scores = cleanlab_labels.out_of_sample_scores(
            cfg, train_set, test_set, args.out, args.folds, logger
        )
    table = cleanlab_labels.issue_table(train_set, scores)
    write_score_table(osp.join(args.out, FILE_NAME), table, train_set.CLASSES)
    logger.info(f'{table["candidate"].sum()} issues, see {args.out}/{FILE_NAME}')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser('figures')
    command.add_argument('tables', nargs='+')
    command.set_defaults(run=figures)
    command = commands.add_parser('control')
    command.add_argument('table')
    command.add_argument('--out', required=True)
    command.add_argument('--seed', type=int, default=0)
    command.set_defaults(run=control)
    command = commands.add_parser('cleanlab')
    command.add_argument('config')
    command.add_argument('--out', required=True)
    command.add_argument('--folds', type=int, default=3)
    command.add_argument('--epochs', type=int, default=10)
    command.add_argument('--like', help='record.json of a cleaning to match')
    add_runner_arguments(command)
    command.set_defaults(run=cleanlab)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    args.run(args)


if __name__ == '__main__':
    run_training_tool(main)
