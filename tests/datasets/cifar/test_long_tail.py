import numpy as np

from mmfer.datasets.cifar.long_tail import long_tail_counts, long_tail_rows


def test_counts_of_the_papers_long_tail():
    counts = long_tail_counts([5000] * 10, 50)
    assert counts.tolist() == [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100]
    assert counts.sum() == 13996
    assert long_tail_counts([500] * 100, 10)[[0, -1]].tolist() == [500, 50]


def test_counts_of_a_long_tail_in_general():
    assert long_tail_counts([700] * 3, 7)[[0, -1]].tolist() == [700, 100]
    assert long_tail_counts([10000] * 3, 100).tolist() == [10000, 1000, 100]
    assert long_tail_counts([5] * 4, 1).tolist() == [5] * 4
    # No class gets more samples than it has, and none gets empty.
    assert long_tail_counts([10, 3, 0, 9], 1000).tolist() == [10, 1, 0, 1]
    assert long_tail_counts([4, 100, 50], 2).tolist() == [4, 70, 50]


def test_rows_of_a_long_tail():
    labels = np.arange(200) % 10
    few = long_tail_rows(labels, 10, 20, seed=0)
    many = long_tail_rows(labels, 10, 5, seed=0)
    assert np.bincount(labels[few]).tolist() == long_tail_counts([20] * 10, 20).tolist()
    assert (np.diff(few) > 0).all()
    assert set(few) < set(many)
    assert few.tolist() == long_tail_rows(labels, 10, 20, seed=0).tolist()
    assert few.tolist() != long_tail_rows(labels, 10, 20, seed=1).tolist()
    # The rows are not just the first ones of each class.
    assert few.max() > 100
