"""The open protocol on FERPlus: run it, tabulate it, plot it.

``python tools/benchmarks/open_protocol.py --jobs 2`` trains the methods of
``--methods`` (CE, RUL and ALUM by default) with three seeds each, of the
training and of the planted noise, and prints a table of all that is done.
Runs that are done are not run again, runs that were stopped continue: it can
be killed and started as often as need be. ``--ladder alum`` adds the rows of
ALUM's Table 6, ``--ladder resup`` those of ReSup's Table 2 and of other
choices, ``--ladder ce`` cross-entropy with a short, strongly regularised
schedule, ``--ladder coteaching jocor`` these two without the noise rate, one
seed each; ``--rows`` picks among all of these.

``--record FILE`` keeps what the tables and figures need, of runs that are
done, in one file, and counts the runs that it has already::

    python tools/benchmarks/open_protocol.py --table-only \\
        --record docs/results/open_protocol_noise30.json
"""

import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import numpy as np
from runs import Results, Run, differences, execute_all, plot, problems, read_runs

from mmfer.analysis.tables import TAIL_MEAN, run_value, spread, tail_column
from mmfer.utils.files import write_atomic

METHODS = ('ce', 'rul', 'alum', 'resup', 'coteaching', 'jocor')
HEAD = 'model.head.'
OWN = ['model.exchange=own', 'model.consistency_weight=0']
SWAP = ['model.consistency_weight=0']
LOSS = ['model.noise_model.agreement=loss']
LADDERS = dict(
    # Outside of the protocol: its labels and network, another schedule.
    ce={'ce_onecycle': []},
    # Rows of Table 6 that are neither RUL (the baseline) nor the full ALUM.
    alum={
        'alum_lc': [
            f'{HEAD}positive=False',
            f'{HEAD}negative=False',
            f'{HEAD}triplet_weight=0',
        ],
        'alum_lc_ap': [f'{HEAD}negative=False', f'{HEAD}triplet_weight=0'],
        'alum_lc_an': [f'{HEAD}positive=False', f'{HEAD}triplet_weight=0'],
        'alum_lc_ap_an': [f'{HEAD}triplet_weight=0'],
    },
    # Rows of Table 2 between cross-entropy and the full ReSup: loss or
    # similarity, weight exchange, consistency; then Sec. 4.5's mean weight,
    # and what the paper leaves open.
    resup={
        'resup_loss': [*OWN, *LOSS],
        'resup_sim': OWN,
        'resup_loss_weex': [*SWAP, *LOSS],
        'resup_sim_weex': SWAP,
        'resup_loss_weex_col': LOSS,
        # The consistency has a tenth of lambda there (Fig. 6).
        'resup_mean': ['model.exchange=mean', 'model.consistency_weight=0.5'],
        'resup_gaussian': ['model.noise_model.mixture.type=GaussianMixture'],
        'resup_pass': ['model.score_source=pass'],
        'resup_official': ['model.preset=official'],
    },
    # Not told the noise rate, which the methods are defined with.
    coteaching={'coteaching_estimated': []},
    jocor={'jocor_estimated': []},
)
# Rows with a config of their own.
SUFFIXES = ('_onecycle', '_estimated')
ROWS = [*METHODS, *(row for ladder in LADDERS.values() for row in ladder)]
COLUMNS = {
    'accuracy/top1': 'accuracy',
    'accuracy/mean_class': 'mean class',
    'rejection/uncertainty_10': 'u 10 %',
    'rejection/uncertainty_20': 'u 20 %',
    'rejection/uncertainty_30': 'u 30 %',
    'rejection/confidence_10': 'c 10 %',
    'rejection/confidence_20': 'c 20 %',
    'rejection/confidence_30': 'c 30 %',
}
CURVES = ('accuracy/top1', 'accuracy/mean_class')


