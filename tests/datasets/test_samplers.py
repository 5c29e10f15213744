from collections import Counter

import numpy as np
import pytest

from mmfer.datasets import BalancedSampler, DomainSampler, ImageList, samplers
from mmfer.datasets.samplers import balanced_indices, paired_indices
from mmfer.registry import DATA_SAMPLERS


class Labelled:
    """Data set that has labels only."""

    def __init__(self, labels):
        self.labels = np.array(labels)

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


# The classes 0 to 4 have 40, 8, 0, 2 and 1 samples.
TAIL = np.random.default_rng(0).permutation([0] * 40 + [1] * 8 + [3] * 2 + [4])


def counts_of(labels, indices):
    return Counter(np.asarray(labels)[list(indices)].tolist())


def ranks(monkeypatch, world_size, *args, kind=BalancedSampler, **kwargs):
    """Make one sampler for each rank."""
    made = []
    for rank in range(world_size):
        monkeypatch.setattr(
            samplers, 'get_dist_info', lambda rank=rank: (rank, world_size)
        )
        made.append(kind(*args, **kwargs))
    return made


@pytest.mark.parametrize('count', [1, 3, 4, 51, 52, 400])
def test_classes_and_samples_are_balanced(count):
    indices = balanced_indices(TAIL, count, np.random.default_rng(3))
    assert len(indices) == count
    found = counts_of(TAIL, indices)
    assert 2 not in found
    assert max(found.values()) - min(found[c] for c in (0, 1, 3, 4)) <= 1
    drawn = Counter(indices.tolist())
    for label in (0, 1, 3, 4):
        times = [drawn[i] for i in np.flatnonzero(TAIL == label)]
        assert max(times) - min(times) <= 1


def test_order_is_random():
    indices = balanced_indices(TAIL, 4000, np.random.default_rng(0))
    for part in np.split(indices, 4):
        found = counts_of(TAIL, part)
        assert all(abs(n - 250) < 60 for n in found.values())


def test_which_class_gets_one_more_changes():
    labels = [0, 1, 2]
    extra = set()
    for epoch in range(20):
        indices = balanced_indices(np.array(labels), 4, np.random.default_rng(epoch))
        extra.add(counts_of(labels, indices).most_common(1)[0][0])
    assert extra == {0, 1, 2}


def test_all_samples_of_a_frequent_class_have_their_turn():
    drawn = Counter()
    for epoch in range(100):
        drawn.update(balanced_indices(TAIL, 51, np.random.default_rng(epoch)).tolist())
    # Each of 100 epochs draws about 12.75 of 40 samples.
    times = [drawn[i] for i in np.flatnonzero(TAIL == 0)]
    assert min(times) > 12 and max(times) < 55


def test_epochs_differ_and_repeat():
    sampler, twin, other = (BalancedSampler(Labelled(TAIL), seed=s) for s in (5, 5, 6))
    assert len(sampler) == len(TAIL)
    first = list(sampler)
    assert first == list(sampler) == list(twin) != list(other)
    sampler.set_epoch(1)
    second = list(sampler)
    assert second != first
    # The next seed does not give the same draws one epoch later.
    other.set_epoch(0)
    assert list(other) != second
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert all(type(i) is int for i in first)


def test_global_random_state_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    list(BalancedSampler(Labelled(TAIL), seed=0))
    assert np.random.get_state()[1].tolist() == before


def test_two_ranks_share_one_draw(monkeypatch):
    # 51 samples are rounded up to 52.
    first, second = ranks(monkeypatch, 2, Labelled(TAIL), seed=1)
    assert len(first) == len(second) == 26
    assert len(list(first)) == len(list(second)) == 26
    merged = [i for pair in zip(first, second) for i in pair]
    alone = balanced_indices(TAIL, 52, np.random.default_rng([1, 0]))
    assert merged == alone.tolist()
    assert set(counts_of(TAIL, merged).values()) == {13}

    # If no sample has to be drawn twice, ranks share no samples.
    labels = np.arange(40) % 4
    first, second = ranks(monkeypatch, 2, Labelled(labels), seed=1)
    assert not set(first) & set(second)
    assert sorted([*first, *second]) == list(range(40))


def test_length_of_an_epoch(monkeypatch):
    made = ranks(monkeypatch, 3, Labelled(TAIL), seed=0, epoch_size=10)
    assert [len(list(s)) for s in made] == [len(s) for s in made] == [4] * 3
    with pytest.raises(ValueError, match='epoch_size must be'):
        BalancedSampler(Labelled(TAIL), epoch_size=0)
    with pytest.raises(ValueError, match='must not be 0'):
        BalancedSampler(Labelled([]))


