"""Features that the figures of the papers show."""

import numpy as np
import pytest
import torch
from helpers import tiny_config
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope

from mmfer.analysis.features import classified_features, embed, tsne_figure
from mmfer.registry import DATASETS, MODELS

METHODS = (
    'alum/alum_r18_synthfaces',
    'rul/rul_r18_synthfaces',
    'ce/ce_r18_synthfaces',
    'resup/resup_r18_synthfaces',
)


@pytest.mark.parametrize('name', METHODS)
def test_features_are_what_the_last_layer_classifies(name, tmp_path):
    cfg = tiny_config(tmp_path, name)
    init_default_scope('mmfer')
    torch.manual_seed(0)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.eval()
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    chosen = [3, 1, 40]
    features = classified_features(model, dataset, chosen)
    network = getattr(model, 'network1', model)
    fc = network.head.fc
    logits = features @ fc.weight.detach().numpy().T + fc.bias.detach().numpy()
    data = model.data_preprocessor(default_collate([dataset[i] for i in chosen]))
    with torch.no_grad():
        samples = network.predict(**data)
    scores = np.stack([sample.pred_score.numpy() for sample in samples])
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        shifted / shifted.sum(axis=1, keepdims=True), scores, rtol=1e-4
    )
    if name.startswith(('alum', 'rul')):
        with torch.no_grad():
            mean, _ = model.extract_feat(data['inputs'])
        np.testing.assert_allclose(features, mean.numpy(), rtol=1e-5)
        assert features.shape == (3, 64)


def test_panels_show_the_same_images():
    """Two clusters stay apart in both panels, and the legend stands there once."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    centres = np.where(labels, 50, -50)[:, None]
    points = {
        name: embed(centres + rng.normal(size=(80, dim)))
        for name, dim in (('a', 5), ('b', 9), ('c', 3))
    }
    for panel in points.values():
        inside = [np.ptp(panel[labels == k], axis=0).max() for k in (0, 1)]
        apart = np.linalg.norm(panel[labels == 0].mean(0) - panel[labels == 1].mean(0))
        assert apart > 0.5 * max(inside)
    figure = tsne_figure(points, labels, ['x', 'y'], columns=2)
    drawn = [axes for axes in figure.get_axes() if axes.collections]
    assert [axes.get_title() for axes in drawn] == ['a', 'b', 'c']
    for axes, panel in zip(drawn, points.values()):
        for k, scatter in enumerate(axes.collections):
            np.testing.assert_array_equal(scatter.get_offsets(), panel[labels == k])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['x', 'y']
