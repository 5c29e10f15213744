"""Go between our tables and cleanlab's.

    python tools/analysis_tools/cleanlab_tables.py export sample_scores.csv \\
        --out label_issues.csv
    python tools/analysis_tools/cleanlab_tables.py import CONFIG \\
        label_issues.csv --out sample_scores.csv --decision drop
    python tools/analysis_tools/cleanlab_tables.py pred-probs CONFIG \\
        CHECKPOINT --out pred_probs.npz

``export`` writes a table as cleanlab's ``Datalab.get_issues('label')`` has it.
``import`` reads one (``issues.to_csv('label_issues.csv')``) and writes a table
for ``train_dataloader.dataset.decisions``. ``pred-probs`` writes
``pred_probs`` (N, C) and ``labels`` (N, ), in cleanlab's order, with
``sample_id``, for ``cleanlab.filter.find_label_issues(labels, pred_probs)``.
These are predictions for the images that the model was trained on, which it
may know by heart; cleanlab asks for ones of models that have not seen them:
train on parts (``train_dataloader.dataset.indices``), or let
``tools/benchmarks/label_cleaning.py cleanlab`` do it.
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
from mmfer.datasets.decisions import read_score_rows
from mmfer.engine.hooks.sample_scores import format_table
from mmfer.engine.scoring import predict_samples
from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic


def export(args: argparse.Namespace) -> None:
    rows = read_score_rows(args.table)
    write_atomic(args.out, to_label_issues(rows))
    print(f'{args.out}: {len(rows)} samples')


def bring_in(args: argparse.Namespace) -> None:
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope('mmfer')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.full_init()
    rows = from_label_issues(args.table, dataset, args.decision)
    write_atomic(args.out, format_table(rows))
    changed = sum(row['decision'] != 'keep' for row in rows)
    print(
        f'{args.out}: {len(rows)} samples, {args.decision} {changed}. Train '
        f'with --cfg-options train_dataloader.dataset.decisions={args.out}'
    )


def pred_probs(args: argparse.Namespace) -> None:
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
    command = commands.add_parser('export')
    command.add_argument('table')
    command.add_argument('--out', default='label_issues.csv')
    command.set_defaults(run=export)
    command = commands.add_parser('import')
    command.add_argument('config')
    command.add_argument('table')
    command.add_argument(
        '--decision',
        choices=('drop', 'relabel'),
        default='drop',
        help='what is done with issues',
    )
    command.add_argument('--cfg-options', nargs='+', action=DictAction)
    command.add_argument('--out', default='sample_scores.csv')
    command.set_defaults(run=bring_in)
    command = commands.add_parser('pred-probs')
    command.add_argument('config')
    command.add_argument('checkpoint')
    command.add_argument('--cfg-options', nargs='+', action=DictAction)
    command.add_argument('--out', default='pred_probs.npz')
    command.set_defaults(run=pred_probs)
    args = parser.parse_args()
    args.run(args)


if __name__ == '__main__':
    run_tool(main)
