"""Wrong labels left against right ones kept."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from helpers import ROOT, call_tool, environment

from mmfer.analysis.benchmarks.cleaning_curve import curve_rows, left_and_kept
from mmfer.score_table import write_score_table


def made_table(seed=0, count=200):
    generator = np.random.default_rng(seed)
    clean = generator.integers(0, 3, count)
    wrong = generator.random(count) < 0.3
    score = np.round(
        np.clip(0.3 + 0.4 * wrong + generator.normal(0, 0.2, count), 0, 1), 1
    )
    return dict(
        sample_id=np.arange(count),
        given_label=np.where(wrong, (clean + 1) % 3, clean),
        clean_label=clean,
        noise_score=score,
        suggested_label=np.where(score > 0.5, -1, clean),
        decision=np.where(score > 0.5, 'drop', 'keep'),
    )


def test_every_threshold_counted_in_a_loop():
    table = made_table()
    wrong = table['given_label'] != table['clean_label']
    left, kept = left_and_kept(table['noise_score'], wrong)
    thresholds = sorted(set(table['noise_score'].tolist()))
    assert len(left) == len(thresholds)
    for threshold, a, b in zip(thresholds, left, kept):
        stays = [i for i in range(len(wrong)) if table['noise_score'][i] <= threshold]
        assert a == pytest.approx(sum(wrong[i] for i in stays) / len(stays))
        assert b == pytest.approx(sum(not wrong[i] for i in stays) / sum(~wrong))
    # At the end everything is left.
    assert left[-1] == pytest.approx(wrong.mean()) and kept[-1] == 1
    with pytest.raises(ValueError, match='No label is right'):
        left_and_kept(table['noise_score'], np.ones_like(wrong))


def test_rows_of_a_perfect_and_of_a_blind_score():
    table = made_table()
    wrong = table['given_label'] != table['clean_label']
    perfect = dict(table, noise_score=wrong.astype(float))
    blind = dict(table, noise_score=np.zeros(len(wrong)))
    rows = curve_rows(dict(perfect=perfect, blind=blind), [0, 0.5, 1])
    assert [row['right_ones_kept'] for row in rows] == ['0', '50', '100']
    assert [row['perfect'] for row in rows] == ['0.0', '0.0', '0.0']
    assert {row['blind'] for row in rows} == {f'{100 * wrong.mean():.1f}'}


def test_tool(tmp_path):
    for name in ('a', 'b'):
        write_score_table(str(tmp_path / f'{name}.csv'), made_table(ord(name)))
    names = [f'{name}={tmp_path}/{name}.csv' for name in ('a', 'b')]
    ends = ['--figure', tmp_path / 'f.png', '--out', tmp_path / 'rows.csv']
    tool = 'benchmarks/cleaning_curve.py'
    printed = call_tool(tool, *names, *ends, '--kept', 50, 100)
    assert (tmp_path / 'rows.csv').read_text() == printed
    assert printed.splitlines()[0] == 'right_ones_kept,a,b'
    assert cv2.imread(str(tmp_path / 'f.png')).size


def test_tool_refuses(tmp_path, capsys):
    table = made_table()
    write_score_table(str(tmp_path / 'a.csv'), table)
    del table['clean_label']
    write_score_table(str(tmp_path / 'b.csv'), table)
    tool, end = 'benchmarks/cleaning_curve.py', ('--figure', tmp_path / 'f.png')
    assert 'no column clean_label' in call_tool(
        tool, f'b={tmp_path}/b.csv', *end, code=1
    )
    named = f'a={tmp_path}/a.csv'
    for arguments, reason in (
        ((f'{tmp_path}/a.csv',), 'is not NAME=TABLE'),
        ((named, named), 'same NAME'),
        ((named, '--kept', 120), 'is not a per cent value'),
    ):
        call_tool(tool, *arguments, *end, code=1)
        assert reason in capsys.readouterr().err
    assert not (tmp_path / 'f.png').exists()


@pytest.mark.parametrize('buffered', ['', '-u'])
def test_a_reader_that_has_seen_enough(tmp_path, buffered):
    """A tool that prints to ``head`` ends without a message."""
    write_score_table(str(tmp_path / 'a.csv'), made_table())
    line = (
        f'{sys.executable} {buffered} {ROOT}/tools/benchmarks/cleaning_curve.py '
        f'a={tmp_path}/a.csv --figure {tmp_path}/f.png | true'
    )
    done = subprocess.run(
        line, shell=True, capture_output=True, text=True, env=environment()
    )
    assert done.stderr == ''
