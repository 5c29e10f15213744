"""Passes over a set: results are joined, and workers outlive a signal."""

import subprocess
import sys

import numpy as np
from helpers import environment

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


OUTLIVE = """
import multiprocessing
import subprocess

from mmfer.engine.scoring import batches_in_order


class Numbers:
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return dict(number=index)


found = []
for batch in batches_in_order(Numbers(), 4, 1, dict(type='default_collate')):
    found += batch['number'].tolist()
    if len(found) == 4:
        (worker,) = multiprocessing.active_children()
        # Only the parent may end it.
        subprocess.run(['kill', '-TERM', str(worker.pid)], check=True)
assert found == list(range(40)), found
"""


def test_workers_outlive_the_signal_of_a_cluster():
    """It goes to all processes, and the main one decides what ends.

    In a program of its own: threads and signals of other tests do not belong to it.
    """
    done = subprocess.run(
        [sys.executable, '-c', OUTLIVE],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
