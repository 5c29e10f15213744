import json
import random

import numpy as np
import pytest

from mmfer.datasets.noise import (
    AsymmetricNoise,
    BernoulliUniformNoise,
    ClassDependentNoise,
    LabelNoise,
    PairNoise,
    SymmetricNoise,
    labels_sha256,
)
from mmfer.datasets.noise.functional import asymmetric_noise
from mmfer.registry import TASK_UTILS

NUM_CLASSES = 7


def chi_square(observed, expected):
    return ((observed - expected) ** 2 / expected).sum()


GENERATORS = {
    'SymmetricNoise': dict(rate=0.3),
    'UniformNoise': dict(rate=0.3),
    'PairNoise': dict(rate=0.3),
    'AsymmetricNoise': dict(rate=0.3, mapping={0: 2, 5: 1}),
    'ClassDependentNoise': dict(rates=[0.1, 0.5, 0.3, 0.0, 0.4, 0.2, 0.0]),
    'BernoulliSymmetricNoise': dict(rate=0.3),
    'BernoulliUniformNoise': dict(rate=0.3),
}

every_generator = pytest.mark.parametrize('name', GENERATORS)


def build(name, seed=3, **kwargs):
    return TASK_UTILS.build(
        dict(type=name, seed=seed, **{**GENERATORS[name], **kwargs})
    )


@pytest.mark.parametrize('label', [0, 3, 6])
@pytest.mark.parametrize('name', ['UniformNoise', 'BernoulliUniformNoise'])
def test_uniform_draws_every_class_alike(name, label):
    labels = np.full(14000, label)
    found = np.bincount(build(name, rate=0.5)(labels, 7), minlength=7)
    others = np.delete(found, label)
    assert chi_square(others, 1000) < 22.5
    assert abs(found[label] - 8000) < 5 * 6000**0.5


def test_order_of_a_mapping_does_not_matter(labels):
    one = AsymmetricNoise(0.3, {0: 2, 5: 1})
    for mapping in ({5: 1, 0: 2}, [[5, 1], [0, 2]]):
        other = AsymmetricNoise(0.3, mapping)
        assert (one(labels, 7) == other(labels, 7)).all()
        assert one.parameters == other.parameters
        noisy = asymmetric_noise(labels, 7, 0.3, mapping, one.make_rng())
        assert (noisy == one(labels, 7)).all()


@pytest.mark.parametrize(
    'name, share',
    [('BernoulliSymmetricNoise', 0.3), ('BernoulliUniformNoise', 0.3 * 6 / 7)],
)
def test_bernoulli_varies_around_its_mean(labels, name, share):
    wrong = np.array(
        [(build(name, seed=s)(labels, 7) != labels).sum() for s in range(20)]
    )
    sigma = (labels.size * share * (1 - share)) ** 0.5
    assert abs(wrong.mean() - share * labels.size) < 5 * sigma / 20**0.5
    assert len(set(wrong.tolist())) > 10
    assert sigma / 2 < wrong.std() < 2 * sigma


def test_bernoulli_symmetric_goes_to_all_others(labels):
    noisy = build('BernoulliSymmetricNoise')(labels, 7)
    changed = noisy != labels
    shift = (noisy - labels)[changed] % 7
    counts = np.bincount(shift, minlength=7)
    assert counts[0] == 0
    assert chi_square(counts[1:], counts[1:].mean()) < 20.5


def test_official_draws():
    # Values of Python's random with seed 100, drawn in the order of the
    # noisyFER data set: 20 samples, then 20 again at the next rate.
    labels = np.arange(20) % 10
    first = BernoulliUniformNoise(0.2, seed=100, official=True)
    second = BernoulliUniformNoise(0.3, seed=100, official=True, preceding_rates=[0.2])
    assert first(labels, 10).tolist() == [
        7,
        1,
        6,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        0,
        1,
        2,
        3,
        4,
        5,
        5,
        7,
        8,
        9,
    ]
    assert second(labels, 10).tolist() == [
        0,
        1,
        6,
        1,
        9,
        5,
        6,
        7,
        0,
        9,
        7,
        1,
        2,
        3,
        4,
        5,
        3,
        7,
        8,
        9,
    ]


