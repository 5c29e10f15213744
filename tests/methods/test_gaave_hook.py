"""GAAVE as a whole: a hook in front of a training, stage by stage."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import (
    CONFIGS,
    STEPS,
    CopyAt,
    assert_same_state,
    copy_work_dir,
    patch_training,
    poison_clean_labels,
    tiny_config,
    train,
)
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from mmfer.engine import BestEpochHook, StageProgressHook
from mmfer.engine.classifier_config import classifier_config
from mmfer.engine.training import Trained, train_classifier
from mmfer.evaluation import Strength
from mmfer.methods.gaave import GAAVE, LabelDecisions
from mmfer.methods.gaave import models as module
from mmfer.methods.gaave.algorithm import learns_something
from mmfer.methods.gaave.messages import CleaningLog
from mmfer.methods.gaave.options import GAAVEOptions
from mmfer.methods.gaave.pixels import to_unit_range
from mmfer.methods.gaave.splitting import plain_subset
from mmfer.methods.gaave.vulnerability import Vulnerability
from mmfer.registry import TASK_UTILS
from mmfer.score_table import write_score_table
from mmfer.utils.signals import Interrupted


def made_attack(self, model, view):
    """Any k, as models this small have few; it depends on the model."""
    weight = sum(float(p.detach().double().sum()) for p in model.parameters())
    steps = (7 * view.sample_ids + int(1e4 * weight)) % 10
    return view.sample_ids, steps, view.sample_ids / 96


@pytest.fixture
def any_steps(monkeypatch):
    monkeypatch.setattr(module.SubsetModels, 'attack_view', made_attack)


def config(work_dir, name='ce/ce_r18_synthfaces_noise30', **gaave):
    cfg = tiny_config(
        work_dir,
        name,
        train_dataloader__batch_size=8,
        optim_wrapper__optimizer__lr=5e-3,
    )
    hook = dict(STEPS, type='GAAVEHook', tau=4, head=[2, 4, 6])
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), {**hook, **gaave}]
    return cfg


def read_table(work_dir):
    with open(work_dir / 'sample_scores.csv', newline='') as file:
        return list(csv.DictReader(file))


class Seen(Hook):
    """Notes ids and labels of the samples that are trained on."""

    def before_train(self, runner):
        self.epochs = []

    def before_train_epoch(self, runner):
        self.epochs.append({})

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for sample in data_batch['data_samples']:
            self.epochs[-1][int(sample.sample_id)] = int(sample.gt_label)


def test_training_follows_the_decisions(tmp_path, monkeypatch):
    """Workers, sampler, length of the loop and schedule do."""
    decision = np.array(['keep', 'relabel', 'drop', 'keep'] * 24)
    decision[-12:] = 'drop'
    suggested = np.where(decision == 'drop', -1, np.arange(96) % 7)

    def judge_all(self, cfg, dataset, pipeline, root, logger):
        labels = dataset.get_gt_labels()
        zeros = np.zeros(96, dtype=int)
        label_decisions = LabelDecisions(
            np.arange(96),
            labels,
            zeros,
            zeros,
            zeros,
            decision != 'keep',
            np.where(decision == 'keep', labels, suggested),
            decision,
            zeros / 9,
        )
        return label_decisions, dict(made=1)

    monkeypatch.setattr(GAAVE, '__call__', judge_all)
    cfg = config(tmp_path)
    cfg.train_dataloader.num_workers = 1
    cfg.train_dataloader.persistent_workers = True
    cfg.param_scheduler = dict(
        type='CosineAnnealingLR', T_max=3, by_epoch=True, convert_to_iter_based=True
    )
    seen = Seen()
    runner = train(cfg, seen)
    rows = read_table(tmp_path)
    assert [row['decision'] for row in rows] == decision.tolist()
    expected = {
        i: int(rows[i]['given_label']) if decision[i] == 'keep' else i % 7
        for i in range(96)
        if decision[i] != 'drop'
    }
    # drop_last: all but the rest of the last batch.
    for epoch in seen.epochs:
        assert len(epoch) == len(expected) // 8 * 8
        assert epoch.items() <= expected.items()
    per_epoch = len(expected) // 8
    assert runner.max_iters == 3 * per_epoch
    assert runner.param_schedulers[0].T_max == 3 * per_epoch
    # For the old length it would end above 1e-3.
    assert runner.optim_wrapper.get_lr()['lr'][0] < 1e-4
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['noise_auroc'] == 0.5


# Where a cleaning is killed: the number of its training, and the point.
KILLED = [(0, 'after_train_epoch'), (2, 'after_val_epoch'), (1, 'trained')]


def copy_at_kill_points(patch, work_dir, folder):
    """Have the cleaning copied where a kill would leave it, once per point."""
    trainings = []

    def copy(point):
        target = folder / f'{len(trainings) - 1}-{point}'
        if (len(trainings) - 1, point) in KILLED and not target.exists():
            copy_work_dir(work_dir / 'cleaning', target)
            (target / 'killed').write_text(Path(trainings[-1]).parent.name)

    def counted(*args, **kwargs):
        trainings.append(args[3])
        result = train_classifier(*args, **kwargs)
        copy('trained')
        return result

    def copied_before(hook, point):
        call = getattr(hook, point)

        def wrapped(self, runner, *args, **kwargs):
            if runner.epoch >= 1:
                copy(point)
            return call(self, runner, *args, **kwargs)

        patch.setattr(hook, point, wrapped)

    patch_training(patch, counted)
    copied_before(StageProgressHook, 'after_train_epoch')
    copied_before(BestEpochHook, 'after_val_epoch')


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
    """Copies of the work dir of ``cleaned``, by where it would be killed."""
    return tmp_path_factory.mktemp('killed')


@pytest.fixture(scope='module')
def cleaned(tmp_path_factory, killed):
    """A work dir, and the model that came out."""
    work_dir = tmp_path_factory.mktemp('cleaned')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.SubsetModels, 'attack_view', made_attack)
        copy_at_kill_points(patch, work_dir, killed)
        copies = CopyAt('before_train_epoch', 1, killed / 'training')
        return work_dir, train(config(work_dir), copies).model.state_dict()


def clean_alone(cfg, root):
    """Run the cleaning of a config without its training."""
    dataset, other = made_sets(cfg)
    options = {k: v for k, v in cfg.custom_hooks[-1].items() if k != 'type'}
    logger = MMLogger.get_instance('test_gaave')
    return GAAVE(**options)(cfg, dataset, other.pipeline, str(root), logger)


def test_table(cleaned):
    work_dir, _ = cleaned
    rows = read_table(work_dir)
    assert len({row['attack_steps'] for row in rows}) > 3
    assert list(rows[0]) == [
        'sample_id',
        'image',
        'given_label',
        'uncertainty',
        'confidence',
        'subset',
        'attack_steps',
        'given_probability',
        'candidate',
        'noise_score',
        'suggested_label',
        'decision',
        'clean_label',
        'given_class',
        'suggested_class',
    ]
    for row in rows:
        steps = int(row['attack_steps'])
        # tau is 4, and k lies in [0, 9].
        score = float(row['noise_score'])
        given = float(row['given_probability'])
        assert given == pytest.approx(int(row['sample_id']) / 96, abs=1e-5)
        # k counts, and of equal k the probability.
        assert score == pytest.approx(
            0.5 + (4.5 - steps - 0.99 * (given - 0.5)) / 21, abs=1e-5
        )
        assert (score > 0.5) == (row['candidate'] == '1')
        assert row['candidate'] == str(int(steps <= 4))
        assert row['subset'] == str(int(int(row['given_label']) not in (2, 4, 6)))
        if row['candidate'] == '0':
            assert row['decision'] == 'keep'
        if row['decision'] == 'keep':
            assert row['suggested_label'] == row['given_label']
        elif row['decision'] == 'drop':
            assert row['suggested_label'] == '-1'
        else:
            assert row['suggested_label'] not in ('-1', row['given_label'])
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert 0 <= summary['noise_auroc'] <= 1
    decisions = [row['decision'] for row in rows]
    cleaning = summary['cleaning']
    assert len(cleaning.pop('used_sha256')) == 64
    assert cleaning == {d: decisions.count(d) for d in set(decisions)}


def test_stages_are_found_again(cleaned, any_steps, tmp_path, monkeypatch):
    work_dir, state = cleaned
    shutil.copytree(work_dir, tmp_path, dirs_exist_ok=True)

    def refuse(*args, **kwargs):
        raise AssertionError('a stage is done again')

    patch_training(monkeypatch, refuse)
    second = train(config(tmp_path))
    assert read_table(tmp_path) == read_table(work_dir)
    summaries = [
        json.loads((folder / 'summary.json').read_text())
        for folder in (tmp_path, work_dir)
    ]
    assert summaries[0]['cleaning'] == summaries[1]['cleaning']
    # Whether stages are read or run leaves no trace in the training.
    assert_same_state(state, second.model.state_dict())
    # Another threshold needs other annotators, but no attack.
    with pytest.raises(AssertionError, match='again'):
        train(config(tmp_path, tau=7))
    folders = sorted(p.name for p in (tmp_path / 'cleaning').iterdir())
    assert sum('vulnerability' in name for name in folders) == 2
    with pytest.raises(AssertionError, match='again'):
        train(config(tmp_path, attack=dict(epsilon=0.2)))


@pytest.mark.parametrize('stage, point', KILLED)
def test_killed_in_a_stage(
    cleaned, killed, any_steps, tmp_path, monkeypatch, stage, point
):
    """It goes on at the epoch where it was, to the same end."""
    work_dir, _ = cleaned
    copy_work_dir(killed / f'{stage}-{point}', tmp_path)
    folder = tmp_path / (tmp_path / 'killed').read_text()
    begun = json.loads((folder / 'model/history.json').read_text())
    assert not (folder / 'result.npz').exists()
    assert len(list(tmp_path.glob('*/result.npz'))) == stage
    folders = []

    def counted(*args, **kwargs):
        folders.append(args[3])
        return train_classifier(*args, **kwargs)

    patch_training(monkeypatch, counted)
    found, record = clean_alone(config(tmp_path), tmp_path)
    # Stages before it are done, this one goes on.
    assert folders[0] == f'{folder}/model' and len(folders) == 4 - stage
    history = json.loads((folder / 'model/history.json').read_text())
    assert history[0] == begun[0]
    assert record == json.loads((work_dir / 'cleaning/record.json').read_text())
    # All stages are there now, and none is done again.
    expected, _ = clean_alone(config(tmp_path), work_dir / 'cleaning')
    assert len(folders) == 4 - stage
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_signal_in_an_attack(cleaned, any_steps, tmp_path, monkeypatch, caplog):
    """The cleaning says that it ends, and goes on with the model that it has."""
    work_dir, _ = cleaned

    def interrupted(self, model, view):
        os.kill(os.getpid(), signal.SIGTERM)
        return made_attack(self, model, view)

    logger = MMLogger.get_instance('test_gaave')
    monkeypatch.setattr(logger, 'handlers', [*logger.handlers, caplog.handler])
    with monkeypatch.context() as patch:
        patch.setattr(module.SubsetModels, 'attack_view', interrupted)
        with pytest.raises(Interrupted) as error:
            clean_alone(config(tmp_path), tmp_path)
    assert error.value.code == 143
    assert 'SIGTERM: the cleaning ends. Start it again' in caplog.text
    assert str(tmp_path) in caplog.text
    (history,) = tmp_path.glob('*/model/history.json')
    trained = history.read_text()
    _, record = clean_alone(config(tmp_path), tmp_path)
    assert history.read_text() == trained
    assert record == json.loads((work_dir / 'cleaning/record.json').read_text())


def test_resumed_training_is_that_of_the_cleaned_set(
    cleaned, killed, any_steps, tmp_path
):
    work_dir, state = cleaned
    copy_work_dir(killed / 'training', tmp_path)
    cfg = config(tmp_path)
    cfg.resume = True
    seen = Seen()
    resumed = train(cfg, seen)
    assert len(seen.epochs) == 2
    assert_same_state(state, resumed.model.state_dict())
    assert read_table(tmp_path) == read_table(work_dir)


def test_clean_labels_reach_nothing(cleaned, any_steps, tmp_path, monkeypatch):
    work_dir, state = cleaned
    poison_clean_labels(monkeypatch)
    second = train(config(tmp_path))
    assert_same_state(state, second.model.state_dict())
    tables = [read_table(folder) for folder in (work_dir, tmp_path)]
    assert [r.pop('clean_label') for r in tables[0]] != [
        r.pop('clean_label') for r in tables[1]
    ]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    'name',
    [
        pytest.param('alum/alum_r18_synthfaces_noise30', marks=pytest.mark.slow),
        pytest.param('rul/rul_r18_synthfaces_noise30', marks=pytest.mark.slow),
        'resup/resup_r18_synthfaces_noise30',
    ],
)
def test_in_front_of_other_methods(tmp_path, name):
    """The decisions depend on backbone and schedule, not on the method."""
    runner = train(config(tmp_path, name, base=dict(train_cfg=dict(max_epochs=1))))
    rows = read_table(tmp_path)
    assert len(runner.train_dataloader.dataset) == sum(
        row['decision'] != 'drop' for row in rows
    )
    assert {'attack_steps', 'noise_score'} <= set(rows[0])


# -- parts and bad input ------------------------------------------------------
def made_sets(cfg):
    from mmengine.registry import init_default_scope

    from mmfer.registry import DATASETS

    init_default_scope('mmfer')
    return [
        DATASETS.build(cfg[name].dataset)
        for name in ('train_dataloader', 'val_dataloader')
    ]


def clean(tmp_path, labels=None, **options):
    """The decisions on a tiny set, and the record; models have one epoch."""
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces_noise30', train_cfg__max_epochs=1)
    dataset, other = made_sets(cfg)
    if labels is not None:
        dataset.set_labels(range(len(dataset)), labels)
    logger = MMLogger.get_instance('test_gaave')
    method = GAAVE(**{**STEPS, 'attack': dict(epsilon=0.1), **options})
    return method(cfg, dataset, other.pipeline, str(tmp_path), logger)


@pytest.fixture
def untrained(monkeypatch):
    """Models with random weights; arguments of what would train them."""
    calls = []

    def build(cfg, view, num_classes, *args):
        from mmfer.registry import MODELS

        calls.append((cfg, view, num_classes, *args))
        torch.manual_seed(len(calls))
        model = MODELS.build(classifier_config(cfg, num_classes))
        return Trained(model.eval(), '', 1, 1)

    patch_training(monkeypatch, build)
    return calls


def test_nothing_below_the_threshold(tmp_path, untrained, said):
    found, _ = clean(tmp_path, tau=-1)
    assert (found.decision == 'keep').all() and not found.candidate.any()
    assert (found.suggested_label == found.given_label).all()


def test_everything_below_the_threshold(tmp_path, untrained, monkeypatch):
    monkeypatch.setattr(
        module.SubsetModels,
        'attack_view',
        lambda self, model, view: (
            view.sample_ids,
            np.full(len(view), 3),
            np.ones(len(view)),
        ),
    )
    with pytest.raises(ValueError, match='smaller tau'):
        clean(tmp_path, tau=3)


def test_models_that_learned_nothing(tmp_path, said, monkeypatch):
    def untrained(cfg, view, num_classes, *args, **kwargs):
        from mmfer.registry import MODELS

        model = MODELS.build(classifier_config(cfg, num_classes))
        torch.nn.init.zeros_(model.head.fc.weight)
        return Trained(model.eval(), '', 1, 1)

    patch_training(monkeypatch, untrained)
    found, _ = clean(tmp_path)
    assert (found.decision == 'keep').all()
    assert any('learned nothing' in text for text in said)


def test_model_that_does_not_fit(tmp_path, said):
    clean(tmp_path, tau=0, fit='full', split=False)
    (text,) = [text for text in said if "fit='full'" in text]
    assert 'predicts only' in text


def test_model_that_fits_less_than_half(tmp_path, said):
    """With fit='peak', too."""
    found, record = clean(tmp_path, tau=0, split=False)
    accuracy = record['subsets'][0]['label_accuracy']
    assert accuracy == (found.attack_steps > 0).mean() < 0.5
    assert any('does not know these images' in text for text in said)
    assert 'does not know' in record['warnings'][0]


def test_model_that_knows_the_images_but_few_labels(said):
    """Its labels may be wrong, and it predicts others well."""
    labels = np.repeat([0, 1], 50)
    subset = plain_subset(np.arange(100), labels, np.array([0, 1]))
    steps = np.where(np.arange(100) % 5 < 2, 9, 0)
    found = Vulnerability(
        np.arange(100), steps, steps / 9, 0.4, None, 1, 1, 1, np.bincount(steps)
    )
    log = CleaningLog(MMLogger.get_instance('test_gaave'), ['a', 'b'])
    better = Strength(0.45, 0.3, 0.25, 0.05, 60)
    for strength, text in ((better, 'most of them are wrong, or'), (None, 'or the')):
        said.clear()
        known = found._replace(strength=strength)
        assert learns_something(subset, known, GAAVEOptions(**STEPS), log)
        assert text in said[0]
    assert log.warnings == ['T' + text[1:] for text in 2 * said[:1]]
    guess = Strength(0.35, 0.3, 0.25, 0.05, 60)
    found = found._replace(strength=guess)
    assert learns_something(subset, found, GAAVEOptions(**STEPS), log)
    assert '35.0% of 60 held-out labels' in log.warnings[-1]


def score_table(path, dataset, doubtful):
    """A table of scan's form, which drops or relabels some samples."""
    decision = np.full(len(dataset), 'keep', dtype=object)
    decision[doubtful] = np.where(np.arange(len(doubtful)) % 2, 'drop', 'relabel')
    labels = dataset.given_labels
    write_score_table(
        str(path),
        dict(
            sample_id=dataset.sample_ids,
            image=np.array(dataset.image_names(), dtype=object),
            given_label=labels,
            noise_score=(decision != 'keep') / 2,
            suggested_label=np.where(decision == 'relabel', (labels + 1) % 7, labels),
            decision=decision,
        ),
        dataset.CLASSES,
    )


