"""Helpers of the heads: labels, losses, uncertainty of predictions."""

import math

import pytest
import torch
from mmpretrain.structures import DataSample

from mmfer.models.heads import (
    GaussianHead,
    label_cross_entropy,
    least_confidence,
    stack_labels,
)
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.registry import MODELS


def test_stack_labels():
    labels = stack_labels([DataSample().set_gt_label(label) for label in (3, 0, 6)])
    assert labels.dtype == torch.int64 and labels.tolist() == [3, 0, 6]


def test_least_confidence():
    scores = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    assert least_confidence(scores).tolist() == pytest.approx([0.3, 0.6])


def test_label_cross_entropy_sums_labels_and_averages_the_batch():
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0]), torch.tensor([2, 1, 1, 1])
    want = 0
    for row, *own in zip(logits.tolist(), *labels, strict=True):
        for label in own:
            want -= math.log(math.exp(row[label]) / sum(math.exp(v) for v in row))
    assert label_cross_entropy(logits, labels).item() == pytest.approx(want / 4)
    assert torch.autograd.gradcheck(lambda x: label_cross_entropy(x, labels), logits)


def test_prediction_classifies_the_mean():
    torch.manual_seed(0)
    head = GaussianHead(num_classes=4, in_channels=6)
    mean, log_var = torch.randn(2, 5, 6)
    samples = head.predict(GaussianFeature(mean, log_var))
    again = head.predict(GaussianFeature(mean, log_var + 1))
    scores = (mean @ head.fc.weight.T + head.fc.bias).softmax(1)
    for i, (sample, other) in enumerate(zip(samples, again, strict=True)):
        torch.testing.assert_close(sample.pred_score, scores[i])
        assert sample.pred_label.item() == scores[i].argmax().item()
        assert sample.uncertainty.item() == pytest.approx(
            log_var[i].exp().mean().item()
        )
        # The variance changes the uncertainty and nothing else.
        assert torch.equal(sample.pred_score, other.pred_score)
        assert other.uncertainty.item() == pytest.approx(
            math.e * sample.uncertainty.item()
        )


def test_given_data_samples_are_filled_in():
    head = GaussianHead(num_classes=4, in_channels=6)
    given = [DataSample().set_gt_label(1), None]
    samples = head.predict(GaussianFeature(*torch.randn(2, 2, 6)), given)
    assert samples[0] is given[0] and samples[0].gt_label.item() == 1
    assert samples[1].uncertainty > 0


def test_soft_labels_are_refused():
    """With MixUp on top, mixed images would be trained on unmixed labels."""
    sample = DataSample().set_gt_label(1).set_gt_score(torch.tensor([0.4, 0.6]))
    with pytest.raises(ValueError, match='MixUp'):
        stack_labels([sample])


def test_unknown_uncertainty_is_named():
    with pytest.raises(
        ValueError, match="uncertainty must be 'arithmetic', .* got 'median'"
    ):
        GaussianHead(3, 4, uncertainty='median')


def test_confidence_instead_of_what_was_learned():
    head = GaussianHead(3, 4, uncertainty='confidence')
    mean, log_var = torch.randn(2, 5, 4)
    for i, sample in enumerate(head.predict(GaussianFeature(mean, log_var))):
        logits = (
            head.fc.weight.double() @ mean[i].double() + head.fc.bias.double()
        ).tolist()
        top = max(logits)
        expected = 1 - 1 / sum(math.exp(v - top) for v in logits)
        assert sample.uncertainty.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize('name', ['ALUMHead', 'RULHead'])
def test_feature_of_another_neck(name):
    """Pooling gives a tuple with one tensor, and no variance."""
    head = MODELS.build(dict(type=name, num_classes=4, in_channels=6))
    feats = (torch.randn(2, 6),)
    samples = [DataSample().set_gt_label(label) for label in (0, 1)]
    for call in (lambda: head.loss(feats, samples), lambda: head.predict(feats)):
        with pytest.raises(ValueError, match=f'{name} needs .*UncertaintyNeck'):
            call()
