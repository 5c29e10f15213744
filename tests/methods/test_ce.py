"""Cross-entropy head."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch
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


@pytest.mark.parametrize('options', [{}, dict(cal_acc=True, topk=(1,))])
@pytest.mark.parametrize('soft', [False, True])
def test_loss_of_a_batch_is_that_of_mmpretrain(options, soft):
    if soft and options:
        pytest.skip('mmpretrain has no accuracy of soft labels')
    samples = [DataSample().set_gt_label(i % 3) for i in range(5)]
    if soft:
        for i, sample in enumerate(samples):
            sample.set_gt_score(torch.tensor([0.2, 0.3, 0.5]).roll(i))
        options = dict(options, loss=dict(type='CrossEntropyLoss', use_soft=True))
    settings = dict(num_classes=3, in_channels=4, **options)
    ours = MODELS.build(dict(type='CEHead', **settings))
    theirs = MODELS.build(dict(type='LinearClsHead', **settings))
    theirs.load_state_dict(ours.state_dict())
    feats = (torch.randn(5, 4),)
    expected = theirs.loss(feats, samples)
    for batch in (samples, SampleBatch.from_samples(samples)):
        found = ours.loss(feats, batch)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(torch.as_tensor(found[name]), torch.as_tensor(value))
    if not options:
        assert batch._samples is None, 'no data samples are made in a step'