def test_base_models_leave_suspects_out(tmp_path, untrained, any_steps):
    dataset, _ = made_sets(tiny_config(tmp_path, 'ce/ce_r18_synthfaces_noise30'))
    # All of class 3 is suspected: it stays, or no model could predict it.
    ids = np.arange(96)
    mine = np.flatnonzero(dataset.given_labels == 3)
    doubtful = np.union1d(ids[::4], mine)
    score_table(tmp_path / 'scores.csv', dataset, doubtful)
    options = dict(tau=4, split=False)
    clean(tmp_path / 'plain', **options)
    plain, _ = untrained[:2]
    untrained.clear()
    found, record = clean(
        tmp_path / 'scored', scores=str(tmp_path / 'scores.csv'), **options
    )
    base, annotator = untrained
    seen = np.union1d(base[1].sample_ids, base[7].sample_ids)
    assert (seen == np.setdiff1d(ids, np.setdiff1d(doubtful, mine))).all()
    assert (np.union1d(plain[1].sample_ids, plain[7].sample_ids) == ids).all()
    # All are attacked and decided; annotators learn from all that are not candidates.
    assert (found.sample_id == ids).all()
    learned = np.union1d(annotator[1].sample_ids, annotator[7].sample_ids)
    assert (learned == ids[~found.candidate]).all()
    assert record['subsets'][0]['image_passes'] < 96 + 96 * 9
    # Another table is another stage; the same decisions are the same one.
    untrained.clear()
    score_table(tmp_path / 'copy.csv', dataset, doubtful)
    clean(tmp_path / 'scored', scores=str(tmp_path / 'copy.csv'), **options)
    assert not untrained
    score_table(tmp_path / 'other.csv', dataset, ids[1::4])
    clean(tmp_path / 'scored', scores=str(tmp_path / 'other.csv'), **options)
    assert untrained


