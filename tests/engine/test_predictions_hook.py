"""A training leaves the predictions of its last validation."""

import numpy as np
import pytest
from helpers import tiny_config, train

from mmfer.analysis.predictions import read_predictions


def test_they_are_those_of_the_last_validation(tmp_path):
    runner = train(tiny_config(tmp_path))
    found = read_predictions(str(tmp_path / 'predictions.npz'))
    dataset = runner.val_dataloader.dataset
    np.testing.assert_array_equal(found.sample_id, dataset.sample_ids)
    np.testing.assert_array_equal(found.labels, dataset.get_gt_labels())
    last = runner.message_hub.get_scalar('val/accuracy/top1').current()
    assert 100 * found.correct.mean() == pytest.approx(last)
    # The evaluator is as it was.
    names = [type(metric).__name__ for metric in runner.val_loop.evaluator.metrics]
    assert 'DumpPredictions' not in names
    before = (tmp_path / 'predictions.npz').read_bytes()
    runner.val_loop.run()
    assert (tmp_path / 'predictions.npz').read_bytes() == before


def test_a_training_by_iterations(tmp_path):
    cfg = tiny_config(tmp_path)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2)
    # It counts epochs.
    del cfg.default_hooks['summary']
    train(cfg)
    assert len(read_predictions(str(tmp_path / 'predictions.npz')).labels) == 50


def test_a_run_that_goes_on_keeps_no_older_predictions(tmp_path):
    train(tiny_config(tmp_path, train_cfg__max_epochs=1))
    old = (tmp_path / 'predictions.npz').read_bytes()
    # It is finished: nothing is validated again.
    train(tiny_config(tmp_path, train_cfg__max_epochs=1, resume=True))
    assert (tmp_path / 'predictions.npz').read_bytes() == old
    (tmp_path / 'rejection_curve.png').write_bytes(b'old')
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=4, resume=True)
    cfg.custom_hooks = [
        dict(
            type='EarlyStoppingHook', monitor='accuracy/top1', patience=1, min_delta=99
        )
    ]
    train(cfg)
    assert not (tmp_path / 'predictions.npz').exists()
    assert not (tmp_path / 'rejection_curve.png').exists()


def test_a_training_that_ends_early_leaves_none(tmp_path):
    cfg = tiny_config(tmp_path)
    cfg.custom_hooks = [
        dict(
            type='EarlyStoppingHook', monitor='accuracy/top1', patience=1, min_delta=99
        )
    ]
    train(cfg)
    assert not (tmp_path / 'predictions.npz').exists()
