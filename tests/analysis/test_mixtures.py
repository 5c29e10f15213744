"""Mixtures are drawn to the scale of the histogram, and are those of the model."""

import numpy as np
import pytest
import torch
from helpers import tiny_config, train

from mmfer.analysis.mixtures import measure_agreements, mixture_figure
from mmfer.analysis.runs import open_model
from mmfer.models import BetaMixture


def test_mixture_lies_on_the_histogram():
    """The area below it is that of the bars."""
    rng = np.random.default_rng(0)
    scores = np.where(
        rng.random(4000) < 0.3, rng.beta(2, 7, 4000), rng.beta(8, 2, 4000)
    )
    mixture = BetaMixture().fit(torch.from_numpy(scores))
    left, right = mixture_figure(
        {'one': (scores, mixture), 'other': (scores, None)}, scores < 0.3
    ).axes
    noisy, clean, both = (line.get_ydata() for line in left.lines)
    assert np.allclose(noisy + clean, both)
    area = np.trapezoid(both, left.lines[-1].get_xdata())
    assert area == pytest.approx(4000 / 50, rel=0.01)
    bars = sum(
        patch.get_height() for container in left.containers for patch in container
    )
    assert bars == 4000 and not right.lines


def test_noise_mixture_is_that_of_the_checkpoint(tmp_path):
    cfg = tiny_config(
        tmp_path,
        'resup/resup_r18_synthfaces_noise30',
        train_cfg__max_epochs=2,
        model__warmup_epochs=1,
        model__noise_model=dict(min_separation=None),
    )
    train(cfg)
    (config,) = tmp_path.glob('*.py')
    *_, checkpoint = sorted(tmp_path.glob('*.pth'))
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    panels, wrong, label = measure_agreements(*open_model(str(config), str(checkpoint)))
    assert list(panels) == ['network 1', 'network 2'] and 'cosine' in label
    for k, (scores, mixture) in enumerate(panels.values()):
        assert mixture.alpha.equal(state[f'noise_models.{k}.mixture.alpha'])
        assert len(scores) == len(wrong) and 0 < wrong.mean() < 0.5
        assert 0 <= scores.min() and scores.max() <= 1