def test_scores_of_another_set(tmp_path, untrained):
    dataset, _ = made_sets(tiny_config(tmp_path, 'ce/ce_r18_synthfaces'))
    score_table(tmp_path / 'scores.csv', dataset, [1])
    with pytest.raises(ValueError, match='scores=.*scores.csv.*given label is 0'):
        clean(tmp_path, scores=str(tmp_path / 'scores.csv'))
    with pytest.raises(FileNotFoundError, match='scores=.*does not exist'):
        clean(tmp_path, scores=str(tmp_path / 'none.csv'))
    assert not untrained


def test_subset_with_mostly_wrong_labels(tmp_path, untrained, said, monkeypatch):
    """A model that predicts few labels, but of both classes, knows much."""
    monkeypatch.setattr(
        module.SubsetModels,
        'attack_view',
        lambda self, model, view: (
            view.sample_ids,
            np.where(view.sample_ids % 4 == 0, 9, 0),
            np.ones(len(view)),
        ),
    )
    labels = (np.arange(96) % 5 == 0).astype(int)
    found, record = clean(tmp_path, labels=labels, split=False, annotate=False)
    assert record['subsets'][0]['label_accuracy'] == 0.25
    assert (found.candidate == (np.arange(96) % 4 > 0)).all()
    assert not any('learned nothing' in text for text in said)


