"""Draw predictions and histories of runs as matplotlib figures."""

from typing import Dict, List, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmfer.evaluation.functional import expected_calibration_error
from mmfer.utils import palette

from .predictions import Predictions

HISTORY_PARTS = ('metrics', 'training', 'losses', 'figures')
"""Parts of an entry of ``history.json`` with values that are drawn over the epochs.

``training`` is written by :class:`~mmfer.engine.hooks.SampleScoresHook`, and
``figures`` by methods, such as the losses of a game."""

MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')
"""Markers of the series in a figure, in this order."""


def style_of(number: int) -> dict:
    """Return the colour and the marker of a series; they differ for 56 series.

    Args:
        number (int): Number of the series in the figure, from 0.
    """
    count = len(palette.SERIES)
    return dict(
        color=palette.SERIES[number % count],
        marker=MARKERS[(number + number // count) % len(MARKERS)],
    )


def accuracy_after_rejection(
    correct: np.ndarray, uncertainty: np.ndarray, rates: np.ndarray
) -> np.ndarray:
    """Compute :func:`rejection_accuracy` for several rates at once.

    Args:
        correct (np.ndarray): bool (N,).
        uncertainty (np.ndarray): Larger is less sure, (N,).
        rates (np.ndarray): Shares to reject, in [0, 1), (R,).

    Returns:
        np.ndarray: Per cent, (R,).
    """
    order = np.argsort(uncertainty, kind='stable')
    hits = np.cumsum(np.asarray(correct, dtype=np.float64)[order])
    kept = len(order) - np.round(np.asarray(rates) * len(order)).astype(int)
    return 100 * hits[kept - 1] / kept


def rejection_figure(runs: Dict[str, Predictions], highest: float = 0.5) -> Figure:
    """Draw the accuracy on the images that remain after a rejection.

    Solid lines reject by the learned uncertainty, dashed lines by one minus the
    confidence. Their distance shows the gain from the learned uncertainty, which
    papers do not report.

    Args:
        runs (dict[str, Predictions]): Predictions by name.
        highest (float): Largest share to reject, at the right end. Defaults to 0.5.
    """
    figure = Figure(figsize=(6.4, 4.2), layout='constrained')
    axes = figure.subplots()
    rates = np.linspace(0, highest, 51)
    for number, (name, run) in enumerate(runs.items()):
        style = dict(style_of(number), markevery=10, markersize=5)
        # Without a learned uncertainty, both lines would be the same.
        if not np.allclose(run.uncertainty, 1 - run.confidence):
            axes.plot(
                100 * rates,
                accuracy_after_rejection(run.correct, run.uncertainty, rates),
                '-',
                label=f'{name}, by uncertainty',
                **style,
            )
        axes.plot(
            100 * rates,
            accuracy_after_rejection(run.correct, 1 - run.confidence, rates),
            '--',
            label=f'{name}, by confidence',
            fillstyle='none',
            **style,
        )
    axes.set(xlabel='rejected, %', ylabel='accuracy on the others, %')
    finish(axes)
    return figure


def confusion_figure(run: Predictions, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix, in per cent of the true classes (rows).

    Args:
        run (Predictions): Predictions of one model.
        classes (Sequence[str]): Class names.
    """
    count = len(classes)
    matrix = np.zeros((count, count))
    np.add.at(matrix, (run.labels, run.predicted), 1)
    totals = matrix.sum(axis=1, keepdims=True)
    share = 100 * np.divide(matrix, totals, where=totals > 0, out=np.zeros_like(matrix))
    side = 2.2 + 0.55 * count
    figure = Figure(figsize=(side + 0.6, side), layout='constrained')
    axes = figure.subplots()
    shown = axes.imshow(share, vmin=0, vmax=100, cmap='cividis')
    for i in range(count):
        for j in range(count):
            axes.text(
                j,
                i,
                f'{share[i, j]:.0f}',
                ha='center',
                va='center',
                color='white' if share[i, j] < 55 else 'black',
            )
    axes.set_xticks(
        range(count), classes, rotation=45, ha='right', rotation_mode='anchor'
    )
    axes.set_yticks(
        range(count),
        [f'{name} ({int(total)})' for name, total in zip(classes, totals[:, 0])],
    )
    axes.set(
        xlabel='predicted',
        ylabel='true (images)',
        title=f'accuracy {100 * run.correct.mean():.1f} %, '
        f'mean class {share.diagonal()[totals[:, 0] > 0].mean():.1f} %',
    )
    figure.colorbar(shown, label='% of the true class', shrink=0.8)
    return figure


def reliability_figure(runs: Dict[str, Predictions], bins: int = 15) -> Figure:
    """Draw accuracy over confidence, with the expected calibration error.

    Args:
        runs (dict[str, Predictions]): Predictions by name.
        bins (int): Number of bins of equal width. Defaults to 15.
    """
    figure = Figure(figsize=(6.4, 5.6), layout='constrained')
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color=palette.DARK_GREY, linewidth=1, label='calibrated')
    edges = np.linspace(0, 1, bins + 1)
    for number, (name, run) in enumerate(runs.items()):
        error, confidence, accuracy, share = expected_calibration_error(
            run.confidence, run.correct, bins
        )
        filled = share > 0
        style = style_of(number)
        upper.plot(
            confidence[filled],
            accuracy[filled],
            label=f'{name}, ECE {100 * error:.1f} %',
            **style,
        )
        lower.stairs(100 * share, edges, color=style['color'])
    upper.set(ylabel='accuracy', xlim=(0, 1), ylim=(0, 1))
    lower.set(xlabel='confidence', ylabel='images, %')
    finish(upper)
    lower.grid(alpha=0.3)
    return figure


def browse_figure(
    images: Sequence[Sequence[np.ndarray]], labels: Sequence[str]
) -> Figure:
    """Draw rows of images, with a label to the left of each row.

    Args:
        images (Sequence[Sequence[np.ndarray]]): Rows of images, BGR (H, W, 3)
            or grey (H, W, 1), uint8.
        labels (Sequence[str]): Label of each row.
    """
    figure = Figure(
        figsize=(1.2 * len(images[0]) + 1, 1.2 * len(images)), layout='constrained'
    )
    grid = figure.subplots(len(images), len(images[0]), squeeze=False)
    for places, row, label in zip(grid, images, labels):
        for axes, image in zip(places, row):
            axes.imshow(
                image[..., 0] if image.shape[2] == 1 else image[..., ::-1],
                cmap='gray',
                vmin=0,
                vmax=255,
            )
            axes.set(xticks=[], yticks=[])
        places[0].set_ylabel(label, rotation=0, ha='right', va='center', fontsize=9)
    return figure


def learning_figure(histories: Dict[str, List[dict]], metrics: Sequence[str]) -> Figure:
    """Draw metrics over epochs, of one or several runs.

    Args:
        histories (dict[str, list[dict]]): ``history.json`` of each run, by
            name.
        metrics (Sequence[str]): Names in :data:`HISTORY_PARTS` of the entries.
            The lines of the first metric are solid, those of the others are
            dashed or dotted. If a run lacks a metric, its line is omitted.

    Raises:
        ValueError: No run has any of the metrics.
    """
    figure = Figure(figsize=(6.4, 4), layout='constrained')
    axes = figure.subplots()
    series = [
        (name, metric, points)
        for name, history in histories.items()
        for metric in metrics
        if (points := _metric_points(history, metric))
    ]
    if not series:
        known = sorted(
            {
                metric
                for history in histories.values()
                for entry in history
                for metric in _numbers(entry)
            }
        )
        raise ValueError(
            f'no run has {", ".join(metrics)}. history.json has '
            f'{", ".join(known)}. Choose from these with --metrics.'
            if known
            else 'no history.json has any metric: no epoch has been validated yet.'
        )
    names, shown = list(histories), {metric for _, metric, _ in series}
    for name, metric, points in series:
        epochs, values = zip(*points)
        axes.plot(
            epochs,
            values,
            ('-', '--', ':', '-.')[metrics.index(metric) % 4],
            markevery=max(1, len(points) // 6),
            markersize=5,
            label=f'{name}, {metric}' if len(shown) > 1 else name,
            **style_of(names.index(name)),
        )
    axes.set(xlabel='epoch', ylabel=shown.pop() if len(shown) == 1 else '%')
    finish(axes)
    return figure


def _metric_points(history: List[dict], metric: str) -> List[Tuple[int, float]]:
    """Return pairs of epoch and value, for the epochs that have a metric."""
    return [
        (entry['epoch'], values[metric])
        for entry in history
        if metric in (values := _numbers(entry))
    ]


def _numbers(entry: dict) -> Dict[str, float]:
    """Return the numbers in an entry of a history, by name."""
    return {
        name: value
        for part in HISTORY_PARTS
        for name, value in (entry.get(part) or {}).items()
        if isinstance(value, (int, float))
    }


def finish(axes: Axes) -> None:
    """Add a grid and a legend to a finished panel.

    Args:
        axes (Axes): Panel whose series are drawn.
    """
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
