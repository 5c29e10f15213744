import copy
from collections import Counter

import numpy as np
import pytest

from mmfer.datasets import SyntheticFaces
from mmfer.datasets.noise import BernoulliUniformNoise
from mmfer.datasets.noise.functional import majority_vote
from mmfer.registry import TASK_UTILS

RATES = [0.2, 0.3, 0.4]

OFFICIAL = [
    dict(
        type='BernoulliUniformNoise',
        rate=rate,
        official=True,
        seed=100,
        preceding_rates=RATES[:i],
    )
    for i, rate in enumerate(RATES)
]

PACK = [dict(type='PackFERInputs', algorithm_keys=('gt_label_sets', 'gt_va'))]


def annotators(**options):
    return dict(type='Annotators', generators=OFFICIAL, **options)


def faces(**options):
    return SyntheticFaces(num_samples=210, size=16, pipeline=PACK, **options)


def test_majority_vote():
    rng = np.random.default_rng(0)
    sets = rng.integers(0, 4, (500, 5))
    for row, vote in zip(sets, majority_vote(sets, 4)):
        counts = Counter(row.tolist())
        most = max(counts.values())
        assert vote == next(x for x in row.tolist() if counts[x] == most)
    # If all labels differ, the first annotator decides.
    assert majority_vote(np.array([[2, 0, 1]]), 3) == [2]


def test_published_annotators_of_cifar():
    """The label sets and their majority vote have the expected error rates."""
    labels = np.random.default_rng(0).integers(0, 10, 50000)
    noise = TASK_UTILS.build(annotators())
    sets = noise.annotate(labels, 10)
    assert (sets != labels[:, None]).mean(0) == pytest.approx(
        [0.177, 0.269, 0.360], abs=0.005
    )
    assert (noise(labels, 10) == sets[:, 0]).all()
    for cfg, column in zip(OFFICIAL, sets.T):
        alone = BernoulliUniformNoise(**{k: v for k, v in cfg.items() if k != 'type'})
        assert (alone(labels, 10) == column).all()
    majority = TASK_UTILS.build(annotators(majority=True))
    assert majority.annotate(labels, 10) is None
    assert (majority(labels, 10) != labels).mean() == pytest.approx(0.102, abs=0.004)
    assert noise.requested_rate == RATES


def test_seed_is_added():
    labels = np.arange(7).repeat(40)
    generators = [dict(type='SymmetricNoise', rate=0.3, seed=s) for s in (1, 5)]
    shifted = TASK_UTILS.build(dict(type='Annotators', generators=generators, seed=2))
    expected = [
        TASK_UTILS.build(dict(cfg, seed=cfg['seed'] + 2))(labels, 7)
        for cfg in generators
    ]
    assert (shifted.annotate(labels, 7).T == expected).all()


def test_one_annotator_is_none():
    with pytest.raises(ValueError, match='at least two'):
        TASK_UTILS.build(dict(type='Annotators', generators=OFFICIAL[:1]))


def test_annotator_without_a_type():
    with pytest.raises(ValueError, match="'rate': 0.3.* has no type. Write one"):
        TASK_UTILS.build(
            dict(type='Annotators', generators=[dict(rate=0.3), OFFICIAL[0]])
        )


def test_annotators_must_not_err_alike():
    twice = [dict(type='SymmetricNoise', rate=r) for r in (0.2, 0.3)]
    with pytest.raises(ValueError, match='its own seed'):
        TASK_UTILS.build(dict(type='Annotators', generators=twice))


def test_data_set_with_several_label_sets():
    dataset = faces(label_noise=annotators())
    noise = TASK_UTILS.build(annotators())
    sets = noise.annotate(dataset.clean_labels, 7)
    for i in (0, 17, 209):
        sample = dataset[i]['data_samples']
        assert sample.gt_label_sets.tolist() == sets[i].tolist()
        assert sample.gt_label.item() == sets[i, 0]
    manifest = dataset.noise_manifest()
    assert manifest['generator'] == 'Annotators'
    assert manifest['num_changed'] == (sets[:, 0] != dataset.clean_labels).sum()
    assert [s['changed_share'] for s in manifest['label_sets']] == (
        sets != dataset.clean_labels[:, None]
    ).mean(0).tolist()
    assert manifest['label_sets'][0]['noisy_sha256'] == manifest['noisy_sha256']
    # The first label set follows gt_label, also after a change.
    dataset.set_labels([17], [3])
    assert dataset[17]['data_samples'].gt_label_sets.tolist() == [3, *sets[17, 1:]]
    for other in (dataset.get_subset([5, 17]), copy.deepcopy(dataset)):
        index = 1 if len(other) == 2 else 17
        assert other[index]['data_samples'].gt_label_sets[0] == 3
    one = faces(label_noise=annotators(majority=True))
    assert 'gt_label_sets' not in one[0]['data_samples']
    assert (one.get_gt_labels() == majority_vote(sets, 7)).all()