def plan(
    methods: List[str],
    seeds: List[int],
    noise: str,
    ladders: List[str],
    extra: List[str],
) -> List[Run]:
    """The runs, seed by seed, so that a partial table is a fair one."""
    suffix = f'_{noise}' if noise else ''
    runs = [
        Run(m, f'configs/{m}/{m}_r18_ferplus{suffix}.py', seed, extra)
        for seed in seeds
        for m in methods
    ]
    for method in ladders:
        for row, options in LADDERS[method].items():
            own = next((s for s in SUFFIXES if row.endswith(s)), '')
            runs.append(
                Run(
                    row,
                    f'configs/{method}/{method}_r18_ferplus{suffix}{own}.py',
                    seeds[0],
                    [*options, *extra],
                )
            )
    return runs


def in_order(runs: Results, rows: Sequence[str]) -> Results:
    """These rows; without any, all there are, in the order of ``ROWS``."""
    rows = rows or sorted(
        runs, key=lambda r: (ROWS.index(r) if r in ROWS else len(ROWS), r)
    )
    return {row: dict(sorted(runs[row].items())) for row in rows if row in runs}


def rounded(value):
    """Floats to five significant digits, at any depth."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f'{value:.5g}') if isinstance(value, float) else value


def curves(history: List[dict]) -> List[dict]:
    """A history without what is neither tabulated nor plotted."""
    return [
        dict(
            epoch,
            metrics={k: v for k, v in epoch.get('metrics', {}).items() if k in CURVES},
        )
        for epoch in history
    ]


def update_record(path: Path, root: Path) -> Tuple[Results, Results]:
    """Add the runs of ``root`` that are done to the record at ``path``.

    Args:
        path (Path): JSON file, by row and seed ``summary`` and ``history``.
        root (Path): Folder of the work dirs.

    Returns:
        tuple: Summaries and histories of all runs of the record.
    """
    record: Results = {}
    if path.is_file():
        record = {
            row: {int(seed): run for seed, run in runs.items()}
            for row, runs in json.loads(path.read_text()).items()
        }
    histories = read_runs(root, 'history.json')
    for row, runs in read_runs(root, 'summary.json').items():
        for seed, summary in runs.items():
            record.setdefault(row, {})[seed] = rounded(
                dict(summary=summary, history=curves(histories[row][seed]))
            )
    record = in_order(record, [])
    path.parent.mkdir(parents=True, exist_ok=True)
    # One line for each run: a new one does not touch the others.
    lines = ',\n'.join(
        f'"{row}": {{\n'
        + ',\n'.join(f'"{seed}": {json.dumps(run)}' for seed, run in runs.items())
        + '\n}'
        for row, runs in record.items()
    )
    write_atomic(str(path), f'{{\n{lines}\n}}\n'.encode())
    return tuple(
        {
            row: {seed: run[part] for seed, run in runs.items()}
            for row, runs in record.items()
        }
        for part in ('summary', 'history')
    )


def markdown(
    rows: Results, baselines: Sequence[str] = ('ce', 'rul'), statistic: str = TAIL_MEAN
) -> str:
    """Make the table: tail mean of each metric, mean and spread over seeds.

    The last columns are differences of the accuracy from that of other
    rows, paired by seed. Where rows average different numbers of epochs, a
    column has them.
    """
    weighs = any(
        'weight_auroc' in (s.get('figures') or {})
        for runs in rows.values()
        for s in runs.values()
    )
    tails = tail_column({row: list(runs.values()) for row, runs in rows.items()})
    head = [
        'method',
        'seeds',
        *['mean of the last'] * bool(tails),
        *COLUMNS.values(),
        'best epoch',
        'noise AUROC',
        *['weight AUROC'] * weighs,
        *(f'minus {b}' for b in baselines),
    ]
    lines = [f'| {" | ".join(head)} |', '|' + '---|' * len(head)]

    def value(summary, metric, stat=statistic):
        return run_value(summary, metric, stat)

    def cell(values):
        return '' if None in values else spread(values)

    for row, runs in rows.items():
        cells = [tails[row]] if tails else []
        cells += [cell([value(s, m) for s in runs.values()]) for m in COLUMNS]
        cells.append(cell([value(s, 'accuracy/top1', 'best') for s in runs.values()]))
        areas = [
            s['noise_auroc'] for s in runs.values() if s['noise_auroc'] is not None
        ]
        cells.append(f'{np.mean(areas):.3f}' if areas else '')
        areas = [(s.get('figures') or {}).get('weight_auroc') for s in runs.values()]
        if weighs:
            cells.append('' if None in areas else f'{np.mean(areas):.3f}')
        for baseline in baselines:
            pairs = differences(
                runs, rows.get(baseline, {}), lambda s: value(s, 'accuracy/top1')
            )
            cells.append(spread(pairs) if pairs and row != baseline else '')
        seeds = ', '.join(map(str, runs))
        lines.append(f'| {row} | {seeds} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def accuracy(epoch: dict) -> Optional[float]:
    """Validation accuracy of an epoch, in per cent."""
    return epoch.get('metrics', {}).get('accuracy/top1')


def weight_auroc(epoch: dict) -> Optional[float]:
    """AUROC of clean probabilities against the planted noise."""
    return epoch.get('figures', {}).get('weight_auroc')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--methods',
        nargs='+',
        default=['ce', 'rul', 'alum'],
        help=f'of {", ".join(METHODS)}',
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--noise', default='noise30', help="suffix of the configs, or ''"
    )
    parser.add_argument(
        '--ladder',
        nargs='+',
        choices=LADDERS,
        default=[],
        help='methods whose ablation is run, with the first seed',
    )
    parser.add_argument(
        '--root',
        type=Path,
        help='folder of the work dirs, work_dirs/open_protocol_NOISE',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='trainings at the same time'
    )
    parser.add_argument('--table-only', action='store_true')
    parser.add_argument(
        '--rows',
        nargs='+',
        choices=ROWS,
        default=[],
        help='rows that are run, tabulated and plotted; all by default',
    )
    parser.add_argument('--record', type=Path, help='JSON file of all results so far')
    parser.add_argument(
        '--figure', type=Path, help='file for the curves of the accuracy'
    )
    parser.add_argument(
        '--weight-figure',
        type=Path,
        help='file for the curves of the AUROC of the weights',
    )
    parser.add_argument('--cfg-options', nargs='+', default=[])
    args = parser.parse_args(argv)
    if args.root is None:
        args.root = Path('work_dirs') / '_'.join(
            filter(None, ['open_protocol', args.noise])
        )
    return args


def done_before(args: argparse.Namespace) -> Results:
    """Summaries of the record and of the work dirs."""
    found: Results = {}
    if args.record is not None and args.record.is_file():
        for row, runs in json.loads(args.record.read_text()).items():
            found[row] = {int(seed): run['summary'] for seed, run in runs.items()}
    for row, runs in read_runs(args.root, 'summary.json').items():
        found.setdefault(row, {}).update(runs)
    return in_order(found, args.rows)


def main() -> None:
    args = parse_args()
    failed = 0
    if not args.table_only:
        runs = plan(args.methods, args.seeds, args.noise, args.ladder, args.cfg_options)
        runs = [run for run in runs if not args.rows or run.row in args.rows]
        found = problems(runs, args.root, list(COLUMNS), done_before(args))
        if found:
            sys.exit('open_protocol.py: ' + '\n'.join(found) + '\nNothing was trained.')
        failed = execute_all(runs, args.root, args.jobs)
    if args.record is None:
        summaries = read_runs(args.root, 'summary.json')
        histories = read_runs(args.root, 'history.json')
    else:
        summaries, histories = update_record(args.record, args.root)
    try:
        print(markdown(in_order(summaries, args.rows)))
    except ValueError as error:
        sys.exit(f'open_protocol.py: {error}')
    histories = in_order(histories, args.rows)
    if args.figure is not None:
        plot(histories, accuracy, 'validation accuracy, %', args.figure)
    if args.weight_figure is not None:
        plot(histories, weight_auroc, 'AUROC of the weights', args.weight_figure)
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
