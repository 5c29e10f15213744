"""Features of images by one or several models, in two dimensions."""

from typing import Dict, Optional, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.dataset import default_collate
from mmengine.model import BaseModel

from mmfer.apis.images import in_chunks
from mmfer.datasets import FERDataset

from .figures import style_of


@torch.no_grad()
def classified_features(
    model: BaseModel, dataset: FERDataset, positions: Sequence[int]
) -> np.ndarray:
    """Compute the features that the last layer of a model classifies.

    After an ``UncertaintyNeck`` (RUL, ALUM), this is the mean vector mu. In other
    models it is the pooled map of the backbone.

    Args:
        model (BaseModel): Classifier in eval mode.
        dataset (FERDataset): Images and their pipeline.
        positions (Sequence[int]): Positions of n images in the data set.

    Returns:
        np.ndarray: float32 (n, D).
    """
    found = []
    for chunk in in_chunks(list(positions), 128):
        data = model.data_preprocessor(default_collate([dataset[i] for i in chunk]))
        features = model.extract_feat(data['inputs'], stage='pre_logits')
        found.append(features.float().flatten(1).cpu().numpy())
    return np.concatenate(found)


def embed(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Embed features in two dimensions by t-SNE, initialised by PCA.

    Args:
        features (np.ndarray): (N, D).
        seed (int): Seed of t-SNE. Defaults to 0.

    Returns:
        np.ndarray: (N, 2).
    """
    from sklearn.manifold import TSNE

    return TSNE(
        init='pca', random_state=seed, perplexity=min(30, (len(features) - 1) / 3)
    ).fit_transform(features)


def tsne_figure(
    points: Dict[str, np.ndarray],
    labels: np.ndarray,
    classes: Sequence[str],
    columns: Optional[int] = None,
) -> Figure:
    """Draw the embedded features of the same images by several models.

    Args:
        points (dict[str, np.ndarray]): Result of :func:`embed`, (N, 2) each, by
            title of the panel.
        labels (np.ndarray): int (N,).
        classes (Sequence[str]): Class names.
        columns (int, optional): Panels side by side. Defaults to None: all.
    """
    columns = min(columns or len(points), len(points))
    rows = -(-len(points) // columns)
    side = 5.2 if len(points) == 1 else 3.6
    figure = Figure(figsize=(side * columns + 1.4, side * rows), layout='constrained')
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(points) :]:
        axes.axis('off')
    for axes, (title, panel) in zip(grid, points.items()):
        for k, name in enumerate(classes):
            chosen = panel[labels == k]
            style = style_of(k)
            axes.scatter(
                chosen[:, 0],
                chosen[:, 1],
                s=12,
                alpha=0.7,
                linewidths=0,
                label=name,
                c=style['color'],
                marker=style['marker'],
            )
        axes.set(xticks=[], yticks=[])
        if len(points) > 1:
            axes.set_title(title, fontsize=11)
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        frameon=False,
        loc='outside right center',
        markerscale=1.6,
    )
    return figure
