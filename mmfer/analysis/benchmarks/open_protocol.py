"""Rows, record and table of the open protocol on FERPlus."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from mmfer.analysis.benchmarks.methods import (
    BASELINE,
    find_methods,
    own_configs,
    read_ablation,
)
from mmfer.analysis.benchmarks.training_runs import (
    PlannedRun,
    Results,
    differences,
    read_runs,
)
from mmfer.analysis.tables import TAIL_MEAN, run_value, spread, tail_column
from mmfer.utils.files import write_atomic

# Network and data set, as the names of the configs have them.
NETWORK = 'r18_ferplus'
# Columns of the table by metric; u rejects by uncertainty, c by confidence.
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
# Metrics whose curves a record keeps.
CURVES = ('accuracy/top1', 'accuracy/mean_class')


@dataclass
class Protocol:
    """Methods and rows of the protocol, found in the folders of the configs.

    Attributes:
        configs (Path): Folder with one folder per method.
        noise (str): Noise in the names of the configs; empty for none.
    """

    configs: Path
    noise: str = 'noise30'

    @property
    def name(self) -> str:
        """str: Name of the configs without the method."""
        return '_'.join(filter(None, [NETWORK, self.noise]))

    @property
    def methods(self) -> List[str]:
        """list[str]: Methods with a config of this network and data set."""
        return find_methods(self.configs, NETWORK)

    def ladder(self, method: str) -> Dict[str, List[str]]:
        """Return the further rows of a method, with their options.

        These are its configs with one more word in the name, such as
        ``..._estimated``, and the rows of its ``ablation.yml``.
        """
        own = own_configs(self.configs, method, self.name)
        return {
            **{f'{method}_{word}': [] for word in own},
            **read_ablation(self.configs, method, 'open_protocol'),
        }

    @property
    def ladders(self) -> Dict[str, List[str]]:
        """dict[str, list[str]]: Further rows by method, for methods that have any."""
        rows = {method: list(self.ladder(method)) for method in self.methods}
        return {method: names for method, names in rows.items() if names}

    @property
    def rows(self) -> List[str]:
        """list[str]: All rows, in the order of the table."""
        further = [row for rows in self.ladders.values() for row in rows]
        return [*self.methods, *further]

    def plan(
        self,
        methods: Sequence[str],
        seeds: Sequence[int],
        ladders: Sequence[str],
        extra: Sequence[str],
    ) -> List[PlannedRun]:
        """List the runs seed by seed, so that a partial table is fair to all methods.

        Args:
            methods (Sequence[str]): Methods to run with all seeds.
            seeds (Sequence[int]): Seeds; further rows use only the first one.
            ladders (Sequence[str]): Methods whose further rows are run.
            extra (Sequence[str]): Overrides for all runs.
        """

        def file(method: str, word: str = '') -> str:
            name = '_'.join(filter(None, [method, self.name, word]))
            return f'configs/{method}/{name}.py'

        runs = [
            PlannedRun(method, file(method), seed, list(extra))
            for seed in seeds
            for method in methods
        ]
        for method in ladders:
            own = own_configs(self.configs, method, self.name)
            for row, options in self.ladder(method).items():
                word = row.removeprefix(f'{method}_')
                config = file(method, word if word in own else '')
                runs.append(PlannedRun(row, config, seeds[0], [*options, *extra]))
        return runs

    def in_order(self, runs: Results, rows: Sequence[str] = ()) -> Results:
        """Return the given rows; by default all, in the order of the table."""
        known = self.rows
        rows = rows or sorted(
            runs, key=lambda r: (known.index(r) if r in known else len(known), r)
        )
        return {row: dict(sorted(runs[row].items())) for row in rows if row in runs}


def rounded(value: Any) -> Any:
    """Round floats to five significant digits, at any depth."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f'{value:.5g}') if isinstance(value, float) else value


def curves(history: List[dict]) -> List[dict]:
    """Return a history that keeps only the metrics in :data:`CURVES`."""
    return [
        dict(
            epoch,
            metrics={k: v for k, v in epoch.get('metrics', {}).items() if k in CURVES},
        )
        for epoch in history
    ]