def test_progress(tmp_path, any_steps, untrained, said):
    """All stages are announced, also those that were done before."""
    for _ in range(2):
        clean(tmp_path, tau=4, head=[2, 4, 6])
    stages = [text for text in said if text.startswith('GAAVE, stage')]
    numbers = [text.split(':')[0] for text in stages]
    assert numbers[:6] == [f'GAAVE, stage {i} of 6' for i in range(1, 7)]
    assert numbers[6:] == [f'GAAVE, stage {i} of 6' for i in (2, 4, 5, 6)]
    assert all(text.endswith('nothing left to do') for text in stages[6:])


def test_record(cleaned):
    """It agrees with the table."""
    work_dir, _ = cleaned
    rows = read_table(work_dir)
    record = json.loads((work_dir / 'cleaning/record.json').read_text())
    assert record['samples'] == len(rows) == 96
    for name, count in record['decisions'].items():
        assert count == sum(row['decision'] == name for row in rows)
    for i, subset in enumerate(record['subsets']):
        mine = [r for r in rows if r['subset'] == str(i)]
        steps = np.array([int(r['attack_steps']) for r in mine])
        assert subset['histogram'] == np.bincount(steps, minlength=10).tolist()
        assert subset['tau'] == 4
        assert subset['candidates'] == (steps <= 4).sum()
        assert sum(subset['classes'].values()) == len(mine)
        assert 1 <= subset['epoch'] <= subset['epochs'] <= 3
        passes = np.minimum(steps + 1, 9).sum()
        size = len(mine) + subset['extra_class']
        assert subset['image_passes'] == passes + subset['epochs'] * size
        # Ten of a hundred are held out; the models hardly know these images.
        strength = subset['held_out']
        assert 0 < strength['count'] <= 0.1 * size
        assert strength['accuracy'] - strength['majority'] <= 2 * strength['error']
    text = (work_dir / 'cleaning/report.txt').read_text()
    *warnings, first = text.partition('GAAVE: of 96 labels')[0].split('\n')
    assert first == ''
    assert warnings == [f'WARNING: {text}' for text in record['warnings']]
    assert sum('does not know these images' in text for text in warnings) == 2


