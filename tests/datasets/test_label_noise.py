import json
import random

import numpy as np
import pytest

from mmfer.datasets.label_noise import (
    CIFAR10_CONFUSIONS,
    AsymmetricNoise,
    BernoulliSymmetricNoise,
    BernoulliUniformNoise,
    ClassDependentNoise,
    LabelNoise,
    PairNoise,
    SymmetricNoise,
    UniformNoise,
    asymmetric_noise,
    class_dependent_noise,
    labels_sha256,
    pair_noise,
    symmetric_noise,
    uniform_noise,
)
from mmfer.registry import TASK_UTILS

NUM_CLASSES = 7
# Unequal class sizes, so that a share per class differs from one overall.
COUNTS = (1290, 281, 717, 4772, 1982, 705, 2524)


@pytest.fixture
def labels():
    labels = np.repeat(np.arange(NUM_CLASSES), COUNTS)
    return np.random.default_rng(0).permutation(labels)


def rng(seed=0):
    return np.random.default_rng(seed)


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


# What each definition means.


@pytest.mark.parametrize('rate', [0, 0.1, 0.3, 0.5, 0.999])
def test_symmetric_changes_the_exact_share(labels, rate):
    noisy = symmetric_noise(labels, NUM_CLASSES, rate, rng())
    assert (noisy != labels).sum() == round(rate * labels.size)
    assert noisy.min() >= 0 and noisy.max() < NUM_CLASSES


def test_symmetric_spreads_over_samples_and_other_classes(labels):
    noisy = symmetric_noise(labels, NUM_CLASSES, 0.4, rng())
    changed = noisy != labels
    # Each class is hit at the same rate: 7 classes, 99.9 % quantile 22.5.
    hit = np.bincount(labels[changed], minlength=NUM_CLASSES)
    assert chi_square(hit, 0.4 * np.array(COUNTS)) < 22.5
    # And goes to the six others alike: 5 degrees of freedom, 20.5.
    for label in range(NUM_CLASSES):
        to = np.bincount(noisy[changed & (labels == label)], minlength=NUM_CLASSES)
        assert to[label] == 0
        to = np.delete(to, label)
        assert chi_square(to, to.mean()) < 20.5
    # Neither the front nor the back of the list is preferred.
    assert abs(changed[:6000].mean() - 0.4) < 0.03


def test_two_classes_swap():
    labels = np.array([0, 1] * 50)
    noisy = symmetric_noise(labels, 2, 0.5, rng())
    assert (noisy == 1 - labels).sum() == 50


def test_uniform_includes_the_own_class(labels):
    rate = 0.6
    noisy = uniform_noise(labels, NUM_CLASSES, rate, rng())
    picked = round(rate * labels.size)
    wrong = (noisy != labels).sum()
    # One in seven of the picked ones keeps its label: 5 sigma.
    expected = picked * (1 - 1 / NUM_CLASSES)
    assert wrong < picked
    assert abs(wrong - expected) < 5 * (expected / NUM_CLASSES) ** 0.5


@pytest.mark.parametrize('label', [0, 3, 6])
@pytest.mark.parametrize('name', ['UniformNoise', 'BernoulliUniformNoise'])
def test_uniform_draws_every_class_alike(name, label):
    labels = np.full(14000, label)
    found = np.bincount(build(name, rate=0.5)(labels, 7), minlength=7)
    others = np.delete(found, label)
    assert chi_square(others, 1000) < 22.5
    assert abs(found[label] - 8000) < 5 * 6000**0.5


@pytest.mark.parametrize('rate', [0.1, 0.45])
def test_pair_changes_the_exact_share_of_each_class(labels, rate):
    noisy = pair_noise(labels, NUM_CLASSES, rate, rng())
    for label, count in enumerate(COUNTS):
        of_class = noisy[labels == label]
        following = (label + 1) % NUM_CLASSES
        assert (of_class == following).sum() == round(rate * count)
        assert (of_class == label).sum() == count - round(rate * count)


def test_asymmetric_changes_the_mapped_classes_only():
    labels = np.tile(np.arange(10), 50)
    noisy = asymmetric_noise(labels, 10, 0.4, CIFAR10_CONFUSIONS, rng())
    for label in range(10):
        of_class = np.bincount(noisy[labels == label], minlength=10)
        expected = np.zeros(10)
        if label in CIFAR10_CONFUSIONS:
            expected[CIFAR10_CONFUSIONS[label]] = 20
            expected[label] = 30
        else:
            expected[label] = 50
        assert (of_class == expected).all()


