"""Losses and similarities of training images, by class and epoch (ReSup, Fig. 7)."""

from typing import Dict, NamedTuple, Optional

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmfer.models.label_noise_model import negative_loss, similarity
from mmfer.utils import palette

from .figures import finish
from .mixtures import TrainingPredictions

# Share of the losses on the axis; the few larger ones are drawn at its end.
SHOWN = 0.99


class EpochAgreements(NamedTuple):
    """Agreement of the predictions of one network with the given labels.

    Attributes:
        losses (np.ndarray): Cross-entropy of each training image, (N,).
        similarities (np.ndarray): Cosine of prediction and given label, (N,).
        given (np.ndarray): Given labels, int64 (N,).
        wrong (np.ndarray, optional): Which given labels are wrong, bool (N,), if
            that is known.
    """

    losses: np.ndarray
    similarities: np.ndarray
    given: np.ndarray
    wrong: Optional[np.ndarray]


def measure_epoch(predicted: TrainingPredictions, network: int = 1) -> EpochAgreements:
    """Measure losses and similarities of all training images.

    Args:
        predicted (TrainingPredictions): Predictions by the weights of an epoch.
        network (int): 1 or 2, for models of two networks. Defaults to 1.

    Raises:
        ValueError: The model has no such network.
    """
    names = list(predicted.networks)
    if not 1 <= network <= len(names):
        raise ValueError(
            f'there is no network {network}: the model has {len(names)}. Choose '
            'another one with --network.'
        )
    log_prob = predicted.log_prob(names[network - 1])
    labels = torch.from_numpy(predicted.given)
    return EpochAgreements(
        -negative_loss(log_prob, labels).numpy(),
        similarity(log_prob, labels).numpy(),
        predicted.given,
        predicted.wrong,
    )


def epoch_figure(
    epochs: Dict[str, EpochAgreements], shown: Dict[str, int], bins: int = 50
) -> Figure:
    """Draw a row of histograms for each epoch.

    A row has the losses of the images that are labelled as each shown class, the
    losses of all images, and the similarities of all images.

    Args:
        epochs (dict[str, EpochAgreements]): Measurements, by the name of the epoch.
        shown (dict[str, int]): Numbers of the shown classes, by their names.
        bins (int): Number of bins. Defaults to 50.
    """
    columns = len(shown) + 2
    figure = Figure(
        figsize=(3.6 * columns, 2.8 * len(epochs) + 0.3), layout='constrained'
    )
    grid = figure.subplots(len(epochs), columns, squeeze=False)
    losses = np.concatenate([found.losses for found in epochs.values()])
    # One axis for all, so that the panels can be compared.
    edges = np.linspace(0, max(np.quantile(losses, SHOWN), 1e-3), bins + 1)
    for row, (epoch, found) in zip(grid, epochs.items()):
        everything = np.ones(len(found.given), dtype=bool)
        groups = {name: found.given == number for name, number in shown.items()}
        for axes, (name, group) in zip(
            row, {**groups, 'all classes': everything}.items()
        ):
            _draw(axes, found.losses.clip(max=edges[-1]), group, found.wrong, edges)
            axes.set(title=f'{epoch}, {name}', xlabel='loss')
        _draw(
            row[-1],
            found.similarities,
            everything,
            found.wrong,
            np.linspace(0, 1, bins + 1),
        )
        row[-1].set(title=f'{epoch}, all classes', xlabel='similarity')
        row[0].set_ylabel('training images')
    finish(grid[0, 0])
    return figure


def _draw(
    axes: Axes,
    values: np.ndarray,
    group: np.ndarray,
    wrong: Optional[np.ndarray],
    edges: np.ndarray,
) -> None:
    """Draw the histogram of a group; right and wrong labels one over the other."""
    parts = {'samples': (group, palette.GREY)}
    if wrong is not None:
        parts = {
            'right labels': (group & ~wrong, palette.SKY_BLUE),
            'wrong labels': (group & wrong, palette.ORANGE),
        }
    for name, (chosen, colour) in parts.items():
        axes.hist(values[chosen], edges.tolist(), label=name, color=colour, alpha=0.65)
    axes.set_xlim(edges[0], edges[-1])
    axes.grid(alpha=0.3)
