"""Passes over a set: results are joined, and workers outlive a signal."""

import multiprocessing
import subprocess

import numpy as np
import torch

from mmfer.engine.scoring import batches_in_order, join_parts, merge_by_id


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


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return dict(number=index)


def test_workers_outlive_the_signal_of_a_cluster():
    """It goes to all processes, and the main one decides what ends."""
    found = []
    batches = batches_in_order(Numbers(), 4, 1, dict(type='default_collate'))
    for batch in batches:
        found += batch['number'].tolist()
        if len(found) == 4:
            (worker,) = multiprocessing.active_children()
            # Only the parent may end it.
            subprocess.run(['kill', '-TERM', str(worker.pid)], check=True)
    assert found == list(range(40))
