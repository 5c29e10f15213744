"""Passes over a set: results are joined, and workers outlive a signal."""

import subprocess
import sys

import numpy as np
import torch
from helpers import CONFIGS, environment
from mmengine.config import Config

from mmfer.datasets import LabelView, SyntheticFaces
from mmfer.engine.classifier_config import classifier_config
from mmfer.engine.scoring import (
    five_shifts,
    five_views,
    join_parts,
    merge_by_id,
    predict_view,
)
from mmfer.registry import MODELS


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


def test_five_views():
    images = torch.arange(2 * 44 * 66.0).reshape(2, 1, 44, 66)
    same, *others = five_views(images)
    assert torch.equal(same, images)
    # By two of 44 rows, and three of 66 columns.
    shifts = [(-2, -3, False), (-2, 3, True), (2, -3, True), (2, 3, False)]
    for view, (down, right, mirrored) in zip(others, shifts, strict=True):
        assert view.shape == images.shape
        view = view.flip(-1) if mirrored else view
        rows = (torch.arange(44) + down).clamp(0, 43)
        columns = (torch.arange(66) + right).clamp(0, 65)
        assert torch.equal(view, images[:, :, rows][..., columns])


def test_networks_that_learned_no_mirrors_see_none():
    images = torch.arange(2 * 24 * 24.0).reshape(2, 1, 24, 24)
    for view, other in zip(five_views(images), five_shifts(images), strict=True):
        assert torch.equal(view, other) or torch.equal(view, other.flip(-1))
    same, *others = five_shifts(images)
    assert torch.equal(same, images)
    for view, (down, right) in zip(
        others, [(-1, -1), (-1, 1), (1, -1), (1, 1)], strict=True
    ):
        expected = images.roll((-down, -right), (2, 3))[..., 1:-1, 1:-1]
        assert torch.equal(view[..., 1:-1, 1:-1], expected)


def test_probabilities_of_views_are_averaged():
    """Not logits; by a network whose predictions of the views differ."""
    cfg = classifier_config(
        Config.fromfile(f'{CONFIGS}/ce/ce_r18_synthfaces_noise30.py'), 7
    )
    torch.manual_seed(0)
    model = MODELS.build(cfg).eval()
    # Sure predictions, whose mean is not that of their logits.
    with torch.no_grad():
        model.head.fc.weight *= 400
    pipeline = [dict(type='PackFERInputs')]
    dataset = SyntheticFaces(num_samples=6, size=40, pipeline=pipeline)
    view = LabelView(dataset, np.array([4, 1, 3]), np.zeros(3, int), 7)
    loader = Config(dict(batch_size=2, num_workers=0))
    ids, found = predict_view(model, view, loader, five_views)
    assert ids.tolist() == [1, 3, 4]
    images = torch.stack([dataset[i]['inputs'] for i in ids])
    data = model.data_preprocessor(dict(inputs=images))['inputs']
    with torch.no_grad():
        parts = [model(v, mode='tensor').softmax(1) for v in five_views(data)]
    np.testing.assert_allclose(found, torch.stack(parts).mean(0).numpy(), atol=1e-3)
    logits = torch.stack(parts).log().mean(0).softmax(1).numpy()
    for other in (logits, parts[0].numpy()):
        assert np.abs(found - other).max() > 0.005


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
