"""Work dirs of mmfer 0.1 still give the predictions that 0.1 gave.

``tests/data/checkpoints_0.1`` has what two runs of 0.1 left, on tiny networks:
the dumped config (``.py.txt``), the last checkpoint (``.pth.gz``), and for four
random images what ``FERInferencer`` of 0.1 returned (``predictions.json``).
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmfer import FERInferencer

DATA = Path(__file__).parents[1] / 'data/checkpoints_0.1'


@pytest.fixture
def old_work_dir(tmp_path):
    """Return a function that restores the work dir of a method."""

    def restore(method):
        config = (DATA / f'{method}.py.txt').read_text()
        (tmp_path / f'{method}.py').write_text(config)
        with gzip.open(DATA / f'{method}.pth.gz') as file:
            (tmp_path / 'epoch_2.pth').write_bytes(file.read())
        (tmp_path / 'last_checkpoint').write_text('work_dirs/moved/epoch_2.pth')
        return tmp_path

    return restore


@pytest.mark.parametrize('method', ['alum', 'resup'])
def test_predictions_of_old_checkpoints(old_work_dir, method):
    fer = FERInferencer(old_work_dir(method), device='cpu')
    faces = np.random.default_rng(0).integers(0, 256, (4, 36, 36), np.uint8)
    expected = json.loads((DATA / 'predictions.json').read_text())[method]
    for result, old in zip(fer(list(faces)), expected, strict=True):
        assert result['pred_class'] == old['pred_class']
        found = list(result['pred_scores'].values())
        assert found == pytest.approx(old['pred_scores'], abs=1e-6)
        assert result['uncertainty'] == pytest.approx(old['uncertainty'], rel=1e-5)


def test_noise_models_of_old_checkpoints(old_work_dir):
    """Fits are stored as buffers, so that a resumed run has the same weights."""
    folder = old_work_dir('resup')
    model = FERInferencer(folder, device='cpu').model
    state = torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict']
    assert set(state) == set(model.state_dict())
    for k, noise_model in enumerate(model.noise_models):
        assert noise_model.fitted
        prefix = f'noise_models.{k}.'
        assert torch.equal(noise_model.table, state[f'{prefix}table'])
        assert torch.equal(noise_model.mixture.alpha, state[f'{prefix}mixture.alpha'])
        weights = noise_model.weigh(torch.tensor([0.05, 0.95]))
        assert weights[0] < weights[1]
