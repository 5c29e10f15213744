"""Images with the predictions of several runs."""

import cv2
import numpy as np
import pytest
from helpers import call_tool

from mmfer.analysis.examples import choose_examples

COUNT = 40


def test_choice():
    """The last run decides the column, the other runs the order."""
    rng = np.random.default_rng(0)
    correct = rng.random((3, COUNT)) < 0.5
    grid = choose_examples(correct, 3, 4, seed=1)
    assert grid.shape == (3, 4) and len(np.unique(grid)) == 12
    assert correct[2, grid[:, :-1]].all() and not correct[2, grid[:, -1]].any()
    others = correct[:2].sum(axis=0)
    for shown, kind in ((grid[:, :-1].ravel(), True), (grid[:, -1], False)):
        assert (np.diff(others[shown]) >= 0).all()
        left = np.setdiff1d(np.flatnonzero(correct[2] == kind), shown)
        assert others[shown].max() <= others[left].min()
    assert (grid == choose_examples(correct, 3, 4, seed=1)).all()
    assert (grid != choose_examples(correct, 3, 4, seed=2)).any()


def test_too_few_images():
    correct = np.array([[True, False, True, False]])
    grid = choose_examples(correct, 3, 2)
    assert sorted(grid[:, 0]) == [-1, 0, 2] and sorted(grid[:, 1]) == [-1, 1, 3]
    assert (choose_examples(np.ones((2, 3), bool), 1, 3)[:, -1] == -1).all()


@pytest.fixture
def runs(tmp_path):
    """Predictions of two runs for images in files, and of one for others."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(COUNT):
        paths.append(str(tmp_path / f'{i}.png'))
        cv2.imwrite(paths[-1], rng.integers(0, 256, (20, 16, 3), np.uint8))
    files = []
    for name, first in (('vgg', 0), ('gan', 0), ('other', 5)):
        scores = rng.random((COUNT, 3))
        files.append(tmp_path / f'{name}.npz')
        np.savez(
            files[-1],
            pred_score=scores,
            gt_label=np.arange(COUNT) % 3,
            uncertainty=1 - scores.max(axis=1),
            sample_id=first + np.arange(COUNT),
            img_path=np.array(paths),
            classes=np.array(['sad', 'happy', 'angry']),
        )
    return files


def test_tool(runs, tmp_path):
    out = tmp_path / 'new/x.png'
    call_tool('analysis_tools/prediction_examples.py', *runs[:2], '--out', out)
    assert cv2.imread(str(out)).std() > 10
    call_tool(
        'analysis_tools/prediction_examples.py', runs[0], '--rows', 30, '--out', out
    )
    said = call_tool('analysis_tools/prediction_examples.py', *runs, code=1)
    assert 'vgg and other have predictions for different images' in said
    said = call_tool(
        'analysis_tools/prediction_examples.py', *runs[:2], '--columns', 1, code=1
    )
    assert '--columns' in said
