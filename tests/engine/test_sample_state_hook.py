"""What a method keeps for each sample: through epochs, resumes, and other runs."""

import numpy as np
import pytest
import torch
from helpers import Stop, StopAfter, StopAt, assert_same_state, tiny_config, train

from mmfer.engine import SampleStateHook
from mmfer.methods.ce import CEHead
from mmfer.models.sample_state import SampleTables, TrainingFacts, require_sample_ids
from mmfer.registry import MODELS

NAME = 'ce/ce_r18_synthfaces_noise30'


@MODELS.register_module(force=True)
class CountingHead(SampleTables, CEHead):
    """Cross-entropy that counts how often it has seen each sample."""

    def new_tables(self, facts):
        self.refreshed = []
        return dict(
            seen=torch.zeros(facts.num_samples, dtype=torch.int64),
            mean=torch.zeros(facts.num_samples, self.num_classes),
        )

    def loss(self, feats, data_samples, **kwargs):
        ids = require_sample_ids(self, data_samples)
        logits = self(feats)
        seen = self.rows('seen', ids, logits)
        mean = self.rows('mean', ids, logits)
        self.write('seen', ids, seen + 1 + self.epoch)
        self.write('mean', ids, 0.5 * (mean + logits.detach().softmax(1)))
        # What it keeps must reach the weights, so that a wrong resume shows.
        return dict(
            loss=self.loss_module(logits, data_samples.gt_label)
            + (logits.softmax(1) * mean).sum(1).mean()
        )

    def score_labels(self, predictions, labels):
        seen = self.table('seen')[predictions['sample_id']].float()
        return dict(seen=seen, noise_score=1 / seen)


@MODELS.register_module(force=True)
class LookingHead(CountingHead):
    """Looks at all samples before every second epoch."""

    def refresh_due(self, epoch):
        return epoch % 2 == 1

    def refresh(self, ids, scores, labels):
        assert scores.shape == (len(ids), self.num_classes)
        assert torch.equal(ids, torch.arange(96)) and labels.shape == ids.shape
        self.refreshed.append(self.epoch)


def config(folder, kind='CountingHead', **options):
    cfg = tiny_config(folder, NAME, **options)
    cfg.model.head = dict(type=kind)
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='fer_collate')
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def tables(runner):
    return runner.model.head._tables


def test_each_sample_has_its_row(tmp_path):
    runner = train(config(tmp_path))
    # Each of three epochs adds one and its number.
    assert tables(runner)['seen'].tolist() == [1 + 2 + 3] * 96
    # No weights: an exported model does not carry them.
    assert not {k for k in runner.model.state_dict() if k.startswith('head')} - {
        'head.fc.weight',
        'head.fc.bias',
    }
    text = (tmp_path / 'sample_scores.csv').read_text().splitlines()
    assert 'seen,noise_score' in text[0] and ',6,0.166667,' in text[1], text[1]


@pytest.mark.parametrize('point, epoch', [('before_train_epoch', 1), (None, 4)])
def test_resume_is_identical(tmp_path, point, epoch):
    """At the end of an epoch and inside of one."""
    keep = dict(default_hooks__checkpoint__save_iters=4)
    whole = train(config(tmp_path / 'whole', **keep))
    stop = StopAt(point, epoch) if point else StopAfter(epoch)
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', **keep), stop)
    resumed = train(config(tmp_path / 'parts', resume=True, **keep))
    for name, table in tables(whole).items():
        assert torch.equal(table, tables(resumed)[name]), name
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())


def test_samples_of_other_labels_are_refused(tmp_path):
    with pytest.raises(Stop):
        train(config(tmp_path), StopAt('before_train_epoch', 1))
    cfg = config(
        tmp_path,
        resume=True,
        train_dataloader__dataset__label_noise__seed=5,
        default_hooks__provenance__strict=False,
    )
    with pytest.raises(ValueError, match='for other given labels .* start anew'):
        train(cfg)