def test_seed_is_shared_when_none_is_given(monkeypatch):
    monkeypatch.setattr(samplers, 'sync_random_seed', lambda: 77)
    assert list(BalancedSampler(Labelled(TAIL))) == list(
        BalancedSampler(Labelled(TAIL), seed=77)
    )


def test_relabelling_counts_from_the_next_epoch(image_list):
    dataset = ImageList(**image_list())
    sampler = BalancedSampler(dataset, seed=0)
    assert set(counts_of(dataset.get_gt_labels(), sampler).values()) == {4}
    # Class 0 has ten samples, each other class has one.
    dataset.set_labels(np.arange(10), [0] * 10)
    dataset.set_labels([10, 11], [1, 2])
    sampler.set_epoch(1)
    drawn = Counter(sampler)
    assert drawn[10] == drawn[11] == 4
    assert sum(drawn[i] for i in range(10)) == 4


def test_what_it_cannot_do():
    with pytest.raises(TypeError, match='list has no get_gt_labels'):
        BalancedSampler([1, 2, 3])
    with pytest.raises(ValueError, match='always draws at random'):
        BalancedSampler(Labelled(TAIL), shuffle=False)


def test_takes_the_place_of_the_default_sampler():
    sampler = DATA_SAMPLERS.build(
        dict(type='BalancedSampler', shuffle=True),
        default_args=dict(dataset=Labelled(TAIL), seed=3),
    )
    assert list(sampler) == list(BalancedSampler(Labelled(TAIL), seed=3))


# -- DomainSampler -----------------------------------------------------------
class OfDomains:
    """Data set that has domains only."""

    def __init__(self, *sizes):
        self.domains = np.random.default_rng(1).permutation(
            np.repeat(np.arange(len(sizes)), sizes)
        )

    def __len__(self):
        return len(self.domains)

    def get_domains(self):
        return self.domains


def test_halves_come_from_two_domains():
    data, pairs = OfDomains(30, 7, 40), Counter()
    drawn = paired_indices(data.domains, 8, 300, np.random.default_rng(0))
    assert len(drawn) == 2400
    for batch in data.domains[drawn].reshape(300, 2, 4):
        first, second = (set(half.tolist()) for half in batch)
        assert len(first) == len(second) == 1 and first != second
        pairs[first.pop(), second.pop()] += 1
    # Of the six ordered pairs, each is as likely as the others.
    assert len(pairs) == 6 and all(abs(n - 50) < 25 for n in pairs.values())
    # All samples of a domain have their turn before one is repeated.
    for domain in range(3):
        times = Counter(i for i in drawn.tolist() if data.domains[i] == domain)
        assert max(times.values()) - min(times.values()) <= 1
        assert len(times) == (data.domains == domain).sum()


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_processes_have_halves_of_the_same_domains(monkeypatch, world_size):
    data = OfDomains(30, 30, 40)
    made = ranks(monkeypatch, world_size, data, 6, seed=0, kind=DomainSampler)
    parts = np.array([list(sampler) for sampler in made])
    assert parts.shape == (world_size, len(made[0]))
    assert len(made[0]) == 100 // (6 * world_size) * 6
    for batch in np.split(data.domains[parts], len(made[0]) // 6, axis=1):
        assert len(set(batch[:, :3].ravel())) == len(set(batch[:, 3:].ravel())) == 1
        assert batch[0, 0] != batch[0, 3]


def test_domains_are_drawn_anew_in_each_epoch():
    sampler, twin = (DomainSampler(OfDomains(20, 30), 4, seed=5) for _ in range(2))
    first = list(sampler)
    assert first == list(sampler) == list(twin)
    sampler.set_epoch(1)
    assert list(sampler) != first
    # A batch larger than the data set is filled by repetition.
    assert len(list(DomainSampler(OfDomains(2, 3), 16, seed=0))) == 16


def test_what_domain_sampler_refuses():
    data = OfDomains(5, 5)
    with pytest.raises(ValueError, match='batch_size must be even, got 3'):
        DomainSampler(data, 3)
    with pytest.raises(ValueError, match='batch_size must be a whole number'):
        DomainSampler(data, 0)
    with pytest.raises(ValueError, match='always draws at random'):
        DomainSampler(data, 4, shuffle=False)
    with pytest.raises(ValueError, match='one domain only'):
        DomainSampler(OfDomains(5), 4)
    with pytest.raises(TypeError, match=r"Labelled has no get_domains.*mix='random'"):
        DomainSampler(Labelled(TAIL), 4)
