"""Train a config with several values of one option, and compare the results.

    python tools/benchmarks/sweep.py configs/alum/alum_r18_ferplus_noise30.py \\
        --option model.head.mine_ratio --values 0 0.1 0.2 0.4 --figure p.png

For each value, the table has the mean of the metric over the last epochs, and with
several ``--seeds`` the standard deviation. All values are checked before the first run.
Finished runs are not repeated, and stopped runs continue, so the tool can be killed and
started as often as needed.
"""

import argparse
import sys
from pathlib import Path
from typing import List, Optional

from mmfer.analysis.benchmarks.comparison import markdown
from mmfer.analysis.benchmarks.curves import check_figure
from mmfer.analysis.benchmarks.sweep import curve, plan, plot, row_name
from mmfer.analysis.benchmarks.training_runs import (
    execute_all,
    named_config,
    problems,
    read_runs,
)
from mmfer.cli.planned_runs import refused


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path, or name of a shipped config')
    parser.add_argument('--option', required=True, help='as in --cfg-options')
    parser.add_argument('--values', nargs='+', required=True)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--metric', default='accuracy/top1')
    parser.add_argument(
        '--root',
        type=Path,
        help='folder of the work dirs (default: work_dirs/sweep_CONFIG)',
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument('--table-only', action='store_true', help='train nothing')
    parser.add_argument('--figure', type=Path, help='image file for the curve')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='overrides for all runs'
    )
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    root = args.root or Path('work_dirs') / f'sweep_{Path(args.config).stem}'
    config = named_config(args.config)
    runs = plan(config, args.option, args.values, args.seeds, args.cfg_options)
    found = problems(runs, root, [args.metric])
    if args.figure is not None:
        found += check_figure(args.figure, 'metrics')
    if not (found or args.table_only):
        found = refused(runs, args.option)
    if found:
        sys.exit('sweep.py: ' + '\n'.join(found) + '\nNothing was trained.')
    failed = 0 if args.table_only else execute_all(runs, root, args.jobs)
    summaries = read_runs(root, 'summary.json')
    names = [row_name(args.option, value) for value in args.values]
    rows = {name: summaries[name] for name in names if name in summaries}
    if not rows:
        sys.exit(
            f'sweep.py: no run in {root} is finished. Omit --table-only to train, or '
            'wait.'
        )
    print(markdown(rows, [args.metric]))
    if args.figure is not None:
        points = curve(rows, args.option, args.values, args.metric)
        plot(points, args.option, args.metric, args.figure)
    if failed:
        sys.exit(1)


if __name__ == '__main__':
    main()