def test_a_checkpoint_without_state_is_refused():
    """Such as that of another head: the run would go on as if in its first epoch."""
    head = CountingHead(num_classes=3, in_channels=4)
    head.start_training(TrainingFacts(5, 1))
    hook = SampleStateHook()
    hook.after_load_checkpoint(None, {})
    with pytest.raises(ValueError, match='CountingHead .model.head. .* start anew'):
        hook._load(None, dict(head=head), hook._resumed)
    head._tables = {}
    hook._load(None, dict(head=head), hook._resumed)


def test_another_shape_is_refused():
    head = CountingHead(num_classes=3, in_channels=4)
    facts = type('Facts', (), dict(num_samples=5, max_epochs=1, seed=0))
    with pytest.raises(RuntimeError, match='SampleStateHook'):
        head.load_sample_state({})
    head.start_training(facts)
    state = head.sample_state()
    other = CountingHead(num_classes=3, in_channels=4)
    other.start_training(type('Facts', (), dict(num_samples=6, max_epochs=1, seed=0)))
    with pytest.raises(ValueError, match=r"'seen' of shape \(5,\), .* needs \(6,\)"):
        other.load_sample_state(state)
    with pytest.raises(ValueError, match="'mean' of shape None"):
        head.load_sample_state(dict(seen=state['seen']))


def test_fine_tuning_starts_anew(tmp_path):
    """``load_from`` takes the weights and nothing of the samples."""
    train(config(tmp_path / 'first', train_cfg__max_epochs=1))
    cfg = config(
        tmp_path / 'second',
        train_cfg__max_epochs=1,
        load_from=str(tmp_path / 'first/epoch_1.pth'),
    )
    assert tables(train(cfg))['seen'].tolist() == [1] * 96


def test_predictions_of_all_samples(tmp_path):
    runner = train(config(tmp_path / 'whole', 'LookingHead'))
    assert runner.model.head.refreshed == [1]
    # Inside the second epoch, the look was before the checkpoint.
    keep = dict(default_hooks__checkpoint__save_iters=4)
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', 'LookingHead', **keep), StopAfter(4))
    resumed = train(config(tmp_path / 'parts', 'LookingHead', resume=True, **keep))
    assert resumed.model.head.refreshed == []
    cfg = config(tmp_path / 'blind', 'LookingHead')
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    wanted = 'LookingHead .* before epoch 2, .*validation is switched off'
    with pytest.raises(ValueError, match=wanted):
        train(cfg)


def test_runs_without_predictions(tmp_path):
    """Where none is due, or where a measurement of the step does without."""
    for folder, options in (
        ('short', dict(train_cfg__max_epochs=1)),
        ('timed', dict(default_hooks__sample_state__refresh=False)),
    ):
        cfg = config(tmp_path / folder, 'LookingHead', **options)
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        assert train(cfg).model.head.refreshed == []


def test_without_the_hook(tmp_path):
    cfg = config(tmp_path)
    cfg.default_hooks.pop('sample_state')
    with pytest.raises(RuntimeError, match='CountingHead .* add sample_state=dict'):
        train(cfg)


def test_averaged_weights_share_the_tables(tmp_path):
    cfg = config(tmp_path)
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.5)]
    runner = train(cfg)
    assert tables(runner)['seen'].tolist() == [6] * 96
    assert np.isfinite(runner.message_hub.get_info('noise_auroc') or 0)


def test_a_sample_twice_in_a_batch():
    """All processes must keep the same row: the last one."""
    head = CountingHead(num_classes=3, in_channels=4)
    head.start_training(TrainingFacts(5, 1))
    ids = torch.tensor([4, 1, 4, 2, 1, 4])
    head.write('seen', ids, torch.arange(6))
    assert head.table('seen').tolist() == [0, 4, 3, 0, 5]


def test_schedules_are_checked_before_a_cleaning(tmp_path):
    """GAAVE works for hours before SampleStateHook is asked."""
    cfg = tiny_config(
        tmp_path, 'scn/scn_r18_synthfaces_noise30', model__head__relabel_epoch=9
    )
    cfg.custom_hooks = [dict(type='GAAVEHook')]
    with pytest.raises(ValueError, match='relabel_epoch=9, but the run has 3 epochs'):
        train(cfg)
    assert not (tmp_path / 'cleaning').exists()
