"""Draw faces in the order of their uncertainty, for one model or for several."""

from typing import Dict, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmfer.utils import palette

from .examples import check_same_images
from .predictions import Predictions


def uncertain_figure(
    run: Predictions,
    images: Dict[int, np.ndarray],
    shown: Tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    columns: int = 8,
) -> Figure:
    """Draw the most and the least uncertain images.

    Args:
        run (Predictions): Predictions of one model.
        images (dict[int, np.ndarray]): Images by position in ``run``, grey
            (H, W) or RGB (H, W, 3).
        shown (tuple[np.ndarray, np.ndarray]): Positions of the most and the
            least uncertain images, see :func:`extremes`.
        classes (Sequence[str]): Class names.
        columns (int): Images side by side. Defaults to 8.
    """
    rows = [-(-len(part) // columns) for part in shown]
    figure = Figure(
        figsize=(1.25 * columns, 1.75 * sum(rows) + 0.9), layout='constrained'
    )
    parts = figure.subfigures(2, 1, height_ratios=rows)
    assert isinstance(parts, np.ndarray)
    titles = ('most uncertain', 'least uncertain')
    for part, positions, title, count in zip(parts, shown, titles, rows):
        wrong = (~run.correct[positions]).mean()
        part.suptitle(f'{title}: {100 * wrong:.0f} % wrong', fontsize=11)
        grid = part.subplots(count, columns, squeeze=False).ravel()
        for axes in grid:
            axes.axis('off')
        for axes, i in zip(grid, positions):
            axes.axis('on')
            axes.imshow(images[int(i)], cmap='gray', vmin=0, vmax=255)
            _frame(axes, bool(run.correct[i]))
            name = classes[run.predicted[i]]
            below = name if run.correct[i] else f'{name}\n(is {classes[run.labels[i]]})'
            axes.set_xlabel(f'{below}\n{run.uncertainty[i]:.3g}', fontsize=7)
    return figure


def _frame(axes: Axes, right: bool) -> None:
    """Frame an image by whether its prediction is right."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        # Longer caps would fill the gaps between the dashes.
        spine.set(
            color=palette.RIGHT if right else palette.WRONG,
            linewidth=3,
            linestyle='-' if right else (0, (2, 1)),
            capstyle='butt',
        )


def extremes(uncertainty: np.ndarray, count: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the positions of the most and of the least uncertain samples.

    Args:
        uncertainty (np.ndarray): Larger is less sure, (N,).
        count (int): Number of samples of each kind.

    Returns:
        tuple[np.ndarray, np.ndarray]: int64 (count,) each, or (N,) if there
        are fewer samples.
    """
    order = np.argsort(uncertainty, kind='stable')
    return order[::-1][:count], order[:count]


def hard_examples(runs: Dict[str, Predictions], count: int) -> np.ndarray:
    """Choose images that one of several models predicts wrong.

    They are taken at equal steps of the first model's order, so the first model is sure
    of some of them and unsure of others.

    Args:
        runs (dict[str, Predictions]): Predictions of the same images, by name.
        count (int): Number of images.

    Returns:
        np.ndarray: Positions, int64 (count,) or fewer, the most uncertain one of the
        first model first.

    Raises:
        ValueError: The runs have different images, or none is predicted wrong.
    """
    check_same_images(runs)
    first = next(iter(runs.values()))
    hard = ~np.all([run.correct for run in runs.values()], axis=0)
    order = np.argsort(-first.uncertainty, kind='stable')
    order = order[hard[order]]
    if not len(order):
        raise ValueError(
            f'{" and ".join(runs)} predict all images right, so there are no hard ones '
            'to compare.'
        )
    if len(order) <= count:
        return order
    return order[np.linspace(0, len(order) - 1, count).round().astype(int)]


def share_below(uncertainty: np.ndarray) -> np.ndarray:
    """Return the share of the other images that a model is surer of, in [0, 1].

    Uncertainties of two models have different scales, their shares have the same one.

    Args:
        uncertainty (np.ndarray): Larger is less sure, (N,).

    Returns:
        np.ndarray: (N,); images with equal uncertainties have equal shares.
    """
    ranks = np.searchsorted(np.sort(uncertainty), uncertainty)
    return ranks / max(len(uncertainty) - 1, 1)


def compared_figure(
    runs: Dict[str, Predictions],
    images: Dict[int, np.ndarray],
    shown: np.ndarray,
    classes: Sequence[str],
    columns: int = 8,
) -> Figure:
    """Draw the same faces with the uncertainty and the prediction of each model.

    Args:
        runs (dict[str, Predictions]): Predictions of the same images, by name.
        images (dict[int, np.ndarray]): Images by position, grey (H, W) or RGB
            (H, W, 3).
        shown (np.ndarray): Positions in the order of the figure, (n,).
        classes (Sequence[str]): Class names.
        columns (int): Images side by side. Defaults to 8.
    """
    rows = -(-len(shown) // columns)
    height = 1.5 + 0.17 * len(runs)
    figure = Figure(figsize=(1.5 * columns, height * rows + 0.7), layout='constrained')
    names = list(runs)
    shares = {name: share_below(run.uncertainty) for name, run in runs.items()}
    figure.suptitle(
        f'largest uncertainty of {names[0]} first; 87 %: more uncertain than 87 % of '
        'all images',
        fontsize=11,
    )
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis('off')
    for axes, i in zip(grid, map(int, shown)):
        axes.imshow(images[i], cmap='gray', vmin=0, vmax=255)
        label = runs[names[0]].labels[i]
        axes.set_title(classes[label], fontsize=8, color=palette.BLUE, pad=3)
        for line, (name, run) in enumerate(runs.items()):
            right = bool(run.correct[i])
            axes.annotate(
                f'{name} {100 * shares[name][i]:.0f} % {classes[run.predicted[i]]} '
                + ('\u2713' if right else '\u2717'),
                (0.5, 0),
                xycoords='axes fraction',
                xytext=(0, -9 - 10 * line),
                textcoords='offset points',
                ha='center',
                va='center',
                fontsize=7,
                color=palette.RIGHT if right else palette.WRONG,
            )
    return figure
