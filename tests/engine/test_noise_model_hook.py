"""Fits of noise models between epochs."""

import csv
import json

import numpy as np
import pytest
import torch
from helpers import (
    Stop,
    StopAt,
    assert_same_state,
    optimizer_state,
    poison_clean_labels,
    results,
    tiny_config,
    train,
)
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.engine.hooks import noise_model
from mmfer.engine.scoring import augmented_view, evaluation_view, training_set
from mmfer.evaluation import auroc

CONFIG = 'resup/resup_r18_synthfaces_noise30'


def config(work_dir, name=CONFIG, **options):
    # Three epochs of three steps are too few; accept the fits anyway.
    options.setdefault('model__noise_model', dict(min_separation=None))
    return tiny_config(work_dir, name, **options)


class Watch(Hook):
    """Record the losses of each training step and the weights of the fits."""

    def before_train_epoch(self, runner):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.losses.append(set(outputs))

    def after_train_epoch(self, runner):
        model = runner.model
        self.log = getattr(self, 'log', [])
        self.log.append(
            (
                set.union(*self.losses),
                [m.mixture.weight.clone() for m in model.noise_models],
            )
        )

    priority = 'LOWEST'


@pytest.mark.parametrize('source', ['epoch', 'pass', 'augmented_pass'])
def test_fits(tmp_path, source):
    watch = Watch()
    cfg = config(
        tmp_path,
        model__score_source=source,
        model__warmup_epochs=2,
        train_cfg__max_epochs=5,
        model__refit_interval=2,
    )
    runner = train(cfg, watch)
    with_consistency = ['loss_consistency' in names for names, _ in watch.log]
    assert with_consistency == [False, False, True, True, True]
    weights = [weights[0] for _, weights in watch.log]
    changed = [not torch.equal(a, b) for a, b in zip(weights, weights[1:])]
    assert changed == [True, False, True, False]  # after epochs 2 and 4
    history = json.loads((tmp_path / 'history.json').read_text())
    assert ['figures' in e for e in history] == [False, True, False, True, False]
    figures = history[1]['figures']
    assert figures['samples'] == 96 and figures['fit_taken'] == [True, True]
    assert runner.model._collected is None


def test_views_of_the_training_set(tmp_path):
    """One is not augmented, one is augmented otherwise than in the epoch."""
    runner = train(config(tmp_path, train_cfg__max_epochs=2))
    dataset = training_set(runner)
    state = dataset._random_state.clone()

    def images(view):
        return torch.stack([view[i]['inputs'] for i in range(96)])

    trained, plain, augmented = map(
        images, (dataset, evaluation_view(runner), augmented_view(runner))
    )
    flipped = plain.flip(-1)
    for view in (trained, augmented):
        same = (view == plain).flatten(1).all(1)
        mirrored = (view == flipped).flatten(1).all(1)
        assert (same | mirrored).all() and same.any() and mirrored.any()
    assert not torch.equal(trained, augmented)
    assert torch.equal(dataset._random_state, state)
    assert torch.equal(images(dataset), trained)


@pytest.mark.parametrize(
    'name, source, point, epoch',
    [
        ('resup', 'epoch', 'before_train_epoch', 1),
        ('resup', 'epoch', 'before_val_epoch', 2),
        ('resup', 'pass', 'before_train_epoch', 2),
        ('coteaching', 'epoch', 'before_train_epoch', 2),
        ('jocor', 'augmented_pass', 'before_train_epoch', 1),
    ],
)
def test_resume_is_identical(tmp_path, name, source, point, epoch):

    def settings(folder, **options):
        return config(
            tmp_path / folder,
            f'{name}/{name}_r18_synthfaces_noise30',
            model__score_source=source,
            **options,
        )

    whole = train(settings('whole'))
    with pytest.raises(Stop):
        train(settings('parts'), StopAt(point, epoch))
    resumed = train(settings('parts', resume=True))
    assert any('mixture.alpha' in k for k in whole.model.state_dict())
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))
    assert results(tmp_path / 'whole') == results(tmp_path / 'parts')


