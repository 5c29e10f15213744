"""Counts of an evaluation, compared with loops over the images."""

import numpy as np
import pytest

from mmfer.apis.evaluated_weights import evaluation_record

CLASSES = ['neutral', 'anger', 'fear', 'contempt']


@pytest.fixture(scope='module')
def made():
    """Predictions of 300 images; no image has the last label."""
    generator = np.random.default_rng(0)
    scores = generator.dirichlet(np.ones(4), 300)
    labels = generator.choice(3, 300, p=[0.7, 0.25, 0.05])
    sure = generator.random(300) < 0.6
    scores[sure] = 0.1 * scores[sure] + 0.9 * np.eye(4)[labels[sure]]
    return scores, labels, 1 - scores.max(axis=1)


def test_counts(made):
    scores, labels, uncertainty = made
    record = evaluation_record(*made, CLASSES)
    predicted = [int(np.argmax(row)) for row in scores]
    confusion = [[0] * 4 for _ in range(4)]
    for label, guess in zip(labels, predicted):
        confusion[label][guess] += 1
    assert record['confusion'] == confusion
    right = sum(label == guess for label, guess in zip(labels, predicted))
    assert (record['images'], record['correct']) == (300, right)
    assert record['accuracy'] == pytest.approx(100 * right / 300)
    shares = []
    for k, found in enumerate(record['classes']):
        images = int((labels == k).sum())
        assert found['name'] == CLASSES[k]
        assert (found['images'], found['correct']) == (images, confusion[k][k])
        assert found['predicted'] == predicted.count(k)
        if images:
            shares.append(100 * confusion[k][k] / images)
            assert found['accuracy'] == pytest.approx(shares[-1])
        else:
            assert found['accuracy'] is None
    # A class without images does not count.
    assert record['mean_class'] == pytest.approx(np.mean(shares))


def test_calibration_and_auroc(made):
    scores, labels, uncertainty = made
    record = evaluation_record(*made, CLASSES)
    confidence = scores.max(axis=1)
    right = scores.argmax(axis=1) == labels
    assert record['mean_confidence'] == pytest.approx(100 * confidence.mean())
    error = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
    assert record['calibration_error'] == pytest.approx(100 * error)
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a in uncertainty[~right]
        for b in uncertainty[right]
    ]
    assert record['error_auroc'] == pytest.approx(np.mean(pairs))


def test_rejection_and_thresholds(made):
    scores, labels, uncertainty = made
    right = scores.argmax(axis=1) == labels
    thresholds = [(0.05, 0.2), (0.15, 0.4)]
    record = evaluation_record(*made, CLASSES, thresholds)
    order = sorted(range(300), key=lambda i: uncertainty[i])
    for found in record['rejection']:
        kept = order[: 300 - round(300 * found['rejected'])]
        assert found['accuracy'] == pytest.approx(
            100 * sum(right[i] for i in kept) / len(kept)
        )
    assert [t['promised'] for t in record['thresholds']] == [0.05, 0.15]
    for found in record['thresholds']:
        kept = [i for i in range(300) if uncertainty[i] <= found['threshold']]
        wrong = sum(not right[i] for i in kept)
        assert (found['kept'], found['wrong']) == (len(kept), wrong)
        assert found['error'] == pytest.approx(100 * wrong / len(kept))


def test_all_right():
    scores = np.eye(2)[[0, 1, 1]]
    record = evaluation_record(scores, np.array([0, 1, 1]), np.zeros(3), ['a', 'b'])
    assert record['accuracy'] == 100 and record['error_auroc'] is None
