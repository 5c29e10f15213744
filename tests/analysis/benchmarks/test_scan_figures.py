"""Figures of the scan against scikit-learn, and the rows of its table."""

import numpy as np
import pytest
from helpers import call_tool
from made_data import make_ferplus

from mmfer.analysis.benchmarks import scan_figures


def made():
    rng = np.random.default_rng(0)
    clean = rng.choice(8, size=500, p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.02, 0.06, 0.02])
    given = np.where(rng.random(500) < 0.3, (clean + 1) % 8, clean)
    # With ties.
    score = np.round((given != clean) * 0.3 + rng.random(500), 1)
    return score, score > 0.8, given, clean


def test_figures_against_scikit_learn():
    metrics = pytest.importorskip('sklearn.metrics')
    score, flags, given, clean = made()
    wrong = given != clean
    found = scan_figures.figures(score, flags, given, clean)
    assert found['auroc'] == pytest.approx(metrics.roc_auc_score(wrong, score))
    assert found['f1'] == pytest.approx(metrics.f1_score(wrong, flags))
    assert found['precision'] == pytest.approx(metrics.precision_score(wrong, flags))
    assert found['recall'] == pytest.approx(metrics.recall_score(wrong, flags))
    inside = [
        metrics.roc_auc_score(wrong[given == c], score[given == c])
        for c in range(8)
        if 0 < wrong[given == c].sum() < (given == c).sum()
    ]
    assert found['within'] == pytest.approx(np.mean(inside))
    right = ~wrong
    assert found['kept'] == pytest.approx(100 * (~flags)[right].mean())
    rare = np.argsort(np.bincount(clean), kind='stable')
    own = right & (clean == rare[1])
    assert found['kept_disgust'] == pytest.approx(100 * (~flags)[own].mean())


def test_rows_are_replaced_by_new_ones(tmp_path):
    path = str(tmp_path / 'scan.csv')
    row = dict(noise='vote', seed=1, method='a', images=5, f1=0.123456)
    scan_figures.write_rows(path, [row, dict(row, seed=2)])
    old = scan_figures.read_rows(path)
    merged = scan_figures.merge_rows(old, [dict(row, f1=0.5), dict(row, method='b')])
    scan_figures.write_rows(path, merged)
    found = scan_figures.read_rows(path)
    assert [(r['seed'], r['method'], r['f1']) for r in found] == [
        ('1', 'a', '0.5'),
        ('2', 'a', '0.1235'),
        ('1', 'b', '0.1235'),
    ]


def test_tool(tmp_path, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'cache'))
    root = make_ferplus(tmp_path / 'ferplus', train=48)
    out = tmp_path / 'scan.csv'
    arguments = ['--data-root', root, '--encoder', 'hog', '--out', out, '--seeds', 3]
    arguments += ['--keep-share', 0, 0.1]
    for _ in range(2):
        call_tool(
            'benchmarks/scan.py', *arguments, '--noise', 'symmetric', '--sizes', 30, 40
        )
    rows = scan_figures.read_rows(str(out))
    assert [row['images'] for row in rows] == ['30'] * 2 + ['40'] * 2
    assert {row['method'] for row in rows} == {'scan, hog', 'scan, hog, keep_share=0.1'}