def update_record(
    path: Path, root: Path, protocol: Protocol
) -> Tuple[Results, Results]:
    """Add the finished runs in ``root`` to the record at ``path``.

    Args:
        path (Path): JSON file with ``summary`` and ``history`` by row and seed.
        root (Path): Folder of the work dirs.
        protocol (Protocol): Protocol that orders the rows.

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
    record = protocol.in_order(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Each run is one line, so that a new run changes no other line.
    lines = ',\n'.join(
        f'"{row}": {{\n'
        + ',\n'.join(f'"{seed}": {json.dumps(run)}' for seed, run in runs.items())
        + '\n}'
        for row, runs in record.items()
    )
    write_atomic(str(path), f'{{\n{lines}\n}}\n'.encode())

    def parts(name: str) -> Results:
        return {
            row: {seed: run[name] for seed, run in runs.items()}
            for row, runs in record.items()
        }

    return parts('summary'), parts('history')


def done_before(path: Optional[Path], root: Path) -> Results:
    """Return the summaries of all finished runs, from a record and from work dirs.

    Args:
        path (Path, optional): JSON file of :func:`update_record`.
        root (Path): Folder of the work dirs.
    """
    found: Results = {}
    if path is not None and path.is_file():
        for row, runs in json.loads(path.read_text()).items():
            found[row] = {int(seed): run['summary'] for seed, run in runs.items()}
    for row, runs in read_runs(root, 'summary.json').items():
        found.setdefault(row, {}).update(runs)
    return found


def markdown(
    rows: Results, baselines: Sequence[str] = (BASELINE,), statistic: str = TAIL_MEAN
) -> str:
    """Format the table: mean and standard deviation over seeds of each metric.

    Args:
        rows (dict): ``summary.json`` by row and seed.
        baselines (Sequence[str]): Rows whose accuracy is subtracted in the last
            columns, seed by seed. Defaults to cross-entropy.
        statistic (str): See :func:`~mmfer.analysis.tables.run_value`. If rows
            average different numbers of epochs, a column shows these numbers.
    """
    weighs = any(
        'weight_auroc' in (s.get('figures') or {})
        for runs in rows.values()
        for s in runs.values()
    )
    aurocs = {'noise_auroc': 'noise AUROC'}
    if any('probability_auroc' in s for runs in rows.values() for s in runs.values()):
        # Beside the score of a method, one minus the probability of the given label.
        aurocs['probability_auroc'] = '1 - p AUROC'
    tails = tail_column({row: list(runs.values()) for row, runs in rows.items()})
    head = [
        'method',
        'seeds',
        *['mean of the last'] * bool(tails),
        *COLUMNS.values(),
        'best epoch',
        *aurocs.values(),
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
        for name in aurocs:
            areas = [s.get(name) for s in runs.values()]
            areas = [area for area in areas if area is not None]
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


def write_csv(
    path: Path, rows: Results, protocol: Protocol, baselines: Sequence[str]
) -> None:
    """Write the numbers of :func:`markdown`.

    Each metric has a column for the mean over the seeds, and one with ``_std`` for
    their standard deviation, which is empty for one seed. ``label`` is the title of the
    page in ``folder``; further rows of a method have their own name.

    Args:
        path (Path): CSV file.
        rows (dict): ``summary.json`` by row and seed.
        protocol (Protocol): Protocol whose configs name the rows.
        baselines (Sequence[str]): See :func:`markdown`.

    Raises:
        ValueError: There is no run.
    """
    table = []
    for row, runs in rows.items():
        folder = row.split('_')[0]
        title = (protocol.configs / folder / 'README.md').read_text(encoding='utf-8')
        label = title.splitlines()[0].lstrip('# ') if row == folder else row
        cells = dict(method=row, label=label, folder=folder)
        cells['seeds'] = ', '.join(map(str, runs))
        cells.update(numbers(list(runs.values())))
        for baseline in baselines:
            pairs = differences(
                runs,
                rows.get(baseline, {}),
                lambda s: run_value(s, 'accuracy/top1', TAIL_MEAN),
            )
            own = row == baseline
            cells.update(mean_and_std(f'minus_{baseline}', [] if own else pairs))
        table.append(cells)
    if not table:
        raise ValueError(f'there is no finished run, so {path} was not written')
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, list(table[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(table)
    write_atomic(str(path), text.getvalue().encode())


def numbers(summaries: Sequence[dict]) -> Dict[str, str]:
    """Return the numbers of the runs of one row, by column."""
    columns = dict(COLUMNS, **{'best': 'best epoch'})
    cells: Dict[str, str] = {}
    for metric, title in columns.items():
        statistic = TAIL_MEAN
        if metric == 'best':
            metric, statistic = 'accuracy/top1', 'best'
        name = title.replace(' %', '').replace(' ', '_')
        values = [run_value(s, metric, statistic) for s in summaries]
        cells.update(mean_and_std(name, values))
    for name in ('noise_auroc', 'probability_auroc'):
        cells[name] = mean([s.get(name) for s in summaries], 3)
    weights = [(s.get('figures') or {}).get('weight_auroc') for s in summaries]
    return dict(cells, weight_auroc=mean(weights, 3))


def mean_and_std(name: str, values: Sequence[Optional[float]]) -> Dict[str, str]:
    """Return a mean and a standard deviation as two cells."""
    known = [value for value in values if value is not None]
    several = len(known) == len(values) > 1
    std = f'{np.std(known, ddof=1):.2f}' if several else ''
    return {name: mean(values, 2), f'{name}_std': std}


def mean(values: Sequence[Optional[float]], digits: int) -> str:
    """Return the mean of values as a cell; empty if one is missing, or all."""
    known = [value for value in values if value is not None]
    return f'{np.mean(known):.{digits}f}' if len(known) == len(values) > 0 else ''
