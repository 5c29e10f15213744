"""Measure how well predictions agree with labels, and draw fitted mixtures."""

from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.model import BaseModel

from mmfer.datasets import unaugmented
from mmfer.engine.scoring import predict_samples
from mmfer.models import LabelNoiseModel
from mmfer.models.dual_network import DualNetwork
from mmfer.registry import DATASETS
from mmfer.utils import palette

from .figures import finish

AGREEMENTS = dict(
    similarity='cosine of prediction and label',
    loss='1 - loss, scaled between its 5 % and 95 % quantiles',
)
"""Kinds of agreement scores, with their names on the axes of figures."""

Panel = Tuple[np.ndarray, Any]
"""Scores in [0, 1], (N,), and a fitted ``TwoComponentMixture`` or None.

Scores that were discarded before the fit are NaN.
"""


class TrainingPredictions(NamedTuple):
    """Predictions of the unaugmented training images.

    Attributes:
        networks (dict[str, np.ndarray]): Probabilities by each network (N, C), by
            its name; '' if there is only one.
        given (np.ndarray): Given labels, int64 (N,).
        wrong (np.ndarray, optional): Which given labels are wrong, bool (N,);
            None if clean labels are not known or equal the given ones.
        classes (tuple[str]): Names of the classes, (C,).
    """

    networks: Dict[str, np.ndarray]
    given: np.ndarray
    wrong: Optional[np.ndarray]
    classes: Tuple[str, ...]

    def log_prob(self, network: str) -> torch.Tensor:
        """Return the log-probabilities of a network, all finite, (N, C)."""
        probabilities = torch.from_numpy(self.networks[network])
        return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


class Agreements(NamedTuple):
    """Agreement of predictions and labels, for each network.

    Attributes:
        panels (dict[str, tuple]): By the name of the network, scores in [0, 1]
            (N,) and the mixture that is fitted to them; NaN for those that were
            discarded before the fit.
        wrong (np.ndarray, optional): Which labels are wrong, bool (N,); None
            if clean labels are not known or equal the given ones.
        label (str): Name of the scores, for an axis.
    """

    panels: Dict[str, Panel]
    wrong: Optional[np.ndarray]
    label: str


def predict_training_images(cfg: Config, model: BaseModel) -> TrainingPredictions:
    """Predict the unaugmented training images.

    Args:
        cfg (Config): Training config.
        model (BaseModel): Model with weights.
    """
    dataset = unaugmented(
        DATASETS.build(cfg.train_dataloader.dataset),
        DATASETS.build(cfg.val_dataloader.dataset).pipeline,
    )
    result = predict_samples(model, dataset, cfg.val_dataloader)
    ids = result['sample_id']
    given = dataset.given_labels[ids]
    wrong = None if dataset.clean_labels is None else given != dataset.clean_labels[ids]
    if wrong is not None and not wrong.any():
        wrong = None
    networks = (
        {f'network {k + 1}': result['network_scores'][:, k] for k in range(2)}
        if 'network_scores' in result
        else {'': result['pred_score']}
    )
    return TrainingPredictions(networks, given, wrong, tuple(dataset.CLASSES))


def measure_agreements(
    cfg: Config, model: BaseModel, agreement: Optional[str] = None
) -> Agreements:
    """Measure how well the predictions of each network agree with the labels.

    The scores are those of unaugmented training images. If a network has a
    noise model, its mixture is used. Otherwise a mixture is fitted here.

    Args:
        cfg (Config): Training config.
        model (BaseModel): Model with weights.
        agreement (str, optional): See :class:`LabelNoiseModel`. Defaults to
            None, the agreement of the model.
    """
    predicted = predict_training_images(cfg, model)
    panels: Dict[str, Panel] = {}
    kind = agreement or 'similarity'
    for k, title in enumerate(predicted.networks):
        noise_model = LabelNoiseModel(agreement=kind, min_separation=None)
        if isinstance(model, DualNetwork) and agreement is None:
            own = model.noise_models[k]
            assert isinstance(own, LabelNoiseModel)
            if own.fitted:
                noise_model = own.cpu()
                kind = noise_model.agreement
        values = noise_model.measure(
            predicted.log_prob(title), torch.from_numpy(predicted.given)
        )
        if not noise_model.fitted:
            noise_model.fit(values)
        scaled = noise_model.scale(values)
        scaled[noise_model.is_outlier(values)] = torch.nan
        panels[title] = (scaled.numpy(), noise_model.mixture)
    return Agreements(panels, predicted.wrong, AGREEMENTS[kind])