def test_official_sets_have_the_published_wrong_shares():
    labels = np.arange(50000) % 10
    rates = [0.2, 0.3, 0.4]
    sets = [
        BernoulliUniformNoise(rate, seed=100, official=True, preceding_rates=rates[:i])(
            labels, 10
        )
        for i, rate in enumerate(rates)
    ]
    wrong = [(x != labels).mean() for x in sets]
    assert wrong == pytest.approx([0.177, 0.269, 0.360], abs=0.005)
    # The sets are independent; with shared draws the vote would be 18 % wrong.
    first, second, third = sets
    vote = np.where((second == third) & (second != first), second, first)
    assert (vote != labels).mean() == pytest.approx(0.102, abs=0.004)


@every_generator
def test_input_is_not_modified(name, labels):
    before = labels.copy()
    noisy = build(name)(labels, NUM_CLASSES)
    assert (labels == before).all()
    assert not np.shares_memory(noisy, labels)
    assert noisy.dtype == np.int64 and noisy.shape == labels.shape
    assert (noisy != labels).any()


@every_generator
def test_zero_rate_changes_nothing(name, labels):
    zero = dict(rates=[0] * 7) if name == 'ClassDependentNoise' else dict(rate=0)
    noisy = build(name, **zero)(labels, NUM_CLASSES)
    assert (noisy == labels).all()
    assert not np.shares_memory(noisy, labels)


@every_generator
@pytest.mark.parametrize('dtype', [np.uint8, np.int32, list])
def test_dtype_does_not_change_the_result(name, labels, dtype):
    given = labels.tolist() if dtype is list else labels.astype(dtype)
    generator = build(name)
    noisy = generator(given, NUM_CLASSES)
    assert noisy.dtype == np.int64
    assert (noisy == generator(labels, NUM_CLASSES)).all()
    assert generator.manifest(given, noisy) == generator.manifest(labels, noisy)


@every_generator
def test_no_labels(name):
    assert build(name)(np.zeros(0, np.int64), NUM_CLASSES).shape == (0,)


@pytest.mark.parametrize(
    'name, kwargs',
    [
        *((name, {}) for name in GENERATORS),
        ('BernoulliUniformNoise', dict(official=True)),
    ],
)
def test_global_random_state_is_neither_read_nor_changed(name, kwargs, labels):
    generator = build(name, **kwargs)
    results = []
    for seed in (1, 2):
        np.random.seed(seed)
        random.seed(seed)
        before = repr(np.random.get_state()), random.getstate()
        results.append(generator(labels, NUM_CLASSES))
        assert (repr(np.random.get_state()), random.getstate()) == before
    assert (results[0] == results[1]).all()


@every_generator
def test_seed_decides(name, labels):
    noisy = build(name, seed=3)(labels, NUM_CLASSES)
    assert (build(name, seed=3)(labels, NUM_CLASSES) == noisy).all()
    assert (build(name, seed=4)(labels, NUM_CLASSES) != noisy).any()


def test_generators_with_one_seed_share_no_draws():
    # Pair and asymmetric noise have the same effect here, from different draws.
    labels = np.tile([0, 1], 1000)
    pair = PairNoise(0.3, seed=5)(labels, 2) != labels
    other = AsymmetricNoise(0.3, {0: 1, 1: 0}, seed=5)(labels, 2) != labels
    both = (pair & other).sum()
    # Independent picks share .09 of 2000 samples: hypergeometric, 5 sigma.
    assert abs(both - 180) < 5 * (180 * 0.7 * 0.7) ** 0.5


def test_draws_stay_the_same_over_releases():
    # A change here changes every data set with this generator. If NumPy
    # changes its streams, this test fails too; the manifest has its version.
    noisy = SymmetricNoise(0.5, seed=0)(np.zeros(12, np.int64), 7)
    assert noisy.tolist() == [0, 6, 5, 2, 0, 0, 2, 0, 2, 0, 3, 0]


