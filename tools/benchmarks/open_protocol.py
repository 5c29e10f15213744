"""Run the open protocol on FERPlus, and print and plot its results.

``python tools/benchmarks/open_protocol.py --jobs 2 --methods ce alum`` trains each
method with three seeds, and prints a table of all finished runs. A seed is that of
the run and of the planted noise. Finished runs are not repeated, and stopped runs
continue, so the tool can be killed and started as often as needed.

All methods with a config ``<method>_r18_ferplus`` take part. ``--ladder METHOD`` adds
further rows of a method, with one seed each. These are its configs with one more word
in the name, such as ``..._noise30_estimated``, and the rows of
``configs/<method>/ablation.yml``. ``--rows`` selects from all of these rows.

``--record FILE`` adds the results of finished runs to one file, as far as the tables
and figures need them. The table then has all runs of this file::

    python tools/benchmarks/open_protocol.py --table-only \\
        --record docs/results/open_protocol_noise30.json
"""

import argparse
import sys
from pathlib import Path
from typing import List, Optional

from mmfer.analysis.benchmarks.curves import accuracy, plot, weight_auroc
from mmfer.analysis.benchmarks.methods import BASELINE
from mmfer.analysis.benchmarks.open_protocol import (
    COLUMNS,
    Protocol,
    done_before,
    markdown,
    update_record,
    write_csv,
)
from mmfer.analysis.benchmarks.training_runs import execute_all, problems, read_runs
from mmfer.cli.planned_runs import unbuildable

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    protocol = Protocol(CONFIGS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        '--methods',
        nargs='+',
        default=protocol.methods,
        help=f'methods from {", ".join(protocol.methods)} (default: all)',
    )
    add('--seeds', nargs='+', type=int, default=[0, 1, 2])
    add('--noise', default='noise30', help="noise in the names of the configs, or ''")
    add(
        '--ladder',
        nargs='+',
        choices=protocol.ladders,
        default=[],
        help='methods whose further rows are run, with the first seed',
    )
    folder = 'folder of the work dirs (default: work_dirs/open_protocol_NOISE)'
    add('--root', type=Path, help=folder)
    add('--jobs', type=int, default=1, help='runs at the same time')
    add('--table-only', action='store_true', help='train nothing')
    add(
        '--rows',
        nargs='+',
        choices=protocol.rows,
        default=[],
        help='rows that are run, tabulated and plotted (default: all)',
    )
    subtracted = 'rows whose accuracy is subtracted from the others'
    add('--baselines', nargs='+', default=[BASELINE], help=subtracted)
    add('--record', type=Path, help='JSON file of all results so far')
    add('--csv', type=Path, help='CSV file for the numbers of the table')
    add('--figure', type=Path, help='file for the curves of the accuracy')
    add('--weight-figure', type=Path, help='file for the curves of the weights')
    add('--cfg-options', nargs='+', default=[], help='overrides for all runs')
    args = parser.parse_args(argv)
    name = '_'.join(filter(None, ['open_protocol', args.noise]))
    args.root = args.root or Path('work_dirs', name)
    return args


def main() -> None:
    args = parse_args()
    protocol = Protocol(CONFIGS, args.noise)
    failed = 0
    if not args.table_only:
        runs = protocol.plan(args.methods, args.seeds, args.ladder, args.cfg_options)
        runs = [run for run in runs if not args.rows or run.row in args.rows]
        done = protocol.in_order(done_before(args.record, args.root), args.rows)
        found = problems(runs, args.root, list(COLUMNS), done) or unbuildable(runs)
        if found:
            sys.exit('open_protocol.py: ' + '\n'.join(found) + '\nNothing was trained.')
        failed = execute_all(runs, args.root, args.jobs)
    if args.record is None:
        summaries = read_runs(args.root, 'summary.json')
        histories = read_runs(args.root, 'history.json')
    else:
        summaries, histories = update_record(args.record, args.root, protocol)
    summaries, histories = (
        protocol.in_order(found, args.rows) for found in (summaries, histories)
    )
    try:
        print(markdown(summaries, args.baselines))
        if args.csv is not None:
            write_csv(args.csv, summaries, protocol, args.baselines)
    except ValueError as error:
        sys.exit(f'open_protocol.py: {error}')
    if args.figure is not None:
        plot(histories, accuracy, 'validation accuracy, %', args.figure)
    if args.weight_figure is not None:
        plot(histories, weight_auroc, 'AUROC of the weights', args.weight_figure)
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
