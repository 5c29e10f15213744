"""Train configs with several seeds, and say which is ahead by how much.

    python tools/benchmarks/compare.py CONFIG [CONFIG ...] --jobs 2 \\
        --seeds 0 1 2 --metrics accuracy/top1 va/ccc

prints the mean over the last epochs of each metric (five, or what the configs
say), mean and standard deviation over seeds (of the training and of planted
noise), and for all but the last config what it is ahead of that one, paired by
seed. Configs and metrics are checked before the first run. Runs that are done
are not run again, runs that were stopped continue. ``--curves losses.loss_ce
--figure FILE`` draws the course of something in ``history.json``, a mean over
what the name stands for: ``losses.loss_ce*`` is the mean of the losses of
several label sets.
"""

import argparse
import fnmatch
import sys
from pathlib import Path
from typing import List, Optional

import numpy as np
from runs import Results, Run, differences, execute_all, plot, problems, read_runs

from mmfer.analysis.tables import TAIL_MEAN, run_value, spread, tail_column


def markdown(
    summaries: Results,
    metrics: List[str],
    baseline: Optional[str] = None,
    digits: int = 2,
    statistic: str = TAIL_MEAN,
) -> str:
    """The table, a row per config, differences from a baseline.

    Args:
        summaries (dict): ``summary.json`` of the runs, by row and seed.
        metrics (list[str]): Columns. The cell of a run that lacks one is
            empty.
        baseline (str, optional): Row that the others are compared with. By
            default none is.
        digits (int): After the decimal point. Defaults to 2.
        statistic (str): Of each metric, see
            :func:`~mmfer.analysis.tables.run_value`. Where rows average
            different numbers of epochs, a column has them, and there are no
            differences. Defaults to ``TAIL_MEAN``.
    """
    tails = (
        tail_column({row: list(runs.values()) for row, runs in summaries.items()})
        if statistic == TAIL_MEAN
        else {}
    )
    head = ['config', 'seeds', *['mean of the last'] * bool(tails), *metrics]
    if baseline is not None:
        head += [f'{metric}, ahead by' for metric in metrics]
    lines = [f'| {" | ".join(head)} |', '|' + '---|' * len(head)]
    for row, runs in summaries.items():
        cells = [row, ', '.join(map(str, sorted(runs)))]
        if tails:
            cells.append(tails[row])
        ahead = []
        for metric in metrics:

            def value(summary, metric=metric):
                return run_value(summary, metric, statistic)

            values = [value(run) for run in runs.values()]
            cells.append('' if None in values else spread(values, digits))
            pairs = (
                []
                if baseline in (None, row)
                else differences(runs, summaries[baseline], value)
            )
            ahead.append(spread(pairs, digits) if pairs else '')
        if baseline is not None:
            cells += ahead
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


# Of an epoch's entry in history.json.
HISTORY = (
    'train_loss',
    'losses',
    'metrics',
    'figures',
    'training',
    'seconds',
    'images',
)


def check_figure(path: Path, curves: str) -> List[str]:
    """Return a sentence for each reason why a figure cannot be drawn."""
    from matplotlib.figure import Figure

    known = Figure().canvas.get_supported_filetypes()
    ending = path.suffix.lstrip('.').lower()
    found = (
        []
        if ending in known
        else [
            f'--figure {path}: the ending {ending!r} is of no image; there are '
            f'{", ".join(sorted(known))}.'
        ]
    )
    if curves.partition('.')[0] not in HISTORY:
        found.append(
            f'--curves {curves}: history.json has nothing of that '
            f'name, but {", ".join(HISTORY)}.'
        )
    return found


def value_of(epoch: dict, name: str) -> Optional[float]:
    """Something in an epoch's entry of ``history.json``.

    Args:
        epoch (dict): The entry.
        name (str): ``train_loss``, or a part and a pattern of names in it:
            ``metrics.accuracy/top1``, ``losses.loss_ce*``.

    Returns:
        float, optional: The mean over all that the name stands for.
    """
    part, _, pattern = name.partition('.')
    found = epoch.get(part)
    if isinstance(found, dict):
        found = [found[key] for key in fnmatch.filter(found, pattern or '*')] or None
    return None if found is None else float(np.mean(found))


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='the last one is the baseline')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--metrics', nargs='+', default=['accuracy/top1'])
    parser.add_argument('--digits', type=int, default=2)
    parser.add_argument(
        '--root',
        type=Path,
        default=Path('work_dirs/compare'),
        help='folder of the work dirs',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='trainings at the same time'
    )
    parser.add_argument('--table-only', action='store_true')
    parser.add_argument('--figure', type=Path, help='file for the curves')
    parser.add_argument(
        '--curves', default='metrics.accuracy/top1', help='what they are of, see above'
    )
    parser.add_argument('--cfg-options', nargs='+', default=[], help='for all configs')
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    rows = [Path(config).stem for config in args.configs]
    if len(set(rows)) < len(rows):
        sys.exit(
            'compare.py: two configs have the same name '
            f'({", ".join(sorted(rows))}); rename one, as work dirs '
            'and rows are named after them.'
        )
    failed = 0
    if not args.table_only:
        runs = [
            Run(row, config, seed, args.cfg_options)
            for seed in args.seeds
            for row, config in zip(rows, args.configs, strict=True)
        ]
        done = read_runs(args.root, 'summary.json')
        found = problems(
            runs,
            args.root,
            args.metrics,
            {row: done[row] for row in rows if row in done},
        )
        if args.figure is not None:
            found += check_figure(args.figure, args.curves)
        if found:
            sys.exit('compare.py: ' + '\n'.join(found) + '\nNothing was trained.')
        failed = execute_all(runs, args.root, args.jobs)
    summaries, histories = [
        {row: found[row] for row in rows if row in found}
        for found in (
            read_runs(args.root, file) for file in ('summary.json', 'history.json')
        )
    ]
    if not summaries:
        sys.exit(
            f'compare.py: no run in {args.root} is done; leave out '
            '--table-only, or wait.'
        )
    baseline = rows[-1] if len(rows) > 1 else None
    if baseline is not None and baseline not in summaries:
        print(f'No run of the baseline {baseline} is done: no differences.')
        baseline = None
    try:
        print(markdown(summaries, args.metrics, baseline, args.digits))
    except ValueError as error:
        sys.exit(f'compare.py: {error}')
    for row, runs in summaries.items():
        for seed, run in runs.items():
            names = [m for m in args.metrics if m not in run['metrics']]
            if names:
                failed += 1
                print(
                    f'{row}, seed {seed}, has no {", ".join(names)}, only '
                    f'{", ".join(run["metrics"])}.',
                    file=sys.stderr,
                )
    if args.figure is not None:
        plot(
            histories,
            lambda epoch: value_of(epoch, args.curves),
            args.curves,
            args.figure,
        )
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
