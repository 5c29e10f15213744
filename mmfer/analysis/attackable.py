"""Draw the samples of two classes in two dimensions, with those that GAAVE suspects."""

from typing import Optional, Sequence

import numpy as np
from matplotlib.figure import Figure

from mmfer.utils import palette


def draw_two_classes(
    labels: np.ndarray, classes: Sequence[int], count: int, seed: int
) -> np.ndarray:
    """Draw samples of two classes at random.

    Args:
        labels (np.ndarray): Given labels, int (N, ).
        classes (Sequence[int]): Two different classes.
        count (int): Number of samples to draw; all if there are fewer.
        seed (int): Seed of the draw.

    Returns:
        np.ndarray: Ascending rows, int64.

    Raises:
        ValueError: It is one class only, or a class has no sample.
    """
    missing = sorted(set(classes) - set(np.unique(labels).tolist()))
    if len(set(classes)) != 2 or missing:
        raise ValueError(
            f'classes={list(classes)}: name two different classes that have samples'
            + (f'; {missing} have none.' if missing else '.')
        )
    rows = np.flatnonzero(np.isin(labels, classes))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def principal_components(features: np.ndarray, count: int = 2) -> np.ndarray:
    """Project features on the directions in which they vary most.

    Args:
        features (np.ndarray): (N, D).
        count (int): Number of directions. Defaults to 2.

    Returns:
        np.ndarray: float64 (N, count). The largest entry of each direction is
        positive, so that the figure always has the same orientation.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:count]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    return centred @ axes.T


def attackable_figure(
    points: np.ndarray,
    labels: np.ndarray,
    candidate: np.ndarray,
    classes: Sequence[str],
    wrong: Optional[np.ndarray] = None,
) -> Figure:
    """Draw samples of two classes: by label, and with the candidates of GAAVE.

    Args:
        points (np.ndarray): Positions, (N, 2), see :func:`principal_components`.
        labels (np.ndarray): Given labels of two classes, int (N, ).
        candidate (np.ndarray): Whether GAAVE suspects the label, bool (N, ).
        classes (Sequence[str]): Class names of the data set.
        wrong (np.ndarray, optional): Whether the label is wrong, bool (N, ). None:
            this is not known. Defaults to None.
    """
    known = np.zeros(len(labels), dtype=bool) if wrong is None else wrong
    figure = Figure(figsize=(9.6, 4.6), layout='constrained')
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)

    def scatter(axes, chosen, colour, marker, name, **style):
        style = dict(dict(s=24, alpha=0.75, linewidths=0, c=colour), **style)
        label = f'{name} ({int(chosen.sum())})'
        axes.scatter(*points[chosen].T, marker=marker, label=label, **style)

    for axes, rest in ((left, ~known), (right, ~known & ~candidate)):
        for label, colour in zip(np.unique(labels), (palette.BLUE, palette.GREEN)):
            scatter(axes, rest & (labels == label), colour, 'o', classes[label])
    ring = dict(c='none', edgecolors=palette.SKY_BLUE, linewidths=1.2)
    right_name = 'candidate' if wrong is None else 'right label, candidate'
    scatter(right, ~known & candidate, None, 'o', right_name, **ring)
    if wrong is not None:
        name, noisy = 'wrong label', palette.VERMILION
        scatter(left, wrong, noisy, '^', name, s=36)
        scatter(right, wrong & ~candidate, noisy, '^', f'{name}, not found', s=36)
        found = f'{name}, candidate'
        scatter(right, wrong & candidate, palette.SKY_BLUE, '^', found, s=36)
    left.set(title='(a) given labels')
    right.set(title='(b) candidates of GAAVE')
    for axes in (left, right):
        axes.set(xlabel='first component', xticks=[], yticks=[])
        axes.legend(frameon=False, loc='upper center', bbox_to_anchor=(0.5, -0.08))
    left.set(ylabel='second component')
    return figure
