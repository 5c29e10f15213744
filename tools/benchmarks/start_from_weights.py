"""Measure what initial weights change on FERPlus with 30 % of wrong labels.

``python tools/benchmarks/start_from_weights.py`` trains cross-entropy and ReSup, each
from random and from ImageNet weights (``--init pretrained``), under one schedule. The
runs share one seed, and see a third of the images. Finished runs are not repeated, and
stopped runs continue, so the tool can be killed and started as often as needed.

``docs/results/start_from_weights.csv`` has the results of the finished runs; then
``python tools/docs/render_tables.py`` renders them into ``docs/tasks/weights.md``.
"""

import argparse
import sys
from pathlib import Path
from typing import List, Optional

from mmfer.analysis.benchmarks.start_from_weights import (
    METRICS,
    STARTS,
    as_csv,
    plan,
    table,
)
from mmfer.analysis.benchmarks.training_runs import execute, problems, read_runs
from mmfer.utils.files import write_atomic

RESULTS = Path(__file__).resolve().parents[2] / 'docs/results/start_from_weights.csv'


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--images', type=int, default=9384, help='training images (default: a third)')
    add('--epochs', type=int, default=12)
    names = [start.name for start in STARTS]
    add('--starts', nargs='+', choices=names, default=names)
    root = Path('work_dirs/start_from_weights')
    add('--root', type=Path, default=root, help='folder of the work dirs')
    add('--threads', type=int, default=1, help='threads of the one run at a time')
    add('--out', type=Path, default=RESULTS, help='CSV file of the results')
    add('--table-only', action='store_true', help='train nothing')
    add('--cfg-options', nargs='+', default=[], help='overrides for all runs')
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    failed = 0
    if not args.table_only:
        runs = plan(args.images, args.epochs, args.starts, args.cfg_options)
        found = problems(runs, args.root, list(METRICS))
        if found:
            sys.exit('\n'.join([*found, 'Nothing was trained.']))
        failed = sum(bool(execute(run, args.root, args.threads)) for run in runs)
    rows = table(read_runs(args.root, 'summary.json'), args.images)
    if rows:
        text = as_csv(rows)
        write_atomic(str(args.out), text.encode())
        print(f'{text}{args.out} is written.')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