def test_updates_while_scoring(tmp_path, monkeypatch):
    """k is the mean over models that go on learning, slowly (E4)."""
    seen = []

    def attack(self, model, view):
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        # 0 to 3, then 2 to 5, then 7 to 10: 3 to 6 in the mean.
        return (
            view.sample_ids,
            view.sample_ids % 4 + (0, 2, 7)[len(seen) % 3],
            np.full(len(view), len(seen) / 10),
        )

    monkeypatch.setattr(module.SubsetModels, 'attack_view', attack)
    found, record = clean(tmp_path, tau=4, split=False, updates=3, annotate=False)
    mean = np.arange(96) % 4 + 3
    assert (found.attack_steps == mean).all()
    assert np.allclose(found.given_probability, 0.2)
    assert (found.candidate == (mean <= 4)).all()
    assert ((found.noise_score > 0.5) == found.candidate).all()
    none, record_of_none = clean(tmp_path, tau=-1, split=False, updates=3)
    assert record_of_none['subsets'][0]['tau'] == -1
    assert (none.noise_score < 0.5).all()
    histogram = record['subsets'][0]['histogram']
    assert histogram[3:7] == [24] * 4 and sum(histogram) == 96
    # From the base model's weights on, not from new ones.
    (folder,) = (tmp_path / 'whole').parent.glob('vulnerability-whole-set-*')
    base = torch.load(folder / 'model/peak.pth', weights_only=True)
    name = 'backbone.conv1.weight'
    weights = [base['state_dict'][name], *(s[name] for s in seen)]
    steps = [float((b - a).norm()) for a, b in zip(weights, weights[1:])]
    assert len(steps) == 3 and min(steps) > 0
    monkeypatch.setattr(module, 'UPDATE_RATE', 1.0)
    seen.clear()
    clean(tmp_path / 'fast', tau=4, split=False, updates=1, annotate=False)
    fast = float((seen[0][name] - weights[0]).norm())
    # The same first epoch, at a hundred times the rate.
    assert fast > 30 * steps[0]


