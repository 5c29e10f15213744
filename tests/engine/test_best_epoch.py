"""The best epoch of a training inside another job."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import tiny_config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfer.datasets import LabelView
from mmfer.engine import BestEpochHook
from mmfer.engine.hooks.best_epoch import epochs_at_full_rate
from mmfer.engine.training import train_classifier
from mmfer.registry import DATASETS


@pytest.mark.parametrize(
    'values, patience, peak, stop',
    [
        ([50, 60, 60, 55], 5, 2, False),
        ([50, 60, 60, 55], 2, 2, True),
        ([50, 40, 30], 2, 1, True),
        ([30, 40, 50], 1, 3, False),
    ],
)
def test_best_epoch(tmp_path, values, patience, peak, stop):
    """Of equal epochs, the first is the best one."""
    hook = BestEpochHook(patience)
    hook.summary = SimpleNamespace(history={})
    loop = SimpleNamespace(stop_training=False)
    runner = SimpleNamespace(
        work_dir=str(tmp_path), train_loop=loop, epoch=0, model=torch.nn.Linear(1, 1)
    )
    for epoch, value in enumerate(values, 1):
        runner.epoch = epoch
        runner.model.weight.data.fill_(epoch)
        hook.summary.history[epoch] = dict(metrics={'accuracy/top1': value})
        hook.after_val_epoch(runner, metrics=dict(a=1))
    saved = torch.load(tmp_path / 'peak.pth', weights_only=True)
    assert saved['meta']['epoch'] == peak == saved['state_dict']['weight']
    assert loop.stop_training == stop
    with pytest.raises(ValueError, match='patience'):
        BestEpochHook(0)


@pytest.mark.parametrize(
    'rates, full',
    [
        # An epoch has four iterations.
        ([1.0] * 12, None),
        ([1.0] * 8 + [0.1] * 8, 2),
        ([0.1] * 4 + [1.0] * 4 + [0.4] * 4, 2),
        # The fourth epoch is the first that ends at 0.5 or less.
        (np.linspace(1, 0, 25)[:20], 3),
    ],
)
def test_epochs_before_the_rate_has_fallen(rates, full):
    assert epochs_at_full_rate(np.array(rates), 4) == full


@pytest.mark.parametrize(
    'schedule, epochs',
    [
        (dict(milestones=[2]), 7),
        (dict(milestones=[6]), 9),
        (None, 6),
        (dict(milestones=[3], patience=2), 3),
    ],
)
def test_no_base_model_ends_at_its_full_learning_rate(
    tmp_path, monkeypatch, schedule, epochs
):
    """It does not stop there although its first epoch is the best."""
    monkeypatch.setattr(BestEpochHook, 'peak', lambda self, epoch: 1)
    schedule = schedule and dict(schedule)
    patience = schedule and schedule.pop('patience', None)
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces_noise30', train_cfg__max_epochs=9)
    cfg.param_scheduler = schedule and dict(
        type='MultiStepLR', by_epoch=True, gamma=0.1, **schedule
    )
    init_default_scope('mmfer')
    dataset, other = (
        DATASETS.build(cfg[name].dataset)
        for name in ('train_dataloader', 'val_dataloader')
    )
    views = [
        LabelView(data, data.sample_ids[:32], data.get_gt_labels()[:32], 7)
        for data in (dataset, other)
    ]
    found = train_classifier(
        cfg,
        views[0],
        7,
        str(tmp_path / 'model'),
        0,
        'Model',
        MMLogger.get_instance('test_best_epoch'),
        views[1],
        patience,
    )
    assert (found.epoch, found.epochs) == (1, epochs)
