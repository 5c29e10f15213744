"""The open protocol on FERPlus: run it, tabulate it, plot it.

``python tools/benchmarks/open_protocol.py --jobs 2 --methods ce alum`` trains the
methods with three seeds each, of the training and of the planted noise, and prints
a table of all runs that are done. Runs that are done are not run again, and runs
that were stopped continue: the tool can be killed and started as often as needed.

Methods are those with a config ``<method>_r18_ferplus``. ``--ladder METHOD`` adds
further rows of a method, with one seed each: its configs with one more word in the
name, as ``..._noise30_estimated``, and the rows of ``configs/<method>/ablation.yml``.
``--rows`` picks among all of these.

``--record FILE`` keeps what the tables and figures need, of runs that are done, in
one file, and counts the runs that it has already::

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
)
from mmfer.analysis.benchmarks.trainings import execute_all, problems, read_runs

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
        help=f'of {", ".join(protocol.methods)}; all by default',
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
    add('--root', type=Path, help='work dirs; work_dirs/open_protocol_NOISE')
    add('--jobs', type=int, default=1, help='trainings at the same time')
    add('--table-only', action='store_true', help='train nothing')
    add(
        '--rows',
        nargs='+',
        choices=protocol.rows,
        default=[],
        help='rows that are run, tabulated and plotted; all by default',
    )
    add(
        '--baselines',
        nargs='+',
        default=[BASELINE],
        help='rows that the accuracy is compared with',
    )
    add('--record', type=Path, help='JSON file of all results so far')
    add('--figure', type=Path, help='file for the curves of the accuracy')
    add('--weight-figure', type=Path, help='file for the curves of the weights')
    add('--cfg-options', nargs='+', default=[], help='for all runs')
    args = parser.parse_args(argv)
    if args.root is None:
        args.root = Path('work_dirs') / '_'.join(
            filter(None, ['open_protocol', args.noise])
        )
    return args


def main() -> None:
    args = parse_args()
    protocol = Protocol(CONFIGS, args.noise)
    failed = 0
    if not args.table_only:
        runs = protocol.plan(args.methods, args.seeds, args.ladder, args.cfg_options)
        runs = [run for run in runs if not args.rows or run.row in args.rows]
        done = protocol.in_order(done_before(args.record, args.root), args.rows)
        found = problems(runs, args.root, list(COLUMNS), done)
        if found:
            sys.exit('open_protocol.py: ' + '\n'.join(found) + '\nNothing was trained.')
        failed = execute_all(runs, args.root, args.jobs)
    if args.record is None:
        summaries = read_runs(args.root, 'summary.json')
        histories = read_runs(args.root, 'history.json')
    else:
        summaries, histories = update_record(args.record, args.root, protocol)
    try:
        print(markdown(protocol.in_order(summaries, args.rows), args.baselines))
    except ValueError as error:
        sys.exit(f'open_protocol.py: {error}')
    histories = protocol.in_order(histories, args.rows)
    if args.figure is not None:
        plot(histories, accuracy, 'validation accuracy, %', args.figure)
    if args.weight_figure is not None:
        plot(histories, weight_auroc, 'AUROC of the weights', args.weight_figure)
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