def test_no_finished_attack_is_repeated(tmp_path, monkeypatch):
    """Killed in the third of four scoring passes, then with other weights."""
    seen, kill_at = [], 3

    def attack(self, model, view):
        seen.append(model.state_dict()['backbone.conv1.weight'].clone())
        if len(seen) == kill_at:
            raise KeyboardInterrupt
        steps = (view.sample_ids + int(1e6 * float(seen[-1].abs().sum()))) % 5
        return view.sample_ids, steps, np.full(len(view), 0.5)

    monkeypatch.setattr(module.SubsetModels, 'attack_view', attack)
    options = dict(tau=1, split=False, updates=4, annotate=False)
    with pytest.raises(KeyboardInterrupt):
        clean(tmp_path / 'killed', **options)
    found, record = clean(tmp_path / 'killed', **options)
    assert len(seen) == 5 and torch.equal(seen[2], seen[3])
    whole, record_of_whole = clean(tmp_path / 'whole', **options)
    assert len(seen) == 9
    assert (found.attack_steps == whole.attack_steps).all()
    assert record == record_of_whole
    # An attack on other weights is of no use.
    (folder,) = (tmp_path / 'killed').rglob('vulnerability-whole-set-*')
    (folder / 'result.npz').unlink()
    for update in (2, 3, 4):
        shutil.rmtree(folder / f'update{update}')
    monkeypatch.setattr(module, 'UPDATE_RATE', 1.0)
    clean(tmp_path / 'killed', **options)
    assert len(seen) == 12


def test_another_attack(tmp_path, untrained):
    """A class with ``steps`` and ``step`` takes the place of PGD."""

    class Darken:
        def __init__(self, steps):
            self.steps = steps

        def step(self, images, start, gradient):
            assert gradient.shape == images.shape == start.shape
            return images * 0.5

    TASK_UTILS.register_module(name='Darken', module=Darken, force=True)
    found, record = clean(
        tmp_path,
        attack=dict(type='Darken', steps=3),
        tau=1,
        split=False,
        annotate=False,
    )
    assert set(found.attack_steps) <= {0, 1, 2, 3, 4}
    assert len(record['subsets'][0]['histogram']) == 5
    with pytest.raises(ValueError, match='tau=4'):
        GAAVE(attack=dict(type='Darken', steps=3), tau=4)


