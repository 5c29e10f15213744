import itertools

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample
from sklearn import metrics as reference

from mmfer.evaluation import (MeanClassAccuracy, RejectionAccuracy, auroc,
                              mean_class_accuracy, rejection_accuracy)


def test_auroc_by_counting_pairs():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = rng.integers(0, 6, 30).astype(float)
        positive = rng.random(30) < .4
        pairs = [(a > b) + .5 * (a == b) for a, b in itertools.product(
            scores[positive], scores[~positive])]
        assert auroc(scores, positive) == pytest.approx(np.mean(pairs))


def test_auroc_of_one_group():
    assert auroc(np.arange(3.), np.ones(3, bool)) is None
    assert auroc(np.arange(3.), np.zeros(3, bool)) is None


def test_rejection_accuracy():
    correct = np.array([1, 0, 1, 1, 0], bool)
    uncertainty = np.array([.1, .9, .2, .3, .8])
    assert rejection_accuracy(correct, uncertainty, 0) == 60
    assert rejection_accuracy(correct, uncertainty, .2) == 75
    assert rejection_accuracy(correct, uncertainty, .4) == 100
    # Certain where it is wrong: rejecting hurts.
    assert rejection_accuracy(correct, -uncertainty, .4) == pytest.approx(
        100 / 3)
    # Equal uncertainties: the order of the data decides, not chance.
    assert rejection_accuracy(correct, np.zeros(5), .4) == pytest.approx(
        200 / 3)


def test_mean_class_accuracy_leaves_out_absent_classes():
    predictions = np.array([0, 0, 2, 2])
    labels = np.array([0, 0, 0, 2])
    assert mean_class_accuracy(predictions, labels) == pytest.approx(
        100 * (2 / 3 + 1) / 2)


def samples(count, num_classes=5, with_uncertainty=True):
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(count, num_classes, generator=generator).softmax(1)
    labels = torch.randint(num_classes, (count, ), generator=generator)
    out = []
    for score, label in zip(scores, labels):
        sample = DataSample().set_pred_score(score).set_pred_label(
            score.argmax()).set_gt_label(label)
        if with_uncertainty:
            sample.set_field(score.prod(), 'uncertainty')
        out.append(sample)
    return out, scores.numpy(), labels.numpy()


def test_metrics_end_to_end():
    data, scores, labels = samples(200)
    evaluator = Evaluator([MeanClassAccuracy(), RejectionAccuracy((.1, .25))])
    for start in range(0, 200, 64):
        evaluator.process(data[start:start + 64])
    result = evaluator.evaluate(200)
    predictions = scores.argmax(1)
    assert result['accuracy/mean_class'] == pytest.approx(
        100 * reference.balanced_accuracy_score(labels, predictions))
    kept = np.argsort(1 - scores.max(1), kind='stable')[:150]
    assert result['rejection/confidence_25'] == pytest.approx(
        100 * (labels == predictions)[kept].mean())
    assert result['rejection/uncertainty_auroc'] == pytest.approx(
        reference.roc_auc_score(labels != predictions, scores.prod(1)))


def test_uncertainty_falls_back_on_confidence():
    data, _, _ = samples(50, with_uncertainty=False)
    evaluator = Evaluator([RejectionAccuracy()])
    evaluator.process(data)
    result = evaluator.evaluate(50)
    for rate in (10, 20, 30):
        assert result[f'rejection/uncertainty_{rate}'] == result[
            f'rejection/confidence_{rate}']


def test_bad_rate():
    with pytest.raises(ValueError, match='1.0'):
        RejectionAccuracy(rates=(1.0, ))
