"""Tables of results of several runs, with means over seeds."""

import re
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np

TAIL_MEAN = 'tail_mean'
"""Statistic ``last{k}_mean`` of a run, for any k (``last_k`` of SummaryHook)."""

_TAIL = re.compile(r'last(\d+)_mean')


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Format a mean and, for several values, the standard deviation (n - 1).

    Args:
        values (Sequence[float]): At least one value.
        digits (int): Digits after the point. Defaults to 2.
    """
    if len(values) == 1:
        return f'{values[0]:.{digits}f}'
    return f'{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}'


def group_seeds(summaries: Dict[str, dict]) -> Dict[str, List[dict]]:
    """Group the summaries of runs that differ only in their seed.

    Args:
        summaries (dict[str, dict]): ``summary.json`` by the name of the work
            dir.

    Returns:
        dict[str, list[dict]]: Summaries by name without the endings ``_seed2``,
        ``-s2`` and `` (2)``. The last one comes from :func:`.runs.distinct`.
    """
    groups: Dict[str, List[dict]] = {}
    for name, summary in summaries.items():
        row = re.sub(r'([_-](seed|s)\d+)?( \(\d+\))?$', '', name)
        groups.setdefault(row, []).append(summary)
    return groups


def tail_epochs(summary: dict) -> Optional[int]:
    """Return the number of epochs in the tail means of a run.

    Args:
        summary (dict): ``summary.json`` of the run.

    Returns:
        int, optional: None if the run has no tail means.
    """
    for values in summary['metrics'].values():
        for name in values:
            match = _TAIL.fullmatch(name)
            if match:
                return int(match[1])
    return None


def tail_lengths(summaries: Iterable[dict]) -> List[int]:
    """Return the sorted, distinct :func:`tail_epochs` of several runs.

    Args:
        summaries (Iterable[dict]): ``summary.json`` of the runs.
    """
    found = {tail_epochs(summary) for summary in summaries}
    return sorted(length for length in found if length is not None)


def run_value(
    summary: dict, metric: str, statistic: str = TAIL_MEAN
) -> Optional[float]:
    """Return a statistic of a metric of a run; None if the run lacks it.

    Args:
        summary (dict): ``summary.json`` of the run.
        metric (str): Name of the metric, such as ``'accuracy/top1'``.
        statistic (str): ``last``, ``best``, ``last5_mean`` or similar, or
            :data:`TAIL_MEAN`. Defaults to :data:`TAIL_MEAN`.
    """
    if statistic == TAIL_MEAN:
        statistic = f'last{tail_epochs(summary)}_mean'
    return summary['metrics'].get(metric, {}).get(statistic)


def tail_column(rows: Mapping[str, Sequence[dict]]) -> Dict[str, str]:
    """Return the number of averaged epochs of each row, if rows differ in it.

    Args:
        rows (Mapping[str, Sequence[dict]]): ``summary.json`` of the runs of
            each row.

    Returns:
        dict[str, str]: Numbers by row; empty if all rows have the same number.

    Raises:
        ValueError: The runs of one row average different numbers of epochs.
    """
    lengths = {row: tail_lengths(runs) for row, runs in rows.items()}
    for row, found in lengths.items():
        if len(found) > 1:
            raise ValueError(
                f'{row}: its runs average {" and ".join(map(str, found))} '
                'epochs (default_hooks.summary.last_k), so they have no common '
                'mean. Train again with one last_k, name fewer runs, or compare '
                'only the last epochs with --statistic last.'
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
    """Format a table in Markdown, with one row for all seeds of a run.

    Args:
        summaries (dict[str, dict]): See :func:`group_seeds`.
        metrics (Sequence[str]): Metrics, one column each.
        statistic (str): See :func:`run_value`. ``best`` is chosen on the
            evaluation data, so it is too high. If rows average different
            numbers of epochs, a column shows these numbers. Defaults to
            :data:`TAIL_MEAN`.
        digits (int): Digits after the point. Defaults to 2.

    Raises:
        ValueError: A run lacks a metric or the statistic, or the runs of one
            row average different numbers of epochs.
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
            cells.append(spread(_values_of(row, runs, metric, statistic), digits))
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _values_of(
    row: str, runs: Sequence[dict], metric: str, statistic: str
) -> List[float]:
    """Return a statistic of all runs of a row.

    Args:
        row (str): Name of the row, for the message.
        runs (Sequence[dict]): ``summary.json`` of the runs.
        metric (str): See :func:`run_value`.
        statistic (str): See :func:`run_value`.

    Raises:
        ValueError: A run lacks the metric or the statistic.
    """
    values = []
    for run in runs:
        value = run_value(run, metric, statistic)
        if value is None:
            metrics = run['metrics']
            what = statistic if metric in metrics else metric
            known = ', '.join(metrics) or 'none, as it was not validated'
            statistics = ', '.join(next(iter(metrics.values()), []))
            raise ValueError(
                f'{row} has no {what!r}. Its metrics are: {known}. Its statistics '
                f'are: {statistics or "none"}. Choose from these with --metrics and '
                '--statistic.'
            )
        values.append(value)
    return values