def read_scores(work_dir):
    with open(work_dir / 'sample_scores.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_clean_labels_reach_nothing(tmp_path, monkeypatch):
    """Poisoned clean labels change no weight, score or decision."""
    first = train(config(tmp_path / 'a'))
    poison_clean_labels(monkeypatch)
    second = train(config(tmp_path / 'b'))
    assert_same_state(first.model.state_dict(), second.model.state_dict())
    tables = [read_scores(tmp_path / name) for name in 'ab']
    assert [r.pop('clean_label') for r in tables[0]] != [
        r.pop('clean_label') for r in tables[1]
    ]
    assert tables[0] == tables[1]
    figures = [
        json.loads((tmp_path / name / 'history.json').read_text())[0]['figures']
        for name in 'ab'
    ]
    assert figures[0]['weight_auroc'] != figures[1]['weight_auroc']
    assert figures[0]['noise_rate'] == figures[1]['noise_rate']


def test_table_and_figures(tmp_path):
    train(config(tmp_path))
    rows = read_scores(tmp_path)
    assert list(rows[0]) == [
        'sample_id',
        'image',
        'given_label',
        'uncertainty',
        'confidence',
        'clean_probability_1',
        'clean_probability_2',
        'noise_score',
        'suggested_label',
        'decision',
        'clean_label',
        'given_class',
        'suggested_class',
    ]
    columns = {
        name: np.array([float(row[name]) for row in rows])
        for name in (
            'clean_probability_1',
            'clean_probability_2',
            'noise_score',
            'given_label',
            'clean_label',
        )
    }
    mean = columns['clean_probability_1'] + columns['clean_probability_2']
    assert columns['noise_score'] == pytest.approx(1 - mean / 2, abs=2e-3)
    summary = json.loads((tmp_path / 'summary.json').read_text())
    wrong = columns['given_label'] != columns['clean_label']
    # That of the scores before they were cut to six digits.
    low, high = (
        auroc(columns['noise_score'] + sign * 6e-7 * wrong, wrong) for sign in (-1, 1)
    )
    assert low <= summary['noise_auroc'] <= high


def test_a_fit_that_is_not_taken_is_logged(tmp_path):
    # No fit can have this separation.
    runner = train(config(tmp_path, model__noise_model=dict(min_separation=2.0)))
    assert not runner.model.noise_models[0].fitted
    (log,) = tmp_path.glob('*/*.log')
    text = log.read_text()
    assert 'train longer before the first fit (warmup_epochs)' in text
    assert 'fit not taken and fit not taken' in text
    rows = read_scores(tmp_path)
    assert {row['clean_probability_1'] for row in rows} == {'1'}
    assert len({row['noise_score'] for row in rows}) > 10
    figures = json.loads((tmp_path / 'history.json').read_text())[-1]['figures']
    assert figures['fit_taken'] == [False, False]
    assert figures['noise_rate'] == [None, None]
    assert 'weight_auroc' not in figures


def test_fits_to_other_data_are_forgotten(tmp_path):
    train(config(tmp_path / 'a'))
    watch = Watch()
    cfg = config(
        tmp_path / 'b',
        model__warmup_epochs=2,
        load_from=str(tmp_path / 'a/epoch_3.pth'),
    )
    runner = Runner.from_cfg(cfg)
    states = []

    class Look(Hook):
        def before_train_epoch(self, runner):
            states.append(runner.model.noise_models[0].fitted)

    runner.register_hook(watch)
    runner.register_hook(Look())
    runner.train()
    assert states == [False, False, True]


def test_with_relabelling(tmp_path, monkeypatch):
    """The current labels are compared with the clean ones, not the given."""
    judged = []

    def spy(weights, wrong):
        judged.append(wrong)
        return {}

    monkeypatch.setattr(noise_model, 'weight_figures', spy)
    hooks = [
        dict(type='NoiseModelHook'),
        dict(type='RelabelHook', start_epoch=1, fraction=1.0, threshold=-1e-9),
    ]
    dataset = training_set(train(config(tmp_path, custom_hooks=hooks)))
    given = dataset.given_labels != dataset.clean_labels
    used = dataset.all_labels.numpy() != dataset.clean_labels
    assert (given != used).any()
    assert (judged[0] == given).all()  # before any label was changed
    assert (judged[-1] == used).all()


def test_wrong_model(tmp_path):
    cfg = tiny_config(
        tmp_path, 'ce/ce_r18_synthfaces', custom_hooks=[dict(type='NoiseModelHook')]
    )
    with pytest.raises(TypeError, match='FERClassifier'):
        train(cfg)


def test_warm_up_longer_than_training(tmp_path):
    with pytest.raises(ValueError, match='warmup_epochs=3 covers all'):
        train(config(tmp_path, model__warmup_epochs=3))
    assert not (tmp_path / 'history.json').exists()


def test_pass_without_validation(tmp_path):
    cfg = config(tmp_path, model__score_source='pass')
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    with pytest.raises(ValueError, match="'epoch'"):
        train(cfg)
