"""Losses and similarities by class and epoch."""

import numpy as np
import pytest

from mmfer.analysis.class_names import class_numbers
from mmfer.analysis.epoch_agreements import epoch_figure, measure_epoch
from mmfer.analysis.mixtures import TrainingPredictions

CLASSES = ('anger', 'disgust', 'fear')


def made(seed, networks=1):
    rng = np.random.default_rng(seed)
    names = [''] if networks == 1 else ['network 1', 'network 2']
    given = rng.integers(0, 3, 200)
    return TrainingPredictions(
        {name: rng.dirichlet(np.ones(3), 200) for name in names},
        given,
        rng.random(200) < 0.3,
        CLASSES,
    )


def test_measurements_against_a_loop():
    predicted = made(0, networks=2)
    for number in (1, 2):
        found = measure_epoch(predicted, number)
        scores = predicted.networks[f'network {number}']
        for i, label in enumerate(predicted.given):
            assert found.losses[i] == pytest.approx(-np.log(scores[i, label]))
            cosine = scores[i, label] / np.sqrt((scores[i] ** 2).sum())
            assert found.similarities[i] == pytest.approx(cosine)
    with pytest.raises(ValueError, match='no network 2: the model has 1'):
        measure_epoch(made(0), 2)


def test_every_image_is_in_its_panels():
    epochs = {name: measure_epoch(made(i)) for i, name in enumerate(('one', 'seven'))}
    shown = dict(zip(('fear', 'anger'), class_numbers(('fear', 'anger'), CLASSES)))
    axes = epoch_figure(epochs, shown).axes
    assert len(axes) == 8
    for row, (name, found) in enumerate(epochs.items()):
        counts = []
        for panel in axes[4 * row : 4 * row + 4]:
            assert panel.get_title().startswith(name)
            right, wrong = (
                sum(bar.get_height() for bar in c) for c in panel.containers
            )
            counts.append((right, wrong))
        expected = [
            (sum(group & ~found.wrong), sum(group & found.wrong))
            for group in (found.given == 2, found.given == 0, found.given >= 0)
        ]
        assert counts == [*expected, expected[-1]]
    limits = {panel.get_xlim() for panel in axes if panel.get_xlabel() == 'loss'}
    assert len(limits) == 1
    with pytest.raises(ValueError, match="no class 'joy'. Give a name"):
        class_numbers(['joy'], CLASSES)


def test_without_clean_labels():
    predicted = made(0)._replace(wrong=None)
    (first, *_) = epoch_figure({'a': measure_epoch(predicted)}, {}).axes
    assert sum(bar.get_height() for bar in first.containers[0]) == 200
