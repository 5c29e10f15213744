"""Figures on cleaned labels, the control, and cleanlab beside it."""

import csv
import json
import sys

import numpy as np
import pytest
from helpers import Stop, load_tool, tiny_config
from mmengine.config import Config

from mmfer.analysis.benchmarks import cleanlab_labels, label_cleaning
from mmfer.score_table import read_score_table

tool = load_tool('benchmarks/label_cleaning.py')


def made_table():
    """Ten samples; by hand: 4 wrong, 3 of them found, 5 candidates."""
    return dict(
        clean_label=np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
        given_label=np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0]),
        candidate=np.array([0, 1, 1, 1, 1, 0, 0, 0, 1, 0]),
        noise_score=np.array([0.1, 0.9, 0.6, 0.8, 0.7, 0.2, 0.3, 0.1, 0.6, 0.4]),
        decision=np.array(
            [
                'keep',
                'relabel',
                'keep',
                'relabel',
                'drop',
                'keep',
                'keep',
                'keep',
                'relabel',
                'keep',
            ]
        ),
        suggested_label=np.array([0, 1, 0, 0, -1, 1, 1, 1, 2, 0]),
    )


def test_detection():
    found = label_cleaning.detection(made_table())
    assert found['candidates'] == 5
    assert found['precision'] == 3 / 5 and found['recall'] == 3 / 4
    assert found['f1'] == pytest.approx(2 / 3)
    # Pairs of a wrong and a right one: .8 .7 .6 .4 against .1 .9 .6 .2 .3 .1
    assert found['auroc'] == pytest.approx((5 + 5 + 4.5 + 4) / 24)


def test_outcome():
    became = label_cleaning.outcome(made_table())
    assert became == dict(
        samples=10,
        left=9,
        wrong_before=0.4,
        # Samples 1 (made wrong), 8 (still wrong) and 9 (missed).
        wrong_after=3 / 9,
        right_kept=5 / 6,
        changed_right=1 / 3,
    )
    mine = made_table()['clean_label'] == 1
    became = label_cleaning.outcome(made_table(), mine)
    assert became['samples'] == 5 and became['wrong_after'] == 2 / 5
    assert became['right_kept'] == 1
    nothing = label_cleaning.outcome({k: v[5:8] for k, v in made_table().items()})
    assert np.isnan(nothing['changed_right'])


def test_folds():
    labels = np.random.default_rng(0).choice(4, 101, p=[0.6, 0.3, 0.08, 0.02])
    fold = cleanlab_labels.folds(labels, 3, seed=1)
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 1
    for label in range(4):
        sizes = np.bincount(fold[labels == label], minlength=3)
        assert sizes.max() - sizes.min() <= 1
    assert (fold == cleanlab_labels.folds(labels, 3, seed=1)).all()
    assert (fold != cleanlab_labels.folds(labels, 3, seed=2)).any()


def write(path, table):
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['sample_id', 'image', *table])
        for i, row in enumerate(zip(*table.values())):
            writer.writerow([i, f'{i}.png', *row])


