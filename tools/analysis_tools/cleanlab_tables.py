"""Convert between sample-score tables and cleanlab's tables.

    python tools/analysis_tools/cleanlab_tables.py export sample_scores.csv \\
        --out label_issues.csv
    python tools/analysis_tools/cleanlab_tables.py import CONFIG \\
        label_issues.csv --out sample_scores.csv --decision drop
    python tools/analysis_tools/cleanlab_tables.py pred-probs CONFIG \\
        CHECKPOINT --out pred_probs.npz

- ``export`` writes a table as cleanlab's ``Datalab.get_issues('label')``
  returns it.
- ``import`` reads such a table (``issues.to_csv('label_issues.csv')``) and
  writes one for ``train_dataloader.dataset.decisions``.
- ``pred-probs`` writes ``pred_probs`` (N, C), ``labels`` (N,) and ``sample_id``
  in cleanlab's order, for
  ``cleanlab.filter.find_label_issues(labels, pred_probs)``. cleanlab needs
  predictions of models that have not seen the images, but this model was trained
  on them and may have memorised their labels. So train on parts
  (``train_dataloader.dataset.indices``), or use
  ``tools/benchmarks/label_cleaning.py cleanlab``.
"""

import argparse
import io

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmfer.analysis.label_issues import from_label_issues, to_label_issues
from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool
from mmfer.datasets import unaugmented
from mmfer.engine.scoring import predict_samples
from mmfer.registry import DATASETS
from mmfer.score_table import FILE_NAME, read_score_table, write_score_table
from mmfer.utils.files import write_atomic


def export(args: argparse.Namespace) -> None:
    """Write a sample-score table as cleanlab's table."""
    table = read_score_table(args.table)
    write_atomic(args.out, to_label_issues(table))
    print(f'{args.out}: {len(table["sample_id"])} samples')


def import_issues(args: argparse.Namespace) -> None:
    """Write cleanlab's table as a sample-score table."""
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope('mmfer')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.full_init()
    table = from_label_issues(args.table, dataset, args.decision)
    write_score_table(args.out, table, dataset.CLASSES)
    changed = (table['decision'] != 'keep').sum()
    print(
        f'{args.out}: {len(dataset)} samples, {changed} of them with the decision '
        f'{args.decision}. To train on them, use --cfg-options '
        f'train_dataloader.dataset.decisions={args.out}'
    )


def pred_probs(args: argparse.Namespace) -> None:
    """Write the probabilities that a model predicts for its training images."""
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    dataset = unaugmented(
        DATASETS.build(cfg.train_dataloader.dataset),
        DATASETS.build(cfg.val_dataloader.dataset).pipeline,
    )
    result = predict_samples(model, dataset, cfg.val_dataloader)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        sample_id=result['sample_id'],
        pred_probs=result['pred_score'],
        labels=dataset.given_labels[result['sample_id']],
    )
    write_atomic(args.out, buffer.getvalue())
    print(f'{args.out}: pred_probs of {len(result["sample_id"])} samples')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser('export', help="write cleanlab's table")
    command.add_argument('table', help='sample_scores.csv')
    command.add_argument('--out', default='label_issues.csv', help='file to write')
    command.set_defaults(run=export)
    command = commands.add_parser('import', help='write a sample-score table')
    command.add_argument('config', help='config of the data set')
    command.add_argument('table', help='CSV file of label issues')
    command.add_argument(
        '--decision',
        choices=('drop', 'relabel'),
        default='drop',
        help='decision about label issues (default: drop)',
    )
    command.add_argument('--cfg-options', nargs='+', action=DictAction)
    command.add_argument('--out', default=FILE_NAME, help='file to write')
    command.set_defaults(run=import_issues)
    command = commands.add_parser('pred-probs', help='write predicted probabilities')
    command.add_argument('config', help='path of the training config')
    command.add_argument('checkpoint', help='path of the weights')
    command.add_argument('--cfg-options', nargs='+', action=DictAction)
    command.add_argument('--out', default='pred_probs.npz', help='file to write')
    command.set_defaults(run=pred_probs)
    args = parser.parse_args()
    args.run(args)


if __name__ == '__main__':
    run_tool(main)
