"""Tables over several trainings."""
import re
from typing import Dict, List, Sequence

import numpy as np


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and, of several, the standard deviation (n - 1)."""
    if len(values) == 1:
        return f'{values[0]:.{digits}f}'
    return f'{np.mean(values):.{digits}f} ± ' \
           f'{np.std(values, ddof=1):.{digits}f}'


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


def summary_table(summaries: Dict[str, dict], metrics: Sequence[str],
                  statistic: str = 'last5_mean', digits: int = 2) -> str:
    """A row for each training, in Markdown.

    Args:
        summaries (dict): See :func:`group_seeds`.
        metrics (Sequence[str]): Columns.
        statistic (str): ``last``, ``last5_mean`` or ``best``, the last of
            which is chosen by the evaluation data. Defaults to
            ``'last5_mean'``.
        digits (int): After the point. Defaults to 2.

    Raises:
        ValueError: A run has no such metric or statistic.
    """
    lines = [f'| training | runs | {" | ".join(metrics)} |',
             '|' + '---|' * (2 + len(metrics))]
    for row, runs in group_seeds(summaries).items():
        cells = []
        for metric in metrics:
            try:
                values = [run['metrics'][metric][statistic] for run in runs]
            except KeyError as error:
                known = ', '.join(runs[0]['metrics'])
                raise ValueError(
                    f'{row} has no {error.args[0]!r}. Metrics: {known}; '
                    'statistics: last, last5_mean, best.') from None
            cells.append(spread(values, digits))
        lines.append(f'| {row} | {len(runs)} | {" | ".join(cells)} |')
    return '\n'.join(lines)