def call(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', ['label_cleaning.py', *map(str, args)])
    tool.main()


def test_tables(monkeypatch, tmp_path, capsys):
    (tmp_path / 'mine').mkdir()
    table = tmp_path / 'mine/sample_scores.csv'
    write(table, made_table())
    call(monkeypatch, 'figures', table)
    text = capsys.readouterr().out
    assert '| mine | 5 | 0.771 | 0.600 | 0.750 | 0.667 |' in text
    assert '| mine | 9 | 40.0 | 33.3 | 83.3 | 33.3 |' in text
    assert '| 1 | 5 | 40.0 | 40.0 | 100.0 | 0.0 |' in text
    call(monkeypatch, 'control', table, '--out', tmp_path / 'new/random.csv')
    with pytest.raises(SystemExit, match='another --out'):
        call(monkeypatch, 'control', table, '--out', table)
    other = tmp_path / 'other/mine/sample_scores.csv'
    other.parent.mkdir(parents=True)
    write(other, made_table())
    call(monkeypatch, 'figures', table, other)
    text = capsys.readouterr().out
    assert f'| {table} | 5 |' in text and f'| {other} | 5 |' in text
    decision = read_score_table(tmp_path / 'new/random.csv')['decision'].tolist()
    assert decision.count('drop') == 1 and decision.count('keep') == 9
    without = {k: v for k, v in made_table().items() if k != 'clean_label'}
    write(table, without)
    with pytest.raises(SystemExit, match='no column clean_label'):
        call(monkeypatch, 'figures', table)


def test_rescale():
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=20),
            param_scheduler=[
                dict(type='LinearLR', begin=0, end=4),
                dict(type='MultiStepLR', milestones=[10, 16], gamma=0.1),
                dict(type='OneCycleLR', total_steps=20, eta_max=1.0),
            ],
        )
    )
    cleanlab_labels.rescale(cfg, 10)
    assert cfg.train_cfg.max_epochs == 10
    assert cfg.param_scheduler == [
        dict(type='LinearLR', begin=0, end=2),
        dict(type='MultiStepLR', milestones=[5, 8], gamma=0.1),
        dict(type='OneCycleLR', total_steps=10, eta_max=1.0),
    ]
    cleanlab_labels.rescale(cfg, 1)
    assert cfg.param_scheduler[1].milestones == [1, 1]


def test_cleanlab(monkeypatch, tmp_path):
    """Every sample is judged by a model that has not seen it; after a kill,
    too."""
    cfg = tiny_config(
        None,
        'ce/ce_r18_synthfaces_noise30',
        train_dataloader__batch_size=8,
        optim_wrapper__optimizer__lr=5e-3,
    )
    cfg.pop('work_dir')
    # Its recipe is that of the models here.
    cfg.custom_hooks = [
        dict(type='GAAVEHook', base=dict(optim_wrapper=dict(optimizer=dict(lr=7e-3))))
    ]
    cfg.dump(tmp_path / 'tiny.py')
    (tmp_path / 'record.json').write_text(
        json.dumps(dict(subsets=[dict(image_passes=300), dict(image_passes=260)]))
    )
    options = (
        'cleanlab',
        tmp_path / 'tiny.py',
        '--out',
        tmp_path / 'out',
        '--like',
        tmp_path / 'record.json',
    )
    original, asked, views = cleanlab_labels.predict_view, [], []
    train = cleanlab_labels.train_classifier

    def trained(cfg, view, *args, **kwargs):
        views.append(view)
        # 560 passes / (96 samples x 2 of 3 folds), rounded.
        assert cfg.train_cfg.max_epochs == 3
        assert cfg.optim_wrapper.optimizer.lr == 7e-3
        return train(cfg, view, *args, **kwargs)

    def killed(model, view, like):
        if len(asked) == 1:
            raise Stop
        return noted(model, view, like)

    def noted(model, view, like):
        assert not set(view.sample_ids) & set(views[-1].sample_ids)
        asked.append(view)
        return original(model, view, like)

    monkeypatch.setattr(cleanlab_labels, 'train_classifier', trained)
    monkeypatch.setattr(cleanlab_labels, 'predict_view', killed)
    with pytest.raises(Stop):
        call(monkeypatch, *options)
    asked.clear()
    (first,) = (tmp_path / 'out').glob('fold0-*/history.json')
    before = first.read_text()
    monkeypatch.setattr(cleanlab_labels, 'predict_view', noted)
    call(monkeypatch, *options)
    judged = np.concatenate([view.sample_ids for view in asked])
    assert sorted(judged.tolist()) == list(range(96))
    # Seconds would differ, had it been trained again.
    assert first.read_text() == before
    table = read_score_table(tmp_path / 'out/sample_scores.csv')
    assert len(table['clean_label']) == 96
    assert set(table['candidate']) == {'0', '1'}
    scores = table['noise_score']
    assert ((scores >= 0) & (scores <= 1)).all() and len(set(scores)) > 50
