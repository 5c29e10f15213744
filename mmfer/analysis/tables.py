"""Tables over several trainings."""

import re
from typing import Dict, Iterable, List, Optional, Sequence

import numpy as np

# The ``last{k}_mean`` that a run has: how many epochs it averages is an option
# of SummaryHook.
TAIL_MEAN = 'tail_mean'
_TAIL = re.compile(r'last(\d+)_mean')


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and, of several, the standard deviation (n - 1)."""
    if len(values) == 1:
        return f'{values[0]:.{digits}f}'
    return f'{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}'


def group_seeds(summaries: Dict[str, dict]) -> Dict[str, List[dict]]:
    """Summaries of the same training with several seeds.

    Args:
        summaries (dict): ``summary.json`` by the name of the work dir.

    Returns:
        dict: By name without an ending as ``_seed2``, ``-s2`` or `` (2)``,
        which equal names of several folders have.
    """
    groups: Dict[str, List[dict]] = {}
    for name, summary in summaries.items():
        row = re.sub(r'([_-](seed|s)\d+)?( \(\d+\))?$', '', name)
        groups.setdefault(row, []).append(summary)
    return groups


def tail_epochs(summary: dict) -> Optional[int]:
    """Number of epochs that the tail means of a run average; None without.

    Args:
        summary (dict): ``summary.json`` of the run.
    """
    for values in summary['metrics'].values():
        for name in values:
            match = _TAIL.fullmatch(name)
            if match:
                return int(match[1])
    return None


def tail_lengths(summaries: Iterable[dict]) -> List[int]:
    """Sorted, distinct :func:`tail_epochs` of several runs."""
    found = {tail_epochs(summary) for summary in summaries}
    return sorted(found - {None})


def run_value(
    summary: dict, metric: str, statistic: str = TAIL_MEAN
) -> Optional[float]:
    """Return a statistic of a metric of a run; None if it has none such.

    Args:
        summary (dict): ``summary.json`` of the run.
        metric (str): As ``'accuracy/top1'``.
        statistic (str): ``last``, ``best``, ``last5_mean`` or the like, or
            :data:`TAIL_MEAN`, whatever the run has. Defaults to
            :data:`TAIL_MEAN`.
    """
    if statistic == TAIL_MEAN:
        statistic = f'last{tail_epochs(summary)}_mean'
    return summary['metrics'].get(metric, {}).get(statistic)


def tail_column(rows: Dict[str, Sequence[dict]]) -> Dict[str, str]:
    """Return how many epochs each row averages, where rows differ in it.

    Args:
        rows (dict): ``summary.json`` of the runs of each row.

    Returns:
        dict[str, str]: By row; empty where all have the same.

    Raises:
        ValueError: Runs of one row differ, so that they have no mean.
    """
    lengths = {row: tail_lengths(runs) for row, runs in rows.items()}
    for row, found in lengths.items():
        if len(found) > 1:
            raise ValueError(
                f'{row}: its runs average {" and ".join(map(str, found))} '
                'epochs (default_hooks.summary.last_k), so that there is no '
                'mean over them. Run them anew with one last_k, or leave '
                'some out; --statistic last takes the last epochs alone.'
            )
    if len({tuple(found) for found in lengths.values()}) < 2:
        return {}
    return {row: ''.join(map(str, found)) for row, found in lengths.items()}


def summary_table(
    summaries: Dict[str, dict],
    metrics: Sequence[str],
    statistic: str = TAIL_MEAN,
    digits: int = 2,
) -> str:
    """A row for each training, in Markdown.

    Args:
        summaries (dict): See :func:`group_seeds`.
        metrics (Sequence[str]): Columns.
        statistic (str): See :func:`run_value`; ``best`` is chosen by the
            evaluation data. Where rows average different numbers of epochs,
            a column has them. Defaults to :data:`TAIL_MEAN`.
        digits (int): After the point. Defaults to 2.

    Raises:
        ValueError: A run has no such metric or statistic, or runs of one row
            average different numbers of epochs.
    """
    rows = group_seeds(summaries)
    tails = tail_column(rows) if statistic == TAIL_MEAN else {}
    head = ['training', 'runs', *['mean of the last'] * bool(tails), *metrics]
    lines = [f'| {" | ".join(head)} |', '|' + '---|' * len(head)]
    for row, runs in rows.items():
        cells = [row, str(len(runs))]
        if tails:
            cells.append(tails[row])
        for metric in metrics:
            values = [run_value(run, metric, statistic) for run in runs]
            if None in values:
                lacking = runs[values.index(None)]['metrics']
                what = statistic if metric in lacking else metric
                known = ', '.join(lacking) or 'none, as it was not validated'
                statistics = ', '.join(next(iter(lacking.values()), []))
                raise ValueError(
                    f'{row} has no {what!r}. Metrics: {known}; '
                    f'statistics: {statistics}.'
                )
            cells.append(spread(values, digits))
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)
