"""Cross-entropy head."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample

from mmfer.registry import MODELS


def build():
    return MODELS.build(dict(type='CEHead', num_classes=3, in_channels=4))


def test_loss_is_cross_entropy():
    head, x = build(), torch.randn(5, 4)
    labels = torch.tensor([0, 2, 1, 1, 0])
    losses = head.loss((x,), [DataSample().set_gt_label(y) for y in labels])
    torch.testing.assert_close(losses['loss'], F.cross_entropy(head.fc(x), labels))


@pytest.mark.parametrize('given', [True, False])
def test_uncertainty_is_least_confidence(given):
    head, x = build(), torch.randn(5, 4)
    samples = [DataSample() for _ in range(5)] if given else None
    for sample in head.predict((x,), samples):
        assert sample.uncertainty.shape == ()
        assert sample.uncertainty.item() == pytest.approx(
            1 - sample.pred_score.max().item(), abs=1e-6
        )
        assert 0 <= sample.uncertainty < 1