def test_asymmetric_swap_uses_given_labels():
    # Were 5 -> 3 applied to what 3 -> 5 has made, counts would be off.
    labels = np.repeat([3, 5], 100)
    noisy = asymmetric_noise(labels, 10, 0.5, {3: 5, 5: 3}, rng())
    assert (noisy[:100] == 5).sum() == 50
    assert (noisy[100:] == 3).sum() == 50


def test_order_of_a_mapping_does_not_matter(labels):
    one = AsymmetricNoise(0.3, {0: 2, 5: 1})
    for mapping in ({5: 1, 0: 2}, [[5, 1], [0, 2]]):
        other = AsymmetricNoise(0.3, mapping)
        assert (one(labels, 7) == other(labels, 7)).all()
        assert one.parameters == other.parameters
        noisy = asymmetric_noise(labels, 7, 0.3, mapping, one.make_rng())
        assert (noisy == one(labels, 7)).all()


def test_class_dependent_has_a_rate_per_class(labels):
    rates = [0.1, 0.5, 0.3, 0.0, 0.4, 0.2, 0.0]
    noisy = class_dependent_noise(labels, NUM_CLASSES, rates, rng())
    for label, (rate, count) in enumerate(zip(rates, COUNTS, strict=True)):
        changed = noisy[labels == label]
        changed = changed[changed != label]
        assert changed.size == round(rate * count)
        if rate:
            to = np.delete(np.bincount(changed, minlength=7), label)
            assert chi_square(to, to.mean()) < 20.5


def test_class_dependent_follows_a_transition_without_its_diagonal():
    labels = np.repeat([0, 1, 2], 10000)
    transition = [[0.5, 0.4, 0.1], [0, 1, 0], [0, 0.9, 0.1]]
    noisy = class_dependent_noise(
        labels, 3, [0.5, 0, 0.2], rng(), transition=transition
    )
    first, second, third = (
        np.bincount(noisy[labels == c], minlength=3) for c in range(3)
    )
    # The rate says how many; the row only where to: .4 and .1 as 4 to 1.
    assert first[0] == 5000
    assert abs(first[1] - 4000) < 5 * (5000 * 0.8 * 0.2) ** 0.5
    assert second.tolist() == [0, 10000, 0]
    assert third.tolist() == [0, 2000, 8000]


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
    # Values of Python's random, seeded 100, drawn in the order of the
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
    # Independent sets: with shared draws the vote would be 18 % wrong.
    first, second, third = sets
    vote = np.where((second == third) & (second != first), second, first)
    assert (vote != labels).mean() == pytest.approx(0.102, abs=0.004)


# What all of them promise.


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
    # Pair and asymmetric noise do the same here, from different draws.
    labels = np.tile([0, 1], 1000)
    pair = PairNoise(0.3, seed=5)(labels, 2) != labels
    other = AsymmetricNoise(0.3, {0: 1, 1: 0}, seed=5)(labels, 2) != labels
    both = (pair & other).sum()
    # Independent picks overlap in .09 of 2000: hypergeometric, 5 sigma.
    assert abs(both - 180) < 5 * (180 * 0.7 * 0.7) ** 0.5


def test_draws_stay_the_same_over_releases():
    # A change here changes every data set that names this generator. It is
    # one if NumPy changed its streams, too: the manifest tells.
    noisy = SymmetricNoise(0.5, seed=0)(np.zeros(12, np.int64), 7)
    assert noisy.tolist() == [0, 6, 5, 2, 0, 0, 2, 0, 2, 0, 3, 0]


# The manifest.


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
    # Of 0, 1, 2 as little-endian int64, computed by sha256sum.
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


# What is refused.


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
    with pytest.raises(ValueError, match=r'rate=.*\[0, 1\).*rate=0\.3'):
        kind(rate)


@pytest.mark.parametrize('seed', [-1, 0.5, None])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match='seed='):
        SymmetricNoise(0.3, seed=seed)


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


@pytest.mark.parametrize('num_classes', [0, 1, 2.5])
def test_too_few_classes(num_classes):
    with pytest.raises(ValueError, match='at least two classes'):
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
    with pytest.raises(ValueError, match=r'rates\[1\]=1'):
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


def test_preceding_rates_need_official():
    with pytest.raises(ValueError, match='official=True'):
        BernoulliUniformNoise(0.3, preceding_rates=[0.2])
    with pytest.raises(ValueError, match=r'preceding_rates\[0\]=2'):
        BernoulliUniformNoise(0.3, official=True, preceding_rates=[2])


def test_base_class_makes_no_noise():
    with pytest.raises(NotImplementedError):
        LabelNoise()([0, 1], 2)


def test_repr_rebuilds():
    noise = AsymmetricNoise(0.3, {3: 5}, seed=2)
    assert repr(noise) == 'AsymmetricNoise(rate=0.3, mapping=[[3, 5]], seed=2)'