@every_generator
def test_manifest_is_plain_and_rebuilds_the_noise(name, labels):
    generator = build(name)
    noisy = generator(labels, NUM_CLASSES)
    manifest = generator.manifest(labels, noisy)
    stored = json.loads(json.dumps(manifest))
    assert stored == manifest
    again = TASK_UTILS.build(
        dict(type=stored['generator'], seed=stored['seed'], **stored['parameters'])
    )
    assert labels_sha256(again(labels, NUM_CLASSES)) == stored['noisy_sha256']
    assert stored['given_sha256'] == labels_sha256(labels)
    assert stored['num_samples'] == labels.size
    assert stored['num_changed'] == (noisy != labels).sum()
    assert stored['changed_share'] == pytest.approx((noisy != labels).mean())
    assert stored['numpy_version'] == np.__version__


def test_manifest_names_rate_and_hash(labels):
    generator = SymmetricNoise(0.3, seed=0)
    manifest = generator.manifest(labels, generator(labels, 7))
    assert manifest['generator'] == 'SymmetricNoise'
    assert manifest['requested_rate'] == 0.3
    rates = [0.1, 0.5, 0.3, 0.0, 0.4, 0.2, 0.0]
    generator = ClassDependentNoise(rates)
    manifest = generator.manifest(labels, generator(labels, 7))
    assert manifest['requested_rate'] == rates
    # Hash of 0, 1, 2 as little-endian int64, computed by sha256sum.
    expected = 'ab25350e3e65efebe24584461683ecda68725576e825e550038b90e7b1479946'
    assert labels_sha256([0, 1, 2]) == expected
    assert labels_sha256(np.array([0, 1, 2], '>i4')) == expected
    assert labels_sha256([0, 2, 1]) != expected


def test_manifest_does_not_give_out_its_own_lists(labels):
    generator = ClassDependentNoise([0.1, 0.5, 0.3, 0.0, 0.4, 0.2, 0.0])
    manifest = generator.manifest(labels, labels)
    manifest['parameters']['rates'][0] = 0.9
    manifest['requested_rate'][1] = 0.9
    assert generator.parameters['rates'][:2] == [0.1, 0.5]


def test_manifest_refuses_other_shapes(labels):
    with pytest.raises(ValueError, match='shape'):
        SymmetricNoise(0.3).manifest(labels, labels[:5])


def test_manifest_of_no_samples():
    none = np.zeros(0, np.int64)
    assert SymmetricNoise(0.3).manifest(none, none)['changed_share'] == 0


@every_generator
@pytest.mark.parametrize(
    'given, message',
    [
        ([0, 1, 7], r'outside 0\.\.6.*labels\[2\]=7'),
        ([0, -1, 3], r'outside 0\.\.6.*labels\[1\]=-1'),
        ([0.0, 1.0], 'float64, not an integer'),
        ([True, False], 'bool, not an integer'),
        ([[0, 1], [2, 3]], r'shape \(2, 2\)'),
    ],
)
def test_bad_labels(name, given, message):
    with pytest.raises(ValueError, match=message):
        build(name)(np.array(given), NUM_CLASSES)


def test_preceding_rates_need_official():
    with pytest.raises(ValueError, match='official=True'):
        BernoulliUniformNoise(0.3, preceding_rates=[0.2])
    with pytest.raises(ValueError, match=r'preceding_rates\[0\] must lie .* got 2'):
        BernoulliUniformNoise(0.3, official=True, preceding_rates=[2])


def test_base_class_makes_no_noise():
    with pytest.raises(NotImplementedError):
        LabelNoise()([0, 1], 2)


def test_repr_rebuilds():
    noise = AsymmetricNoise(0.3, {3: 5}, seed=2)
    assert repr(noise) == 'AsymmetricNoise(rate=0.3, mapping=[[3, 5]], seed=2)'
