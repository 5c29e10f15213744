"""The open protocol on FERPlus: run it, tabulate it, plot it.

``python tools/benchmarks/open_protocol.py --jobs 2`` trains every method of
the comparison with three seeds (of the training and of the planted noise)
and prints the table of ``configs/alum/README.md``. Runs that are done are
not run again, runs that were stopped continue: it can be killed and started
as often as need be. ``--ladder`` adds the rows of ALUM's Table 6, one seed.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

METHODS = ('ce', 'rul', 'alum')
HEAD = 'model.head.'
# Rows of Table 6 that are neither RUL (the baseline) nor the full ALUM.
LADDER = {
    'alum_lc': [
        f'{HEAD}positive=False', f'{HEAD}negative=False',
        f'{HEAD}triplet_weight=0'
    ],
    'alum_lc_ap': [f'{HEAD}negative=False', f'{HEAD}triplet_weight=0'],
    'alum_lc_an': [f'{HEAD}positive=False', f'{HEAD}triplet_weight=0'],
    'alum_lc_ap_an': [f'{HEAD}triplet_weight=0'],
}
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


class Run(NamedTuple):
    """One training of the comparison."""
    row: str
    config: str
    seed: int
    options: List[str]

    @property
    def name(self) -> str:
        """Name of its work dir."""
        return f'{self.row}_seed{self.seed}'

    @property
    def arguments(self) -> List[str]:
        """Config and overrides: what decides the result."""
        options = [f'randomness.seed={self.seed}', *self.options]
        if 'noise' in self.config:
            options.append('train_dataloader.dataset.label_noise.seed='
                           f'{self.seed}')
        return [self.config, '--cfg-options', *options]


def plan(methods: List[str], seeds: List[int], noise: str, ladder: bool,
         extra: List[str]) -> List[Run]:
    """The runs, seed by seed, so that a partial table is a fair one."""
    suffix = f'_{noise}' if noise else ''
    runs = [
        Run(m, f'configs/{m}/{m}_r18_ferplus{suffix}.py', seed, extra)
        for seed in seeds for m in methods
    ]
    if ladder:
        runs += [
            Run(row, f'configs/alum/alum_r18_ferplus{suffix}.py', seeds[0],
                [*options, *extra]) for row, options in LADDER.items()
        ]
    return runs


def execute(run: Run, root: Path, threads: int) -> int:
    """Train one run, or go on with it; its output goes to a log."""
    work_dir = root / run.name
    work_dir.mkdir(parents=True, exist_ok=True)
    # What lies in the folder must be this run, not one like it.
    record = work_dir / 'arguments.json'
    if record.is_file() and json.loads(record.read_text()) != run.arguments:
        print(
            f'{run.name}: {work_dir} holds a run with other arguments '
            f'({record.read_text()}); choose another --root', flush=True)
        return 1
    if (work_dir / 'summary.json').is_file():
        print(f'{run.name}: done before', flush=True)
        return 0
    record.write_text(json.dumps(run.arguments))
    command = [
        sys.executable, 'tools/train.py', *run.arguments, '--work-dir',
        str(work_dir), '--resume'
    ]
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    # Large activations would otherwise be mapped and unmapped in every step.
    for name, value in (('MMAP_THRESHOLD', 1 << 32), ('TRIM_THRESHOLD',
                                                      1 << 33)):
        environment.setdefault(f'MALLOC_{name}_', str(value))
    start = time.time()
    print(f'{run.name}: started', flush=True)
    with open(work_dir / 'output.log', 'a') as log:
        code = subprocess.call(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    minutes = (time.time() - start) / 60
    state = 'done' if code == 0 else f'FAILED, see {work_dir}/output.log'
    print(f'{run.name}: {state} after {minutes:.0f} min', flush=True)
    return code


def read_summaries(root: Path) -> Dict[str, Dict[int, dict]]:
    """``summary.json`` of every finished run, by row and seed."""
    rows: Dict[str, Dict[int, dict]] = {}
    for path in sorted(root.glob('*_seed*/summary.json')):
        row, _, seed = path.parent.name.rpartition('_seed')
        rows.setdefault(row, {})[int(seed)] = json.loads(path.read_text())
    return rows


def spread(values: List[float]) -> str:
    """Mean and, of several, the standard deviation (n - 1)."""
    if len(values) == 1:
        return f'{values[0]:.2f}'
    return f'{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}'


def markdown(rows: Dict[str, Dict[int, dict]],
             baselines: Sequence[str] = ('ce', 'rul'),
             statistic: str = 'last5_mean') -> str:
    """The table: ``last5_mean`` of each metric, mean and spread over seeds.

    The last columns are differences of the accuracy from that of other
    rows, paired by seed.
    """
    lines = [
        '| method | seeds | ' + ' | '.join(COLUMNS.values()) +
        ' | best epoch | noise AUROC | ' +
        ' | '.join(f'minus {b}' for b in baselines) + ' |',
        '|---|---|' + '---|' * (len(COLUMNS) + 2 + len(baselines))
    ]

    def value(summary, metric, stat=statistic):
        return summary['metrics'][metric][stat]

    order = [*METHODS, *LADDER]
    for row in sorted(rows, key=lambda r: order.index(r)
                      if r in order else len(order)):
        runs = rows[row]
        cells = [spread([value(s, m) for s in runs.values()])
                 for m in COLUMNS]
        cells.append(
            spread([value(s, 'accuracy/top1', 'best')
                    for s in runs.values()]))
        areas = [s['noise_auroc'] for s in runs.values()
                 if s['noise_auroc'] is not None]
        cells.append(f'{np.mean(areas):.3f}' if areas else '')
        for baseline in baselines:
            pairs = [
                value(s, 'accuracy/top1') -
                value(rows[baseline][seed], 'accuracy/top1')
                for seed, s in runs.items() if seed in rows.get(baseline, {})
            ]
            cells.append(spread(pairs) if pairs and row != baseline else '')
        seeds = ', '.join(map(str, sorted(runs)))
        lines.append(f'| {row} | {seeds} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def plot(root: Path, out: Path) -> None:
    """Validation accuracy over epochs, a line per row, a band over seeds."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt
    curves: Dict[str, List[List[float]]] = {}
    for path in sorted(root.glob('*_seed*/history.json')):
        row = path.parent.name.rpartition('_seed')[0]
        curves.setdefault(row, []).append([
            e['metrics']['accuracy/top1']
            for e in json.loads(path.read_text()) if 'metrics' in e
        ])
    # Okabe and Ito's colours, told apart by the colour-blind.
    colours = ('#000000', '#E69F00', '#0072B2', '#009E73', '#CC79A7',
               '#56B4E9', '#D55E00')
    figure, axes = plt.subplots(figsize=(6.4, 4), layout='constrained')
    order = [*METHODS, *LADDER]
    for index, row in enumerate(r for r in order if r in curves):
        length = max(map(len, curves[row]))
        values = np.array([c for c in curves[row] if len(c) == length])
        epochs = np.arange(1, length + 1)
        axes.plot(
            epochs, values.mean(0), color=colours[index],
            label=f'{row} ({len(values)} seed{"s" * (len(values) > 1)})')
        if len(values) > 1:
            axes.fill_between(
                epochs, values.min(0), values.max(0),
                color=colours[index], alpha=.2, linewidth=0)
    axes.set(xlabel='epoch', ylabel='validation accuracy, %')
    axes.grid(alpha=.3)
    axes.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--methods', nargs='+', default=list(METHODS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--noise', default='noise30', help="suffix of the configs, or ''")
    parser.add_argument('--ladder', action='store_true')
    parser.add_argument(
        '--root',
        type=Path,
        help='folder of the work dirs, work_dirs/open_protocol_NOISE')
    parser.add_argument(
        '--jobs', type=int, default=1, help='trainings at the same time')
    parser.add_argument('--table-only', action='store_true')
    parser.add_argument('--figure', type=Path, help='file for the curves')
    parser.add_argument('--cfg-options', nargs='+', default=[])
    args = parser.parse_args(argv)
    if args.root is None:
        args.root = Path('work_dirs') / '_'.join(
            filter(None, ['open_protocol', args.noise]))
    return args


def main() -> None:
    args = parse_args()
    failed = 0
    if not args.table_only:
        runs = plan(args.methods, args.seeds, args.noise, args.ladder,
                    args.cfg_options)
        threads = max(1, (os.cpu_count() or 1) // args.jobs)
        with ThreadPoolExecutor(args.jobs) as pool:
            failed = sum(
                map(bool,
                    pool.map(lambda run: execute(run, args.root, threads),
                             runs)))
    print(markdown(read_summaries(args.root)))
    if args.figure is not None:
        plot(args.root, args.figure)
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
