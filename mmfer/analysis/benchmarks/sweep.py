"""Sweep one option of a config over several values."""

import re
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np

from mmfer.analysis.benchmarks.training_runs import PlannedRun, Results
from mmfer.analysis.tables import run_value
from mmfer.utils import palette
from mmfer.utils.files import write_figure


def plan(
    config: str,
    option: str,
    values: Sequence[str],
    seeds: Sequence[int],
    extra: Sequence[str] = (),
) -> List[PlannedRun]:
    """List the runs of a sweep, seed by seed.

    Args:
        config (str): Config, see :class:`PlannedRun`.
        option (str): Option that is swept, such as ``model.head.mine_ratio``.
        values (Sequence[str]): Its values, as ``--cfg-options`` has them.
        seeds (Sequence[int]): Seeds of each value.
        extra (Sequence[str]): Overrides for all runs. Defaults to none.
    """
    return [
        PlannedRun(row_name(option, value), config, seed, [*extra, f'{option}={value}'])
        for seed in seeds
        for value in values
    ]


def row_name(option: str, value: str) -> str:
    """Return the name of a value's row, which is also that of its work dir."""
    return re.sub(r'[^\w.=+-]', '_', f'{option.rpartition(".")[2]}={value}')


def curve(
    summaries: Results, option: str, values: Sequence[str], metric: str
) -> Dict[str, List[float]]:
    """Return the metric of all finished seeds, by value of the option.

    Args:
        summaries (Results): ``summary.json`` of finished runs.
        option (str): Option that was swept.
        values (Sequence[str]): Its values.
        metric (str): Name of the metric; its mean over the last epochs counts.
    """
    found = {}
    for value in values:
        runs = summaries.get(row_name(option, value), {}).values()
        results = [run_value(run, metric) for run in runs]
        known = [result for result in results if result is not None]
        if known and len(known) == len(results):
            found[value] = known
    return found


def plot(points: Dict[str, List[float]], option: str, metric: str, out: Path) -> None:
    """Plot a metric over the values of an option, with a band over the seeds.

    The axis is logarithmic if the values are positive numbers of different sizes.
    Values that are no numbers stand at equal distances.

    Args:
        points (dict): Metric of the seeds, by value, from :func:`curve`.
        option (str): Label of the horizontal axis.
        metric (str): Label of the vertical axis.
        out (Path): Image file to write.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.4), layout='constrained')
    try:
        places = [float(value) for value in points]
        if min(places) > 0 and max(places) >= 20 * min(places):
            axes.set_xscale('log')
    except ValueError:
        places = list(range(len(points)))
    axes.set_xticks(places, list(points))
    axes.minorticks_off()
    order = np.argsort(places)
    x = np.array(places)[order]
    y = [list(points.values())[i] for i in order]
    axes.plot(x, [np.mean(v) for v in y], 'o-', color=palette.BLUE)
    if max(map(len, y)) > 1:
        low, high = [min(v) for v in y], [max(v) for v in y]
        axes.fill_between(x, low, high, color=palette.BLUE, alpha=0.2, linewidth=0)
    axes.set(xlabel=option, ylabel=f'{metric}, mean of the last epochs')
    axes.grid(alpha=0.3)
    write_figure(figure, str(out), dpi=110)
