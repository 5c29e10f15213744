"""Plot values over the epochs, for several runs."""

import fnmatch
from pathlib import Path
from typing import Callable, List, Optional

import numpy as np

from mmfer.analysis.benchmarks.training_runs import Results
from mmfer.utils import palette
from mmfer.utils.files import write_figure


def plot(
    histories: Results, value: Callable[[dict], Optional[float]], label: str, out: Path
) -> None:
    """Plot a value over the epochs, with a line per row and a band over its seeds.

    Args:
        histories (dict): ``history.json`` of the runs, by row and seed.
        value (Callable): Function that maps the entry of an epoch to its value, or
            to None.
        label (str): Label of the vertical axis.
        out (Path): Image file to write.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    colours = (
        palette.BLACK,
        palette.ORANGE,
        palette.BLUE,
        palette.GREEN,
        palette.PURPLE,
        palette.SKY_BLUE,
        palette.VERMILION,
    )
    figure, axes = plt.subplots(figsize=(6.4, 4), layout='constrained')
    styles = [(c, s) for s in ('-', '--', ':') for c in colours]
    drawn = 0
    for row, runs in histories.items():
        curves = [
            {e['epoch']: value(e) for e in history if value(e) is not None}
            for history in runs.values()
        ]
        # A run that has not finished has fewer epochs, and is not plotted.
        longest = max(map(len, curves))
        if not longest:
            continue
        curves = [c for c in curves if len(c) == longest]
        epochs = sorted(curves[0])
        values = np.array([[c[e] for e in epochs] for c in curves])
        colour, style = styles[drawn % len(styles)]
        drawn += 1
        axes.plot(
            epochs,
            values.mean(0),
            style,
            color=colour,
            label=f'{row} ({len(values)} seed{"s" * (len(values) > 1)})',
        )
        if len(values) > 1:
            axes.fill_between(
                epochs,
                values.min(0),
                values.max(0),
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
    axes.set(xlabel='epoch', ylabel=label)
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend(frameon=False)
    else:
        print(f'{out}: no history.json has {label!r}, so there is no curve.')
    write_figure(figure, str(out), dpi=110)


# Parts of an epoch's entry in history.json.
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
    """Return a message for each reason why a figure cannot be drawn."""
    from matplotlib.figure import Figure

    known = Figure().canvas.get_supported_filetypes()
    ending = path.suffix.lstrip('.').lower()
    found = (
        []
        if ending in known
        else [
            f'--figure {path}: {ending!r} is not a known image format. Choose from '
            f'{", ".join(sorted(known))}.'
        ]
    )
    if curves.partition('.')[0] not in HISTORY:
        found.append(
            f'--curves {curves}: history.json has no such part. Choose from '
            f'{", ".join(HISTORY)}.'
        )
    return found


def value_of(epoch: dict, name: str) -> Optional[float]:
    """Return a value of an epoch's entry in ``history.json``.

    Args:
        epoch (dict): Entry of one epoch.
        name (str): ``train_loss``, or a part and a pattern of names in it, such as
            ``metrics.accuracy/top1`` or ``losses.loss_ce*``.

    Returns:
        float, optional: Mean of all values that match; None if none matches.
    """
    part, _, pattern = name.partition('.')
    found = epoch.get(part)
    if isinstance(found, dict):
        found = [found[key] for key in fnmatch.filter(found, pattern or '*')] or None
    return None if found is None else float(np.mean(found))


def accuracy(epoch: dict) -> Optional[float]:
    """Return the validation accuracy of an epoch, in per cent."""
    return epoch.get('metrics', {}).get('accuracy/top1')


def weight_auroc(epoch: dict) -> Optional[float]:
    """Return the AUROC of clean probabilities against the planted noise."""
    return epoch.get('figures', {}).get('weight_auroc')
