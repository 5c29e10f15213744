"""Work around a model grows no faster than the number of samples."""

import gc
import os
import time
import tracemalloc

import numpy as np
import pytest

from mmfer.analysis.benchmarks import growth
from mmfer.analysis.benchmarks.growth import Cost, build, score_table, summarize_costs
from mmfer.analysis.benchmarks.made_sets import make_affectnet
from mmfer.analysis.review import write_page
from mmfer.datasets import FERDataset, affectnet
from mmfer.score_table import (
    FILE_NAME,
    format_table,
    read_decisions,
    write_score_table,
    writing,
)

SMALL, LARGE = 1000, 8000


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp('growth')
    return {n: make_affectnet(str(folder / str(n)), n) for n in (SMALL, LARGE)}


def traced(function):
    """Bytes that a call takes at its peak, and while its result exists."""
    function()
    gc.collect()
    tracemalloc.start()
    result = function()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, kept, result


def bytes_per_sample(roots, stage):
    """Peak and kept bytes for each sample by which the large set is larger."""
    (peak, kept), (more, left) = (
        traced(growth.STAGES[stage](roots[n]))[:2] for n in (SMALL, LARGE)
    )
    return (more - peak) / (LARGE - SMALL), (left - kept) / (LARGE - SMALL)


@pytest.mark.parametrize(
    'stage, peak, kept',
    [
        # Names of 56 digits, 8 bytes each for the number, the row, the given and
        # the clean label, and valence and arousal.
        ('start', 1000, 140),
        ('subset', 300, 140),
        ('epoch', 100, 10),
        ('refit', 80, 10),
        ('scores', 800, 10),
    ],
)
def test_bytes_per_sample(roots, stage, peak, kept, monkeypatch):
    # A part of the text must be small beside the whole, as it is in large sets.
    monkeypatch.setattr(writing, '_CHUNK', 500)
    found = bytes_per_sample(roots, stage)
    assert found[0] <= peak and found[1] <= kept, found


@pytest.mark.parametrize(
    'stage', ['start', 'epoch', 'subset', 'scores', 'decisions', 'hashes']
)
def test_time_is_linear(roots, stage):
    """Eight times the samples take eight times as long; a square would take 64."""
    seconds = []
    for n in (SMALL, LARGE):
        run = growth.STAGES[stage](roots[n])
        run()
        tries = []
        for _ in range(2):
            began = time.process_time()
            run()
            tries.append(time.process_time() - began)
        seconds.append(min(tries))
    assert seconds[1] < 24 * seconds[0], seconds


def test_no_annotation_is_made_for_names(roots, monkeypatch):
    """Tables take names and labels of all samples from arrays."""
    dataset = build(roots[SMALL])
    for name in ('get_data_info', 'stored_infos'):
        monkeypatch.setattr(FERDataset, name, None)
    table = score_table(dataset)
    assert table['image'][3] == dataset.image_names([3])[0]
    path = os.path.join(roots[SMALL], FILE_NAME)
    write_score_table(path, table, dataset.CLASSES)
    names = dataset.names_by_id()
    decided = read_decisions(
        path, names, dataset.given_labels, dataset.sample_ids, 8, dataset.CLASSES
    )
    assert (decided['decision'] == table['decision']).all()
    list_path = os.path.join(roots[SMALL], 'list.csv')
    dataset.write_list(list_path, dataset.sample_ids, dataset.get_gt_labels())


def test_files_are_checked_by_folder(roots, monkeypatch):
    """A call for each file of a network disk takes minutes."""
    listed, asked = [], []
    listdir, stat = os.listdir, os.stat
    monkeypatch.setattr(
        os, 'listdir', lambda path: listed.append(path) or listdir(path)
    )
    monkeypatch.setattr(os, 'stat', lambda path, **k: asked.append(path) or stat(path))
    build(roots[SMALL])
    assert len(listed) <= 5 + len(set(listed)) <= 20
    assert len(asked) <= 40


def test_review_reads_the_table_of_the_release_once(roots, monkeypatch, tmp_path):
    """The list is written once for each class, but not read that often."""
    dataset = build(roots[SMALL])
    path = os.path.join(roots[SMALL], FILE_NAME)
    write_score_table(path, score_table(dataset), dataset.CLASSES)
    reads = []
    read = affectnet.read_release_table
    monkeypatch.setattr(
        affectnet, 'read_release_table', lambda path: reads.append(path) or read(path)
    )
    made = write_page(str(tmp_path / 'page.html'), dataset, path, 'page', 20)
    assert made['shown'] == 20 and made['samples'] == SMALL
    assert len(reads) == 1


def test_memory_of_the_table_in_text_form(roots):
    """Rows are formatted in parts, so the text is the largest thing."""
    rng = np.random.default_rng(0)
    table = dict(
        sample_id=np.arange(60_000),
        image=np.full(60_000, 'x.jpg', dtype=object),
        **{name: rng.random(60_000) for name in 'abcdefgh'},
    )
    peak, kept, text = traced(lambda: format_table(table))
    assert kept < 1.1 * len(text)
    assert peak < 3 * len(text)


def test_summary_of_costs():
    costs = [
        Cost('linear', 10, 1.0, 100, 50),
        Cost('linear', 20, 2.0, 300, 70),
        Cost('linear', 40, 4.0, 900, 110),
        Cost('square', 20, 4.0, 0, 0),
        Cost('square', 40, 16.0, 0, 0),
    ]
    linear, square = summarize_costs(costs)
    assert linear == dict(
        stage='linear',
        seconds_10=1.0,
        seconds_20=2.0,
        seconds_40=4.0,
        exponent=pytest.approx(1),
        microseconds=pytest.approx(1e5),
        peak_bytes=30,
        kept_bytes=2,
    )
    assert square['exponent'] == pytest.approx(2)


@pytest.mark.slow
def test_tool_measures_every_stage(tmp_path):
    rows = summarize_costs(
        growth.measure([500, 2000], str(tmp_path), list(growth.STAGES))
    )
    assert [row['stage'] for row in rows] == list(growth.STAGES)
    assert all(row['seconds_2000'] > 0 for row in rows)


def test_made_set(roots):
    dataset = build(roots[SMALL])
    assert len(dataset) == SMALL
    assert set(dataset.clean_labels) == set(range(8))
    assert 0.29 < (dataset.clean_labels != dataset.given_labels).mean() < 0.31
    assert dataset.all_va.shape == (SMALL, 2)
