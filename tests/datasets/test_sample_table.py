"""Columns of annotations give every annotation back as it was stored."""

import pickle

import numpy as np
import pytest

from mmfer.datasets.sample_table import PickledValues, SampleTable
from mmfer.utils.string_table import StringTable

SAMPLES = dict(
    texts=[dict(img_path='a/1.jpg'), dict(img_path='a/2.jpg')],
    numbers=[dict(a=1, b=0.1), dict(a=-(2**63), b=float('inf'))],
    huge=[dict(a=2**63), dict(a=1)],
    arrays=[dict(a=np.array([1, 2], np.float32)), dict(a=np.array([3, 4], np.float32))],
    shapes=[dict(a=np.zeros(2)), dict(a=np.zeros(3))],
    dtypes=[dict(a=np.zeros(2)), dict(a=np.zeros(2, np.float32))],
    flags=[dict(a=True), dict(a=False)],
    mixed=[dict(a=1), dict(a='1')],
    mixed_numbers=[dict(a=1), dict(a=1.0)],
    scalars=[dict(a=np.float32(1)), dict(a=np.float32(2))],
    objects=[dict(a=None, b=[1]), dict(a=(1, 'x'), b=[2])],
    names=[dict(a=1, b=2), dict(a=1)],
    none=[],
)


def same(first, second):
    if isinstance(first, np.ndarray):
        return (
            isinstance(second, np.ndarray)
            and first.dtype == second.dtype
            and np.array_equal(first, second)
        )
    return type(first) is type(second) and first == second


@pytest.mark.parametrize('kind', SAMPLES)
def test_annotations_come_back(kind):
    samples = SAMPLES[kind]
    table = SampleTable.from_samples(samples)
    for again in (table, pickle.loads(pickle.dumps(table)), table.copy()):
        assert len(again) == len(samples)
        for row, sample in enumerate(samples):
            found = again[row]
            assert list(found) == list(sample)
            assert all(same(found[name], sample[name]) for name in sample)


@pytest.mark.parametrize(
    'kind, expected',
    [('texts', StringTable), ('arrays', np.ndarray), ('huge', list), ('mixed', list)],
)
def test_one_value_of_all_samples(kind, expected):
    samples = SAMPLES[kind]
    (name,) = samples[0]
    values = SampleTable.from_samples(samples).take(name, np.array([1, 0, 1]))
    assert isinstance(values, expected)
    assert all(same(v, samples[i][name]) for v, i in zip(values, (1, 0, 1)))


def test_value_of_samples_with_different_names():
    table = SampleTable.from_samples(SAMPLES['names'])
    assert table.column('a').tolist() == [1, 1]
    with pytest.raises(KeyError):
        table.column('b')


def test_a_change_of_a_sample_does_not_reach_the_table():
    table = SampleTable.from_samples(SAMPLES['arrays'])
    table[0]['a'][:] = 9
    assert table[0]['a'].tolist() == [1, 2]


def test_pickled_values_are_new_objects():
    values = PickledValues([[1], [2]])
    values[0].append(3)
    assert [values[0], values[1]] == [[1], [2]]
