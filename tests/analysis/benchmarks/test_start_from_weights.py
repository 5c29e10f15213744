"""Plan and table of the benchmark of initial weights."""

import csv

import pytest

from mmfer.analysis.benchmarks.start_from_weights import METRICS, as_csv, plan, table
from mmfer.analysis.benchmarks.training_runs import problems
from mmfer.engine.initial_weights import start_from
from mmfer.models.efficientnet_lite import has_pretrained
from mmfer.registry import MODELS

NAMES = ['r18', 'scratch', 'pretrained']


@pytest.fixture
def runs(monkeypatch):
    from helpers import ROOT

    monkeypatch.chdir(ROOT)
    return plan(9384, 12, NAMES, [])


def test_plan(runs, tmp_path):
    assert [run.row for run in runs] == [
        *(f'ce_{name}' for name in NAMES),
        *(f'resup_{name}' for name in NAMES),
    ]
    assert problems(runs, tmp_path, list(METRICS)) == []
    schedules = {str((r.settings.param_scheduler, r.settings.train_cfg)) for r in runs}
    assert len(schedules) == 1 and '[7, 10]' in schedules.pop()
    for run in runs:
        assert run.settings.train_dataloader.dataset.indices == 9384
        assert ('--init' in run.arguments) == ('pretrained' in run.row)


@pytest.mark.skipif(not has_pretrained(), reason='needs mmfer[pretrained]')
def test_scratch_and_pretrained_differ_in_their_weights_only(runs):
    by_row = {run.row: run.settings for run in runs}
    for method in ('ce', 'resup'):
        scratch, pretrained = (
            by_row[f'{method}_scratch'],
            by_row[f'{method}_pretrained'],
        )
        assert scratch.to_dict() == pretrained.to_dict()
        line = start_from(pretrained, 'pretrained')
        # Nothing is replaced, and the images stay as they are.
        assert 'replaced' not in line and 'mean' not in line
        prepared = scratch.data_preprocessor
        assert prepared == pretrained.data_preprocessor
        MODELS.build(dict(scratch.model.to_dict(), data_preprocessor=prepared))


def test_table():
    summary = dict(
        epochs=12,
        seconds=600,
        noise_auroc=0.91234,
        metrics={m: dict(last2_mean=50.126, best=60.0, last=50.0) for m in METRICS},
    )
    rows = table({'resup_pretrained': {0: summary}, 'ce_r18': {0: summary}}, 9384)
    assert [row['method'] for row in rows] == ['CE', 'ReSup']
    (first, second) = csv.DictReader(as_csv(rows).splitlines())
    assert first['weights'] == 'random' and second['weights'] == 'ImageNet'
    assert first['accuracy'] == '50.13' and first['best_epoch'] == '60.0'
    assert first['noise_auroc'] == '0.912' and first['averaged'] == '2'
