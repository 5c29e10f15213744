"""GAAVE: presets, and the union of what both subsets say."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny_config, train
from mmengine.logging import MMLogger

from mmfer.methods.gaave import GAAVE, GAAVEHook, LabelDecisions
from mmfer.methods.gaave.division import Part, attacked_rows, unite, without
from mmfer.methods.gaave.options import GAAVEOptions
from mmfer.methods.gaave.presets import PRESETS
from mmfer.methods.gaave.report import plot_steps
from mmfer.methods.gaave.splitting import HeadTail, plain_subset, refactor

LABELS = np.array([0, 1, 0, 2, 1, 0, 3, 2, 0, 1, 2, 0])
IDS = 10 + 3 * np.arange(len(LABELS))
SPLIT = HeadTail(np.array([0, 1]), np.array([2, 3]))


def made_parts(divide, seed=0, taus=(4, 6)):
    """Any k and probability for the attacked samples of both subsets."""
    rng = np.random.default_rng(seed)
    parts = []
    for subset, tau in zip(refactor(IDS, LABELS, SPLIT, 0), taus):
        rows = attacked_rows(subset, divide)
        count = int(rows.sum())
        parts.append(
            Part(
                subset.sample_ids[rows],
                subset.native[rows],
                rng.integers(0, 10, count).astype(float),
                rng.random(count),
                tau,
            )
        )
    return parts


@pytest.mark.parametrize('seed', range(9))
@pytest.mark.parametrize('divide', ['native', 'all'])
def test_union(divide, seed):
    """Noisy in any subset is noisy; k and probability are those of the own subset."""
    parts = made_parts(divide, seed)
    found = unite(IDS, parts, 9, 1)
    calls = {i: [] for i in IDS.tolist()}
    for part in parts:
        for i, native, steps, probability in zip(*part[:4]):
            calls[i].append(steps <= part.tau)
            if native:
                row = IDS.tolist().index(i)
                assert found.steps[row] == steps
                assert found.probability[row] == probability
    for row, i in enumerate(IDS.tolist()):
        assert found.candidate[row] == any(calls[i])
        assert (found.noise_score[row] > 0.5) == any(calls[i])
    twice = {i for i, each in calls.items() if len(each) == 2}
    assert bool(twice) == (divide == 'all')
    if divide == 'all':
        # The whole tail is in the head-set, and a part of the head in the tail-set.
        assert set(IDS[LABELS >= 2].tolist()) < twice
    assert np.isfinite(found.noise_score).all()


def test_noisy_wins_in_both_directions():
    """A head sample that only the tail-set doubts is a candidate, and the reverse."""
    head = Part(np.array([1, 2]), np.array([True, False]), np.array([9.0, 0]), *HALF)
    tail = Part(np.array([1, 2]), np.array([False, True]), np.array([9.0, 9]), *HALF)
    found = unite(np.array([1, 2]), [head, tail], 9, 1)
    assert found.candidate.tolist() == [False, True]
    assert found.steps.tolist() == [9, 9]
    found = unite(np.array([1, 2]), [tail, head], 9, 1)
    assert found.candidate.tolist() == [False, True]


HALF = (np.full(2, 0.5), 4)


def test_clean_parts_keep_their_classes():
    subsets = refactor(IDS, LABELS, SPLIT, 0)
    removed = IDS[[0, 3, 6]]
    for before, after in zip(subsets, without(subsets, removed)):
        stays = ~np.isin(before.sample_ids, removed)
        assert after.num_classes == before.num_classes
        np.testing.assert_array_equal(after.sample_ids, before.sample_ids[stays])
        np.testing.assert_array_equal(after.labels, before.labels[stays])
        np.testing.assert_array_equal(after.native, before.native[stays])
    whole = plain_subset(IDS, LABELS, np.arange(4))
    assert attacked_rows(whole, 'all').all() and attacked_rows(whole, 'native').all()


def test_bars_of_the_figure_are_stacked():
    """With the union, candidates and others can have the same k."""
    rng = np.random.default_rng(0)
    found = [np.zeros(80)] * len(LabelDecisions._fields)
    decisions = LabelDecisions(*found)._replace(
        subset=np.zeros(80, dtype=int),
        attack_steps=rng.integers(0, 4, 80).astype(float),
        candidate=rng.random(80) < 0.5,
    )
    (axes,) = plot_steps(decisions).axes
    tops = {}
    for bar in axes.patches:
        place = round(bar.get_x() + bar.get_width() / 2)
        assert bar.get_y() == tops.get(place, 0)
        tops[place] = bar.get_y() + bar.get_height()
    assert tops == {k: (decisions.attack_steps == k).sum() for k in range(4)}


@pytest.mark.slow
def test_hook_with_the_preset(tmp_path):
    """A whole run: the set is cleaned with the preset, and the record names it."""
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces_noise30')
    options = dict(preset='paper', updates=2, tau=3, head=[2, 4, 6])
    base = dict(train_cfg=dict(max_epochs=2))
    cfg.custom_hooks = [dict(type='GAAVEHook', base=base, **options)]
    train(cfg)
    record = json.loads((tmp_path / 'cleaning/record.json').read_text())
    assert record['preset'] == 'paper'
    with open(tmp_path / 'sample_scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    tail = sum(row['given_label'] not in ('2', '4', '6') for row in rows)
    head, other = record['subsets']
    # All samples are attacked in the head-set, and some twice.
    assert sum(head['histogram']) == len(rows) == 96
    assert sum(other['histogram']) == tail + other['extra_class'] > tail
    for row in rows:
        doubted = float(row['attack_steps']) <= 3
        assert row['candidate'] == '1' or not doubted
        assert (float(row['noise_score']) > 0.5) == (row['candidate'] == '1')


# -- presets -------------------------------------------------------------------
def test_default_preset_is_the_default():
    """But for the evidence, which the bare options lack."""
    options, evidence = GAAVEOptions(), dict(type='ScanEvidence')
    default = {k: getattr(options, k) for k in PRESETS['default']}
    assert default['evidence'] is None
    assert PRESETS['default'] == dict(default, evidence=evidence)
    assert GAAVE().options == replace(options, evidence=evidence)
    assert {frozenset(values) for values in PRESETS.values()} == {
        frozenset(PRESETS['paper'])
    }


@pytest.fixture
def warned(monkeypatch):
    said = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'warning', lambda text, *_: said.append(text))
    return said


def test_letter_of_the_paper(warned):
    options = GAAVEHook(preset='paper', tau=3).method.options
    assert (options.fit, options.updates, options.recross, options.divide) == (
        'full',
        5,
        True,
        'all',
    )
    # The paper always splits, attacks with 1/255 in eight steps, and relabels.
    assert options.split and options.annotate and options.relabel
    assert (options.pgd.epsilon, options.pgd.steps) == (1 / 255, 8)
    assert options.tau == 3 and not warned


def test_given_options_win_and_the_log_says_so(warned):
    method = GAAVE(preset='paper', updates=0, recross=False)
    assert method.options.updates == 0 and not method.options.recross
    assert method.options.fit == 'full'
    (text,) = warned
    assert "preset='paper'" in text
    assert 'updates=0 instead of 5' in text and 'recross=False instead of True' in text


def test_wrong_values():
    with pytest.raises(ValueError, match="'default' or 'paper'"):
        GAAVEHook(preset='official')
    with pytest.raises(ValueError, match='divide'):
        GAAVEHook(divide='both')
