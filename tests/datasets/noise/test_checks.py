import numpy as np
import pytest

from mmfer.datasets.noise import (
    AsymmetricNoise,
    BernoulliSymmetricNoise,
    BernoulliUniformNoise,
    ClassDependentNoise,
    PairNoise,
    SymmetricNoise,
    UniformNoise,
)


@pytest.mark.parametrize('rate', [-0.1, 1, 1.0, 30, float('nan'), '0.3'])
@pytest.mark.parametrize(
    'kind',
    [
        SymmetricNoise,
        UniformNoise,
        PairNoise,
        BernoulliSymmetricNoise,
        BernoulliUniformNoise,
    ],
)
def test_rate_out_of_range(kind, rate):
    with pytest.raises(ValueError, match=r'rate must lie in \[0, 1\).*rate=0\.3'):
        kind(rate)


@pytest.mark.parametrize('seed', [-1, 0.5, None])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match='seed must be a whole number of at least 0'):
        SymmetricNoise(0.3, seed=seed)


@pytest.mark.parametrize('num_classes', [0, 1, 2.5])
def test_too_few_classes(num_classes):
    with pytest.raises(ValueError, match='num_classes must be .* at least 2'):
        SymmetricNoise(0.3)([0, 0], num_classes)


@pytest.mark.parametrize(
    'mapping, message',
    [
        ({}, 'empty'),
        ({3: 3}, 'class 3 to itself'),
        ({-1: 2}, 'class -1'),
        ({'cat': 'dog'}, 'class indices'),
        ([[1, 2], [1, 3]], 'twice'),
        ([1, 2], 'class indices'),
    ],
)
def test_bad_mapping(mapping, message):
    with pytest.raises(ValueError, match=message):
        AsymmetricNoise(0.3, mapping)


@pytest.mark.parametrize('mapping', [{3: 7}, {7: 3}])
def test_mapping_out_of_range(mapping):
    noise = AsymmetricNoise(0.3, mapping)
    with pytest.raises(ValueError, match=r'class 7 is outside 0\.\.6'):
        noise(np.zeros(10, np.int64), 7)


def test_bad_rates():
    with pytest.raises(ValueError, match='3 entries for 7 classes'):
        ClassDependentNoise([0.1, 0.2, 0.3])(np.zeros(10, np.int64), 7)
    with pytest.raises(ValueError, match=r'rates\[1\] must lie .* got 1\.0'):
        ClassDependentNoise([0.1, 1.0, 0.3])


@pytest.mark.parametrize(
    'transition, message',
    [
        ([[1, 0], [0, 1]], 'no other class'),
        ([[0.5, 0.4], [1, 0]], 'row 0 of transition sums to 0.9'),
        ([[1.5, -0.5], [1, 0]], 'negative'),
        ([[float('nan'), 1], [1, 0]], 'not finite'),
        ([[0, 1]], 'shape'),
        ([[0, 1], [1]], 'not a matrix'),
    ],
)
def test_bad_transition(transition, message):
    with pytest.raises(ValueError, match=message):
        ClassDependentNoise([0.1, 0.2], transition=transition)
