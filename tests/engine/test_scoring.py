"""Results of several processes are joined."""

import numpy as np

from mmfer.engine.scoring import join_parts, merge_by_id


def test_each_sample_once_by_ascending_id():
    parts = [
        ([5, 2, 9], [[0.5, 0.2, 0.9], [5, 2, 9]]),
        ([2, 7, 5], [[0.25, 0.7, 0.55], [20, 7, 50]]),
    ]
    ids, values = join_parts([(np.array(i), np.array(v)) for i, v in parts], axis=1)
    assert ids.tolist() == [2, 5, 7, 9]
    assert values.tolist() == [[0.2, 0.5, 0.7, 0.9], [2, 5, 7, 9]]


def test_samples_along_the_first_axis():
    values = np.array([[0.5, 5], [0.2, 2], [0.9, 9]])
    ids, merged = merge_by_id(np.array([5, 2, 9]), values)
    assert ids.tolist() == [2, 5, 9]
    assert np.array_equal(merged, values[[1, 0, 2]])
