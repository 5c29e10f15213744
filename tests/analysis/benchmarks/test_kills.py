"""Killed runs that are resumed end like others, and a difference would be found."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, environment

from mmfer.analysis.benchmarks.kills import HALF, KINDS, METHODS, summarize
from mmfer.analysis.benchmarks.kills.campaign import read_rows
from mmfer.analysis.benchmarks.kills.compare import differences
from mmfer.analysis.benchmarks.kills.plan import (
    draw_kill,
    generator,
    kinds_of_run,
    position,
    wanted_kinds,
)

TOOL = f'{ROOT}/tools/benchmarks/kills.py'


def kill_runs(folder, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, TOOL, '--work-dir', str(folder), *map(str, arguments)],
        env=environment(),
        text=True,
        capture_output=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def table(folder):
    with open(folder / 'kills.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_few_kills(tmp_path):
    said = kill_runs(tmp_path, '--methods', 'rul', '--kills-per-method', 3)
    rows = table(tmp_path)
    assert Counter(row['kind'] for row in rows) == wanted_kinds('rul', 3)
    assert {row['identical'] for row in rows} == {'yes'}
    assert all(int(row['resumes']) >= 1 for row in rows)
    assert '3 kills, no difference' in said
    # Work dirs of killed runs are not kept.
    assert {path.name for path in tmp_path.iterdir()} == {
        'kills.csv',
        'configs',
        'rul_plain',
    }


@pytest.mark.slow
def test_a_hundred_kills(tmp_path):
    kill_runs(tmp_path, '--fresh')
    rows = table(tmp_path)
    assert len(rows) >= 100
    assert {row['identical'] for row in rows} == {'yes'}
    counts = Counter(row['method'] for row in rows)
    assert set(counts) == set(METHODS) and min(counts.values()) >= 10
    assert sum(row['kind'] in HALF for row in rows) >= len(rows) / 2
    assert {row['kind'] for row in rows} == set(KINDS)
    variants = {(row['method'], row['variant']) for row in rows}
    for name in ('iterations', 'processes', 'ema', 'accumulate', 'workers', 'plain'):
        assert ('ce', name) in variants


@pytest.mark.slow
def test_killed_itself(tmp_path):
    """The table is complete up to the last finished run, and the rest follows."""
    arguments = ['--methods', 'ce', '--kills-per-method', '5', '--seed', '3']
    with subprocess.Popen(
        [sys.executable, TOOL, '--work-dir', str(tmp_path), *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert '/5]' in process.stdout.readline()
        process.kill()
    before = table(tmp_path)
    assert 1 <= len(before) <= 4
    assert 'Pass --resume' in kill_runs(tmp_path, *arguments, code=2)
    kill_runs(tmp_path, *arguments, '--resume')
    after = table(tmp_path)
    assert after[: len(before)] == before
    assert Counter(row['kind'] for row in after) == wanted_kinds('ce', 5)


# -- the plan -----------------------------------------------------------------
@pytest.mark.parametrize('method', METHODS)
def test_half_are_inside_a_write_or_an_epoch(method):
    for count in (*range(1, 30), 100):
        kinds = wanted_kinds(method, count)
        assert sum(kinds.values()) == count
        assert 2 * sum(kinds[kind] for kind in HALF) >= count


def test_runs_use_up_the_kinds():
    left = wanted_kinds('gaave', 40)
    for run in range(60):
        chosen = kinds_of_run(left, generator(0, 'gaave', run))
        assert len(chosen) <= 3
        left -= Counter(chosen)
        if not left:
            break
    assert not left


EVENTS = (
    ['write label_noise.json', 'iteration 1', 'iteration 2', 'write iter_*.pth']
    + ['write last_checkpoint', 'iteration 3', 'write history.json', 'validation 1 0']
    + ['write history.json', 'scores 0', 'scores 1', 'write sample_scores.csv']
)


def test_drawn_moments():
    """Each is an event that is left; files take turns."""
    rng = np.random.default_rng(0)
    used = Counter()
    for _ in range(20):
        order = draw_kill('write', EVENTS, 0, used, rng).order
        assert f'write {order.detail}' in EVENTS
        assert 1 <= order.number <= EVENTS.count(f'write {order.detail}')
        used[order.detail] += 1
    assert used == dict.fromkeys(
        ['label_noise.json', 'iter_*.pth', 'last_checkpoint', 'history.json']
        + ['sample_scores.csv'],
        4,
    )
    late = position(EVENTS, ['iteration 3', 'scores 0'], 2)
    assert late == 10
    assert draw_kill('iteration', EVENTS, late, {}, rng) is None
    assert draw_kill('write', EVENTS, late, {}, rng).order.detail == 'sample_scores.csv'
    assert position(EVENTS, ['unknown'], 4) == 4
    signals = {draw_kill('signal', EVENTS, 0, {}, rng).signum for _ in range(20)}
    assert signals == {signal.SIGTERM, signal.SIGINT}


def test_processes_that_are_killed_alone():
    rng = np.random.default_rng(0)
    kills = [draw_kill('iteration', EVENTS, 0, {}, rng, 2) for _ in range(40)]
    assert {(kill.victim, kill.order.alone) for kill in kills} == {
        (process, alone) for process in (0, 1) for alone in (False, True)
    }
    # The other process does not write.
    writes = [draw_kill('write', EVENTS, 0, {}, rng, 2) for _ in range(40)]
    assert {kill.victim for kill in writes} == {0}


# -- the comparison -------------------------------------------------------------
def make_run(folder, seconds=1.0):
    """Files of a finished run of one epoch."""
    folder.mkdir()
    (folder / 'last_checkpoint').write_text('epoch_1.pth')
    torch.save(
        dict(
            state_dict=dict(weight=torch.arange(4.0)),
            optimizer=dict(state={0: dict(step=torch.tensor(3.0))}),
            meta=dict(epoch=1, iter=6, seed=0, time=str(seconds)),
        ),
        folder / 'epoch_1.pth',
    )
    (folder / 'history.json').write_text(
        json.dumps([dict(epoch=1, seconds=seconds, train_loss=0.5)])
    )
    (folder / 'sample_scores.csv').write_text('sample_id,score\n0,0.25\n')
    (folder / 'cleaning').mkdir()
    np.savez(folder / 'cleaning/result.npz', attack_steps=np.arange(3))
    return folder


def change_weight(folder):
    state = torch.load(folder / 'epoch_1.pth', weights_only=True)
    weight = state['state_dict']['weight']
    weight[3] = torch.nextafter(weight[3], torch.tensor(4.0))
    torch.save(state, folder / 'epoch_1.pth')


def change_step(folder):
    state = torch.load(folder / 'epoch_1.pth', weights_only=True)
    # A type may differ, but not the value.
    state['optimizer']['state'][0]['step'] = 4
    torch.save(state, folder / 'epoch_1.pth')


CHANGES = {
    'epoch_1.pth: state_dict.weight: other values': change_weight,
    'epoch_1.pth: optimizer.state.0.step: other values': change_step,
    'history.json: 0.train_loss: other values': lambda folder: (
        folder / 'history.json'
    ).write_text(json.dumps([dict(epoch=1, train_loss=0.5000000000000001)])),
    'history.json: 1 and 2 entries': lambda folder: (
        folder / 'history.json'
    ).write_text(json.dumps([dict(epoch=1, train_loss=0.5)] * 2)),
    'sample_scores.csv: other bytes': lambda folder: (
        folder / 'sample_scores.csv'
    ).write_text('sample_id,score\n0,0.26\n'),
    'cleaning/result.npz: attack_steps: other values': lambda folder: np.savez(
        folder / 'cleaning/result.npz', attack_steps=np.arange(1, 4)
    ),
    'last_checkpoint: epoch_1.pth and iter_5.pth': lambda folder: (
        folder / 'last_checkpoint'
    ).write_text('iter_5.pth'),
    'iter_5.pth: only in ': lambda folder: torch.save({}, folder / 'iter_5.pth'),
    '.history.json.abcdefgh.tmp: left over': lambda folder: (
        folder / '.history.json.abcdefgh.tmp'
    ).touch(),
}


def test_same_runs(tmp_path):
    first, second = make_run(tmp_path / 'a'), make_run(tmp_path / 'b', seconds=2.0)
    assert differences(str(first), str(second)) == []


@pytest.mark.parametrize('message', CHANGES)
def test_differences(tmp_path, message):
    first, second = make_run(tmp_path / 'a'), make_run(tmp_path / 'b')
    CHANGES[message](second)
    (found,) = differences(str(first), str(second))
    assert found.startswith(message)


# -- the table ------------------------------------------------------------------
def test_summary_of_kills(tmp_path):
    kinds = ['write', 'iteration', 'time', 'write']
    rows = [
        dict(method='ce', kind=kind, identical='no' if kind == 'time' else 'yes')
        for kind in kinds
    ]
    assert summarize(rows) == [
        dict(method='ce', kills=4, half=3, iteration=1, time=1, write=2, different=1)
    ]


def test_row_that_was_cut_off(tmp_path):
    path = tmp_path / 'kills.csv'
    path.write_text('method,kind,identical\nce,write,yes\nce,ti')
    assert [row['kind'] for row in read_rows(str(path))] == ['write']
    assert read_rows(str(tmp_path / 'absent.csv')) == []
    assert os.listdir(tmp_path) == ['kills.csv'] and Path(path).is_file()