def mixture_figure(
    panels: Dict[str, Panel],
    wrong: Optional[np.ndarray] = None,
    label: str = 'score',
    bins: int = 50,
) -> Figure:
    """Draw histograms of scores, and the mixtures fitted to them.

    Args:
        panels (dict[str, tuple]): By title, scores in [0, 1] or NaN (N,), and
            a fitted :class:`TwoComponentMixture` or None.
        wrong (np.ndarray, optional): Which labels are wrong, bool (N,), if
            that is known.
        label (str): Name of the scores.
        bins (int): Number of bins. Defaults to 50.
    """
    figure = Figure(figsize=(6 * len(panels), 4), layout='constrained')
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    edges = np.linspace(0, 1, bins + 1)
    for axes, (title, (scores, mixture)) in zip(grid, panels.items()):
        kept = np.isfinite(scores)
        groups = [kept] if wrong is None else [kept & ~wrong, kept & wrong]
        heights = axes.hist(
            [scores[group] for group in groups],
            edges,
            stacked=True,
            label=['samples'] if wrong is None else ['right labels', 'wrong labels'],
            color=[palette.LIGHT_GREY]
            if wrong is None
            else [palette.SKY_BLUE, palette.ORANGE],
        )[0]
        if mixture is not None:
            _draw_mixture(axes, mixture, kept.sum() / bins)
        axes.set(xlabel=label, ylabel='samples', title=title, xlim=(0, 1))
        _cut_high_bars(axes, edges, np.atleast_2d(heights)[-1])
        finish(axes)
    return figure


def _draw_mixture(axes: Axes, mixture: Any, scale: float) -> None:
    """Draw both components of a mixture and their sum.

    Args:
        axes (Axes): Panel with a histogram.
        mixture (TwoComponentMixture): Fitted mixture.
        scale (float): Height of the histogram where the density is 1.
    """
    # U-shaped components are infinite at 0 and 1.
    at = np.linspace(0, 1, 501)[1:-1]
    densities = mixture.component_densities(torch.from_numpy(at)).cpu().numpy()
    parts = densities * scale
    for part, weight, name, line, colour in zip(
        parts,
        mixture.weight,
        ('noisy', 'clean'),
        ('--', '-.'),
        (palette.NOISY, palette.CLEAN),
    ):
        axes.plot(at, part, line, color=colour, label=f'{name}, {float(weight):.0%}')
    axes.plot(at, parts.sum(axis=0), color='black', label='mixture')


def _cut_high_bars(axes: Axes, edges: np.ndarray, bars: Sequence[float]) -> None:
    """Limit the height of a panel, and write the height beside each cut bar.

    The first and the last bar are often far higher than all others.

    Args:
        axes (Axes): Panel with a histogram.
        edges (np.ndarray): Edges of the bins, (bins + 1,).
        bars (Sequence[float]): Heights of the bars, (bins,).
    """
    top = np.sort(bars)
    highest = 1.2 * max(top[-1] if top[-1] < 4 * top[-3] else 1.5 * top[-3], 1)
    axes.set_ylim(0, highest)
    for left, bar in zip(edges, bars):
        if bar > highest:
            in_right_half = left > 0.5
            axes.annotate(
                f'{bar:.0f}',
                (left + (not in_right_half) / len(bars), highest),
                (-6 if in_right_half else 6, -4),
                textcoords='offset points',
                ha='right' if in_right_half else 'left',
                va='top',
                fontsize=9,
            )