def test_without_annotators(tmp_path, untrained):
    found, _ = clean(tmp_path, tau=2, annotate=False)
    assert set(found.decision[found.candidate]) == {'drop'}
    assert set(found.decision[~found.candidate]) == {'keep'}


def test_without_split(tmp_path, untrained, said):
    found, _ = clean(tmp_path, tau=2, split=False)
    assert not found.subset.any()
    # One annotator always has an answer.
    assert set(found.decision) <= {'keep', 'relabel'}
    assert any('one subset with all classes' in text for text in said)


def test_equal_classes_are_not_split(tmp_path, untrained, said):
    found, _ = clean(tmp_path, labels=np.arange(96) % 7, tau=1)
    assert not found.subset.any()
    assert any('equally large: one subset' in text for text in said)


def test_two_classes(tmp_path):
    labels = (np.arange(96) % 4 == 0).astype(int)
    found, _ = clean(tmp_path, labels=labels, tau=1)
    assert (found.subset == labels).all()
    assert set(found.suggested_label.tolist()) <= {0, 1, -1}


def test_one_class(tmp_path):
    with pytest.raises(ValueError, match='same label'):
        clean(tmp_path, labels=np.full(96, 3))


def test_class_with_one_sample(tmp_path, said, monkeypatch):
    trained = []

    def noted(*args, **kwargs):
        trained.append(args)
        return train_classifier(*args, **kwargs)

    patch_training(monkeypatch, noted)
    labels = np.arange(96) % 3
    labels[5] = 6
    found, _ = clean(tmp_path, labels=labels, tau=1)
    assert found.subset[5] == 1 and found.given_label[5] == 6
    # Never held out: it has been learned from.
    assert any(5 in view.sample_ids for _, view, *_ in trained)
    if found.candidate[5]:
        assert any('may be lost' in text for text in said)


def test_models_learn_from_the_right_samples(tmp_path, monkeypatch):
    """Base models from all, annotators from those that are no candidates."""
    trained = []

    def untrained(
        cfg, view, num_classes, folder, seed, what, logger, held_out, patience
    ):
        from mmfer.registry import MODELS

        trained.append((what, view, held_out))
        torch.manual_seed(0)
        model = MODELS.build(classifier_config(cfg, num_classes))
        return Trained(model.eval(), '', 1, 1)

    patch_training(monkeypatch, untrained)
    labels = np.repeat(np.arange(3), [60, 25, 11])
    monkeypatch.setattr(
        module.SubsetModels,
        'attack_view',
        lambda self, model, view: (
            view.sample_ids,
            view.sample_ids % 4,
            np.ones(len(view)),
        ),
    )
    found, _ = clean(tmp_path, labels=labels, tau=1, head=[0])
    assert (found.candidate == (np.arange(96) % 4 <= 1)).all()
    seen = {}
    for what, view, held_out in trained:
        assert not set(view.sample_ids) & set(held_out.sample_ids)
        assert held_out.dataset.test_mode and not view.dataset.test_mode
        seen[what] = dict(
            zip(
                np.append(view.sample_ids, held_out.sample_ids).tolist(),
                np.append(view.labels, held_out.labels).tolist(),
            )
        )
    assert seen['Base model of the head-set'] == {
        i: int(labels[i] > 0) for i in range(96)
    }
    tail = {i: y for i, y in seen['Base model of the tail-set'].items() if labels[i]}
    assert tail == {i: labels[i] - 1 for i in range(96) if labels[i]}
    unsuspected = [i for i in range(96) if i % 4 > 1]
    assert seen['Annotator of the head-set'] == {
        i: int(labels[i] > 0) for i in unsuspected
    }
    assert {
        i: y for i, y in seen['Annotator of the tail-set'].items() if labels[i]
    } == {i: labels[i] - 1 for i in unsuspected if labels[i]}


