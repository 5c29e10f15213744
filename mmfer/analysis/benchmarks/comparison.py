"""Table of results that compares configs over several seeds."""

from typing import List, Optional, Sequence

from mmfer.analysis.benchmarks.training_runs import Results, differences
from mmfer.analysis.tables import TAIL_MEAN, run_value, spread, tail_column


def markdown(
    summaries: Results,
    metrics: List[str],
    baseline: Optional[str] = None,
    digits: int = 2,
    statistic: str = TAIL_MEAN,
) -> str:
    """Format a table with a row per config, and differences from a baseline.

    Args:
        summaries (dict): ``summary.json`` of the runs, by row and seed.
        metrics (list[str]): Columns. The cell of a row is empty if one of its
            runs lacks the metric.
        baseline (str, optional): Row that is subtracted from the others.
            Defaults to None: there are no differences.
        digits (int): Digits after the decimal point. Defaults to 2.
        statistic (str): See :func:`~mmfer.analysis.tables.run_value`. If rows
            average different numbers of epochs, a column shows these numbers,
            and such rows have no differences. Defaults to ``TAIL_MEAN``.
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


def missing_metrics(summaries: Results, metrics: Sequence[str]) -> List[str]:
    """Return a sentence for each run that lacks one of the metrics.

    Args:
        summaries (Results): ``summary.json`` of each run.
        metrics (Sequence[str]): Names of the metrics.
    """
    return [
        f'{row}, seed {seed}, has no {", ".join(names)}. It has '
        f'{", ".join(run["metrics"])}.'
        for row, runs in summaries.items()
        for seed, run in runs.items()
        if (names := [name for name in metrics if name not in run['metrics']])
    ]
