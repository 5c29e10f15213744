import itertools

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample
from sklearn import metrics as reference

from mmfer.evaluation import (
    MeanClassAccuracy,
    RejectionAccuracy,
    ValenceArousal,
    augrc,
    aurc,
    auroc,
    concordance,
    mean_class_accuracy,
    rejection_accuracy,
)


def test_auroc_by_counting_pairs():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = rng.integers(0, 6, 30).astype(float)
        positive = rng.random(30) < 0.4
        pairs = [
            (a > b) + 0.5 * (a == b)
            for a, b in itertools.product(scores[positive], scores[~positive])
        ]
        assert auroc(scores, positive) == pytest.approx(np.mean(pairs))


def test_auroc_of_one_group():
    assert auroc(np.arange(3.0), np.ones(3, bool)) is None
    assert auroc(np.arange(3.0), np.zeros(3, bool)) is None


def test_rejection_accuracy():
    correct = np.array([1, 0, 1, 1, 0], bool)
    uncertainty = np.array([0.1, 0.9, 0.2, 0.3, 0.8])
    assert rejection_accuracy(correct, uncertainty, 0) == 60
    assert rejection_accuracy(correct, uncertainty, 0.2) == 75
    assert rejection_accuracy(correct, uncertainty, 0.4) == 100
    # The wrong predictions are the certain ones, so rejecting hurts.
    assert rejection_accuracy(correct, -uncertainty, 0.4) == pytest.approx(100 / 3)
    # Equal uncertainties are rejected in the order of the data.
    assert rejection_accuracy(correct, np.zeros(5), 0.4) == pytest.approx(200 / 3)


def test_mean_class_accuracy_leaves_out_absent_classes():
    predictions = np.array([0, 0, 2, 2])
    labels = np.array([0, 0, 0, 2])
    assert mean_class_accuracy(predictions, labels) == pytest.approx(
        100 * (2 / 3 + 1) / 2
    )


def samples(count, num_classes=5, with_uncertainty=True):
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(count, num_classes, generator=generator).softmax(1)
    labels = torch.randint(num_classes, (count,), generator=generator)
    out = []
    for score, label in zip(scores, labels):
        sample = (
            DataSample()
            .set_pred_score(score)
            .set_pred_label(score.argmax())
            .set_gt_label(label)
        )
        if with_uncertainty:
            sample.set_field(score.prod(), 'uncertainty')
        out.append(sample)
    return out, scores.numpy(), labels.numpy()


def test_metrics_end_to_end():
    data, scores, labels = samples(200)
    evaluator = Evaluator([MeanClassAccuracy(), RejectionAccuracy((0.1, 0.25))])
    for start in range(0, 200, 64):
        evaluator.process(data[start : start + 64])
    result = evaluator.evaluate(200)
    predictions = scores.argmax(1)
    assert result['accuracy/mean_class'] == pytest.approx(
        100 * reference.balanced_accuracy_score(labels, predictions)
    )
    kept = np.argsort(1 - scores.max(1), kind='stable')[:150]
    assert result['rejection/confidence_25'] == pytest.approx(
        100 * (labels == predictions)[kept].mean()
    )
    assert result['rejection/uncertainty_auroc'] == pytest.approx(
        reference.roc_auc_score(labels != predictions, scores.prod(1))
    )
    correct = labels == predictions
    for source, values in (
        ('uncertainty', scores.prod(1)),
        ('confidence', 1 - scores.astype(np.float64).max(1)),
    ):
        for name, area in (('aurc', aurc), ('augrc', augrc)):
            assert result[f'rejection/{source}_{name}'] == pytest.approx(
                area(correct, values)
            )


def test_uncertainty_falls_back_on_confidence():
    data, _, _ = samples(50, with_uncertainty=False)
    evaluator = Evaluator([RejectionAccuracy()])
    evaluator.process(data)
    result = evaluator.evaluate(50)
    for rate in (10, 20, 30):
        assert (
            result[f'rejection/uncertainty_{rate}']
            == result[f'rejection/confidence_{rate}']
        )


def test_bad_rate():
    with pytest.raises(ValueError, match='1.0'):
        RejectionAccuracy(rates=(1.0,))


def test_concordance_by_its_definition():
    rng = np.random.default_rng(0)
    p, y = rng.normal(size=(2, 40, 3))
    for d in range(3):
        a, b = p[:, d], y[:, d]
        expected = (
            2
            * np.cov(a, b, bias=True)[0, 1]
            / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
        )
        assert concordance(p, y)[d] == pytest.approx(expected)
    assert concordance(y, y) == pytest.approx([1, 1, 1])
    assert np.isnan(concordance(np.zeros((3, 1)), np.zeros((3, 1)))).all()


def va_samples(prediction, target):
    result = []
    for p, y in zip(prediction, target):
        sample = DataSample()
        sample.set_field(torch.from_numpy(p), 'pred_va')
        sample.set_field(y, 'gt_va')
        result.append(sample)
    return result


def test_valence_and_arousal_over_the_whole_set():
    """It is not averaged over batches; samples without a value do not count."""
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, 31, 2))
    target[[4, 9], [0, 1]] = np.nan
    known = np.isfinite(target).all(axis=1)
    evaluator = Evaluator([ValenceArousal()])
    made = va_samples(prediction, target)
    for part in (made[:3], made[3:10], made[10:]):
        evaluator.process(part)
    found = evaluator.evaluate(31)
    ccc = concordance(prediction[known], target[known])
    mse = ((prediction - target)[known] ** 2).mean(axis=0)
    assert found == pytest.approx(
        {
            'va/ccc': ccc.mean(),
            'va/ccc_valence': ccc[0],
            'va/ccc_arousal': ccc[1],
            'va/mse': mse.mean(),
            'va/mse_valence': mse[0],
            'va/mse_arousal': mse[1],
        }
    )


def test_no_valence_and_arousal():
    evaluator = Evaluator([ValenceArousal()])
    evaluator.process(va_samples(np.zeros((3, 2)), np.full((3, 2), np.nan)))
    with pytest.raises(ValueError, match='no sample of the evaluation set'):
        evaluator.evaluate(3)
    (sample,) = va_samples(np.zeros((1, 2)), np.zeros((1, 2)))
    sample.pop('gt_va')
    with pytest.raises(ValueError, match='gt_va'):
        evaluator.process([sample])