def test_models_with_settings_of_their_own(tmp_path, monkeypatch):
    """base= changes how models are trained, and nothing of the training."""
    trained = []

    def untrained(cfg, view, num_classes, *args, **kwargs):
        from mmfer.registry import MODELS

        trained.append((cfg, view[0]['inputs'], view.dataset))
        model = MODELS.build(classifier_config(cfg, num_classes))
        return Trained(model.eval(), '', 1, 1)

    patch_training(monkeypatch, untrained)
    monkeypatch.setattr(
        module.SubsetModels,
        'attack_view',
        lambda self, model, view: (
            view.sample_ids,
            view.sample_ids % 4,
            np.ones(len(view)),
        ),
    )
    steps = [
        dict(type='LoadFERImage', color_type='grayscale'),
        dict(type='Resize', scale=(32, 32)),
        dict(type='PackFERInputs'),
    ]
    base = dict(
        train_cfg=dict(max_epochs=9),
        model=dict(backbone=dict(base_channels=4)),
        train_dataloader=dict(dataset=dict(pipeline=steps)),
        optim_wrapper=dict(optimizer=dict(_delete_=True, type='SGD', lr=1.0)),
    )
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces_noise30')
    dataset, other = made_sets(cfg)
    before = cfg.pretty_text
    options = dict(STEPS, split=False, tau=1)
    logger = MMLogger.get_instance('test_gaave')
    for root, kwargs in (('a', {}), ('b', dict(base=base))):
        method = GAAVE(**options, **kwargs)
        method(cfg, dataset, other.pipeline, str(tmp_path / root), logger)
    assert cfg.pretty_text == before
    (plain, cropped, first), (own, resized, second) = trained[::2]
    assert plain.train_cfg.max_epochs == 3 and own.train_cfg.max_epochs == 9
    assert own.optim_wrapper.optimizer == dict(type='SGD', lr=1.0)
    assert own.model.backbone.base_channels == 4
    assert own.val_dataloader == plain.val_dataloader
    # A resized picture is another one than a piece of it.
    assert cropped.shape == resized.shape
    assert not torch.equal(cropped, resized)
    assert first is dataset and second.all_labels is dataset.all_labels
    # Another recipe is another stage.
    names = [
        {p.name for p in (tmp_path / root).glob('vulnerability*')} for root in 'ab'
    ]
    assert len(names[0] | names[1]) == 2
    with pytest.raises(ValueError, match='only pipeline'):
        GAAVE(base=dict(train_dataloader=dict(dataset=dict(indices=5))))


def test_hook_acts_once(tmp_path, monkeypatch):
    calls = []
    original = GAAVE.__call__

    def counted(self, *args):
        calls.append(1)
        return original(self, *args)

    monkeypatch.setattr(GAAVE, '__call__', counted)
    cfg = config(tmp_path, tau=-1, split=False, base=dict(train_cfg=dict(max_epochs=1)))
    cfg.test_cfg, cfg.test_evaluator = dict(), cfg.val_evaluator
    runner = train(cfg)
    state = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.test()
    assert len(calls) == 1
    assert_same_state(state, runner.model.state_dict())


def test_a_set_is_cleaned_once(tmp_path):
    first, _ = clean(tmp_path / 'a', tau=-1, split=False)
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces_noise30')
    dataset, _ = made_sets(cfg)
    dataset.apply_decisions(first._asdict())
    method = GAAVE(**STEPS, attack=dict(epsilon=0.1))
    with pytest.raises(ValueError, match='cleaned already'):
        method(
            cfg,
            dataset,
            dataset.pipeline,
            str(tmp_path),
            MMLogger.get_instance('test_gaave'),
        )


def test_preprocessing_of_unknown_scale():
    images = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(to_unit_range(images), images / 255)
    for bad in (images.float(), [images[0], images[1]]):
        with pytest.raises(ValueError, match='data_preprocessor normalise'):
            to_unit_range(bad)


def test_hook_refuses_wrappers_and_no_validation(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset
    )
    with pytest.raises(ValueError, match='RepeatDataset'):
        train(cfg)
    cfg = config(tmp_path)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    with pytest.raises(ValueError, match='validation'):
        train(cfg)


def test_wrong_options():
    for options, text in (
        (dict(fit='best'), 'fit'),
        (dict(held_out=1.0), 'held_out'),
        (dict(min_separation=7.0), 'min_separation'),
        (dict(attack=dict(epsilon=4)), 'PGD'),
        (dict(tau=9), 'tau=9'),
        (dict(tau=-2), 'tau'),
        (dict(tau=-0.5), 'tau=-0.5'),
        (dict(tau=dict(heads=1)), 'head and tail'),
        (dict(cut='x'), "'balanced' or 'two_means'"),
        (dict(updates=-1), 'updates'),
        (dict(patience=0), 'patience'),
    ):
        with pytest.raises(ValueError, match=text):
            GAAVE(**options)


def test_settings_of_the_configs():
    """Configs of the paper have its preset. FERPlus: as measured."""
    for path in sorted(Path(CONFIGS).glob('gaave/*.py')):
        (hook,) = (
            h for h in Config.fromfile(path).custom_hooks if h.type == 'GAAVEHook'
        )
        method = GAAVE(**{k: v for k, v in hook.items() if k != 'type'})
        paper = path.stem.endswith('_paper')
        assert method.preset == ('paper' if paper else 'default')
        measured = '_ferplus' in path.stem and not paper
        assert method.options.patience == (5 if measured else None)
