"""The matrix of versions reports what was run, and what was not."""

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import ROOT

FOLDER = Path(ROOT) / 'tests/version_matrix'
COMPLAINTS = """\
mmcv-lite 2.2.0 requires mmengine, which is not installed.
mmfer 0.1.0 requires mmengine, which is not installed.
mmfer 0.1.0 requires mmpretrain, which is not installed.
"""
REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="passes" />
<testcase classname="tests.a" name="is[skipped]"><skipped /></testcase>
<testcase classname="tests.a" name="fails"><failure /></testcase>
<testcase classname="tests.a" name="breaks"><error /></testcase>
<testcase classname="tests.a" name="breaks"><failure /></testcase>
</testsuite></testsuites>
"""


@pytest.fixture(scope='module')
def matrix():
    """The three scripts."""
    sys.path.insert(0, str(FOLDER))
    try:
        import cells
        import run
        import smoke

        yield SimpleNamespace(cells=cells, run=run, smoke=smoke)
    finally:
        sys.path.remove(str(FOLDER))
        for name in ('cells', 'run', 'smoke'):
            sys.modules.pop(name, None)


def test_cells_of_the_table(matrix):
    """Both origins with both versions of torch on Python 3.11, and other Pythons."""
    cells = matrix.cells.CELLS
    assert len({cell.name for cell in cells}) == len(cells)
    on_311 = {(cell.origin, cell.torch) for cell in cells if cell.python == '3.11'}
    assert on_311 == {
        (origin, torch)
        for origin in ('openmmlab', 'onedl')
        for torch in ('2.6', 'newest')
    }


def test_smoke_names_files_that_exist(matrix):
    names = [config for config, _, _ in matrix.smoke.TRAININGS.values()]
    for name in [*names, *matrix.smoke.TESTS, 'requirements/onedl.txt']:
        assert (Path(ROOT) / name).exists(), name


@pytest.mark.skipif(sys.version_info < (3, 11), reason='the matrix needs Python 3.11')
def test_fork_is_installed_without_the_original(matrix):
    """Without ``--no-deps``, pip would install the original over the fork."""
    commands = matrix.cells.install_commands(matrix.cells.Cell('onedl', '2.6', '3.11'))
    assert commands[0] == ['install', 'torch==2.6.*', 'torchvision==0.21.*']
    for command in commands[1:]:
        assert ('--no-deps' in command) != ('-c' in command)
    lines = (Path(ROOT) / 'requirements/onedl.txt').read_text().splitlines()
    assert {'mmengine<0', 'mmpretrain<0'} <= set(lines)


@pytest.mark.parametrize(
    'origin, said, problem',
    [
        ('openmmlab', 'No broken requirements found.\n', None),
        ('onedl', COMPLAINTS, None),
        ('openmmlab', 'a 1.0 requires b, which is not installed.\n', 'a requires b'),
        ('onedl', COMPLAINTS + 'x 1 has requirement y<2, but you have y 3.\n', 'y<2'),
        ('onedl', COMPLAINTS.partition('\n')[2], 'gone: mmcv-lite requires mmengine'),
    ],
)
def test_complaints_of_pip(matrix, origin, said, problem):
    found = matrix.cells.unexpected_complaints(origin, said)
    assert found is None if problem is None else problem in found


def test_tests_are_counted(matrix, tmp_path):
    report = tmp_path / 'report.xml'
    report.write_text(REPORT)
    assert matrix.smoke.count_tests(report) == dict(
        passed=1, failed=2, skipped=1, failures=['tests.a::breaks', 'tests.a::fails']
    )


def test_failed_step_is_recorded(matrix, tmp_path):
    """A step that fails, hangs, or leaves no results, fails; the next one runs."""
    smoke = matrix.smoke.Smoke(sys.executable, 'openmmlab', tmp_path, limit=5)
    assert smoke.step('good', lambda: smoke.call('good', '-S', '-c', 'print(1)'))
    assert not smoke.step('bad', lambda: smoke.call('bad', '-S', '-c', '1 / 0'))
    smoke.limit = 0.2
    hang = 'import time; time.sleep(60)'
    assert not smoke.step('hang', lambda: smoke.call('hang', '-S', '-c', hang))
    smoke.call = lambda *args: ''
    assert not smoke.step('train ce', lambda: smoke.train('ce'))
    notes = [step['note'] for step in smoke.steps]
    assert notes[0] == ''
    assert 'ZeroDivisionError' in notes[1] and 'more than' in notes[2]
    assert notes[3] == 'summary.json was not written'
    # The log is kept.
    assert 'ZeroDivisionError' in (tmp_path / 'bad.log').read_text()


def arguments(tmp_path, **options):
    defaults = dict(
        work_dir=tmp_path, resume=False, suite=False, keep=False, environment=None
    )
    return SimpleNamespace(**dict(defaults, limit=5, **options))


def test_what_is_not_run_is_named(matrix, tmp_path, monkeypatch):
    """Every cell has a row: measured, refused with the reason, or never asked for."""
    run = matrix.run
    cells = [
        matrix.cells.Cell('openmmlab', 'newest', python)
        for python in ('3.11', '2.99', '3.12')
    ]
    monkeypatch.setattr(run, 'CELLS', cells)
    monkeypatch.setattr(run, 'TABLE', tmp_path / 'versions.csv')
    step = dict(name='train ce', passed=False, seconds=2.0, note='exit code 1: x')
    result = dict(
        versions=dict(python='3.11.7', torch='9.9'),
        smoke=[dict(step, passed=True, note=''), step],
        tests=dict(passed=5, failed=1, skipped=2, seconds=8.0, failures=['a::b']),
    )
    run.write_json(tmp_path / cells[0].name / 'result.json', result)
    # No environment is made without the interpreter.
    run.run_cell(cells[1], arguments(tmp_path))
    run.write_table(tmp_path)
    with open(tmp_path / 'versions.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['python'] for row in rows] == ['3.11.7', '2.99', '3.12']
    assert rows[0]['torch'] == '9.9' and rows[0]['smoke_seconds'] == '12'
    assert (rows[0]['smoke_passed'], rows[0]['smoke_failed']) == ('1', '1')
    assert (rows[0]['tests_passed'], rows[0]['tests_failed']) == ('5', '1')
    assert rows[0]['note'] == 'train ce: exit code 1: x; failed: a::b'
    assert rows[1]['note'] == 'not run: no Python 2.99 on this machine'
    assert rows[2]['note'].startswith('not run: ')
    assert rows[2]['smoke_passed'] == ''


def test_full_disk_is_a_reason(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(matrix.cells, 'find_interpreter', lambda version: 'python')
    monkeypatch.setattr(matrix.cells, 'FREE_GB', 10**9)
    cell = matrix.cells.Cell('onedl', 'newest', '3.11')
    with pytest.raises(matrix.cells.NotRun, match='GB are free at'):
        matrix.cells.make_environment(cell, tmp_path / 'x/env', tmp_path / 'log')


def test_resume_keeps_what_is_finished(matrix, tmp_path, monkeypatch):
    """A cell that is finished makes no environment; the suite is added to its smoke."""
    run = matrix.run
    (cell, *_) = matrix.cells.CELLS
    folder = tmp_path / cell.name
    made = []

    def make_environment(cell, folder, log):
        made.append(folder)
        folder.mkdir(parents=True)
        return 'python'

    def run_pytest(python, folder, name, paths, limit):
        if name in broken:
            raise KeyboardInterrupt
        return dict(passed=1, failed=0, skipped=0, seconds=1, failures=[name])

    class MadeSmoke:
        def __init__(self, *args):
            self.steps, self.versions = [dict(passed=True, seconds=1)], dict(torch='1')

        def run(self):
            made.append('smoke')

    monkeypatch.setattr(run, 'make_environment', make_environment)
    monkeypatch.setattr(run, 'run_pytest', run_pytest)
    monkeypatch.setattr(run, 'Smoke', MadeSmoke)
    broken = ['tests']
    with pytest.raises(KeyboardInterrupt):
        run.run_cell(cell, arguments(tmp_path))
    environment = tmp_path / 'environments' / cell.name
    assert made == [environment, 'smoke'] and not environment.exists()
    assert 'smoke' in json.loads((folder / 'result.json').read_text())
    # What is finished is not repeated.
    broken = []
    for suite, expected in ((False, [environment]), (False, []), (True, [environment])):
        made.clear()
        run.run_cell(cell, arguments(tmp_path, resume=True, suite=suite))
        assert made == expected
    assert json.loads((folder / 'result.json').read_text())['suite']['passed'] == 1
    # Without --resume, everything is.
    made.clear()
    run.run_cell(cell, arguments(tmp_path))
    assert made == [environment, 'smoke']
    assert 'suite' not in json.loads((folder / 'result.json').read_text())
