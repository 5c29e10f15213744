"""Train several configs with several seeds, and compare their results.

    python tools/benchmarks/compare.py CONFIG [CONFIG ...] --jobs 2 \\
        --seeds 0 1 2 --metrics accuracy/top1 va/ccc

For each metric, the tool takes the mean over the last epochs (five, unless the
configs set another number). It prints the mean and the standard deviation of this
value over the seeds. A seed is that of the run and of the planted noise. The last
config is the baseline. Further columns have the difference of each other config to
the baseline, paired by seed. CONFIG can also be a name that stands for a config with
flags, such as ``configs/ce/ce_r18_rafdb_pair20.py``.

Configs, options and metrics are checked before the first run. Finished runs are not
repeated, and stopped runs continue. ``--curves losses.loss_ce --figure FILE`` plots a
value of ``history.json`` over the epochs. A pattern stands for the mean of all values
that match: ``losses.loss_ce*`` is the mean loss of several label sets.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import List, Optional

from mmfer.analysis.benchmarks.comparison import markdown, missing_metrics
from mmfer.analysis.benchmarks.curves import check_figure, plot, value_of
from mmfer.analysis.benchmarks.training_runs import (
    PlannedRun,
    execute_all,
    named_config,
    of_seeds,
    problems,
    read_runs,
)
from mmfer.cli.planned_runs import unbuildable

# Files that are read from the work dir of each run.
FILES = ('summary.json', 'history.json')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='the last one is the baseline')
    parser.add_argument(
        '--seeds', nargs='+', type=int, help='default: 0 1 2; table: all that are there'
    )
    parser.add_argument('--metrics', nargs='+', default=['accuracy/top1'])
    parser.add_argument('--digits', type=int, default=2)
    root = Path('work_dirs/compare')
    parser.add_argument('--root', type=Path, default=root, help='for the work dirs')
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument('--table-only', action='store_true', help='train nothing')
    parser.add_argument('--figure', type=Path, help='file for the curves')
    parser.add_argument(
        '--curves', default='metrics.accuracy/top1', help='value to plot, see above'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='overrides for all'
    )
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    rows = [Path(config).stem for config in args.configs]
    args.configs = [named_config(config) for config in args.configs]
    if len(set(rows)) < len(rows):
        sys.exit(
            'compare.py: two configs have the same name '
            f'({", ".join(sorted(rows))}). Work dirs and rows are named after '
            'the configs, so rename one of them.'
        )
    failed = 0
    if not args.table_only:
        runs = [
            PlannedRun(row, config, seed, args.cfg_options)
            for seed in args.seeds or (0, 1, 2)
            for row, config in zip(rows, args.configs, strict=True)
        ]
        done = read_runs(args.root, 'summary.json')
        done = {row: done[row] for row in rows if row in done}
        found = problems(runs, args.root, args.metrics, done)
        if args.figure is not None:
            found += check_figure(args.figure, args.curves)
        found = found or unbuildable(runs)
        if found:
            sys.exit('compare.py: ' + '\n'.join(found) + '\nNothing was trained.')
        failed = execute_all(runs, args.root, args.jobs)
    summaries, histories = [
        of_seeds({row: found[row] for row in rows if row in found}, args.seeds)
        for found in map(partial(read_runs, args.root), FILES)
    ]
    if not summaries:
        way = 'see above' if failed else 'omit --table-only to train, or wait'
        sys.exit(f'compare.py: no run in {args.root} is finished: {way}.')
    baseline = rows[-1] if len(rows) > 1 else None
    if baseline is not None and baseline not in summaries:
        print(
            f'No run of the baseline {baseline} is finished, so the table has no '
            'differences.'
        )
        baseline = None
    try:
        print(markdown(summaries, args.metrics, baseline, args.digits))
    except ValueError as error:
        sys.exit(f'compare.py: {error}')
    lacking = missing_metrics(summaries, args.metrics)
    for sentence in lacking:
        print(sentence, file=sys.stderr)
    if args.figure is not None:
        value = partial(value_of, name=args.curves)
        plot(histories, value, args.curves, args.figure)
    sys.exit(failed > 0 or bool(lacking))


if __name__ == '__main__':
    main()
