"""Images with the predictions of several runs, to compare them by eye."""

from typing import Dict, Sequence

import numpy as np
from matplotlib.figure import Figure

from mmfer.utils import palette

from .predictions import Predictions


def check_same_images(runs: Dict[str, Predictions]) -> None:
    """Check that all runs have predictions for the same images.

    Args:
        runs (dict[str, Predictions]): Predictions by name.

    Raises:
        ValueError: Two runs have other images, or other labels of them.
    """
    names = list(runs)
    first = runs[names[0]]
    for name in names[1:]:
        for what in ('sample_id', 'labels', 'images'):
            if not np.array_equal(getattr(first, what), getattr(runs[name], what)):
                raise ValueError(
                    f'{names[0]} and {name} have predictions for different images '
                    f'({what} differ). Name runs that were tested on the same data '
                    'set.'
                )


def choose_examples(
    correct: np.ndarray, rows: int, columns: int, seed: int = 0
) -> np.ndarray:
    """Choose images for a grid: right predictions of the last run, then wrong ones.

    In all columns but the last one, the last run is right. Images on which most of
    the other runs are wrong come first. In the last column, the last run is wrong.
    The choice among equal images is random.

    Args:
        correct (np.ndarray): Whether each prediction is right, bool (runs, N).
        rows (int): Rows of the grid.
        columns (int): Columns of the grid, at least 2.
        seed (int): Seed of the choice. Defaults to 0.

    Returns:
        np.ndarray: Positions of the images, int64 (rows, columns), row by row; -1
        where there are no such images.
    """
    order = np.random.default_rng(seed).permutation(correct.shape[1])
    order = order[np.argsort(correct[:-1, order].sum(axis=0), kind='stable')]
    right = order[correct[-1, order]][: rows * (columns - 1)]
    wrong = order[~correct[-1, order]][:rows]
    grid = np.full((rows, columns), -1)
    successes = np.full(rows * (columns - 1), -1)
    successes[: len(right)] = right
    grid[:, :-1] = successes.reshape(rows, columns - 1)
    grid[: len(wrong), -1] = wrong
    return grid


def examples_figure(
    runs: Dict[str, Predictions],
    images: Dict[int, np.ndarray],
    grid: np.ndarray,
    classes: Sequence[str],
) -> Figure:
    """Draw images with their label and the prediction of each run.

    The title has the numbers of the runs. Wrong predictions have a cross.

    Args:
        runs (dict[str, Predictions]): Predictions by name.
        images (dict[int, np.ndarray]): Images by position, grey (H, W) or RGB
            (H, W, 3).
        grid (np.ndarray): Positions, see :func:`choose_examples`.
        classes (Sequence[str]): Class names.
    """
    rows, columns = grid.shape
    lines = 1 + len(runs)
    figure = Figure(
        figsize=(1.3 * columns, (1.3 + 0.16 * lines) * rows + 0.2 * lines),
        layout='constrained',
    )
    names = ['L: label', *(f'{number}: {name}' for number, name in enumerate(runs, 1))]
    figure.suptitle('\n'.join(names), fontsize=8, ha='left', x=0.02)
    places = figure.subplots(rows, columns, squeeze=False)
    labels = next(iter(runs.values())).labels
    for axes, i in zip(places.ravel(), grid.ravel()):
        axes.axis('off')
        if i < 0:
            continue
        axes.imshow(images[int(i)], cmap='gray', vmin=0, vmax=255)
        texts = [(f'L: {classes[labels[i]]}', palette.DARK_GREY)]
        for number, run in enumerate(runs.values(), 1):
            colour = palette.RIGHT if run.correct[i] else palette.WRONG
            mark = '' if run.correct[i] else ' \N{BALLOT X}'
            texts.append((f'{number}: {classes[run.predicted[i]]}{mark}', colour))
        for line, (text, colour) in enumerate(texts):
            axes.annotate(
                text,
                (0, 0),
                xytext=(0, -9 - 9 * line),
                xycoords='axes fraction',
                textcoords='offset points',
                fontsize=7,
                color=colour,
                va='bottom',
            )
    return figure
