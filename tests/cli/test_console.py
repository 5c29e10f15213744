"""What a run shows on the console: a header, and a line for each epoch."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import environment, tiny_config
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmfer.cli import build_runner
from mmfer.datasets import SyntheticFaces
from mmfer.engine.hooks.console import metrics_text
from mmfer.engine.run_header import class_counts, wrapped
from mmfer.score_table import write_score_table
from mmfer.utils.console import WARNINGS


class Talk(Hook):
    def before_train(self, runner):
        runner.logger.info('a message of a hook')
        print_log('and another one', 'current')


def shown(cfg, capsys, verbose=False, test=False):
    capsys.readouterr()
    with WARNINGS.taken():
        runner = build_runner(cfg, verbose)
        runner.register_hook(Talk())
        if test:
            runner.test()
        else:
            runner.train()
    with open(runner.logger.log_file, encoding='utf-8') as file:
        return capsys.readouterr().out, file.read()


@pytest.mark.filterwarnings('ignore')
def test_a_run(tmp_path, capsys):
    said, log = shown(tiny_config(tmp_path, train_cfg__max_epochs=2), capsys)
    lines = said.splitlines()
    # Two warnings are about the small network of the test.
    assert len(lines) <= 28, said
    text = said.partition('Epoch 1/2')[0]
    for part in (
        ': 2 epochs on cpu, seed 0',
        '96 images of SyntheticFaces',
        'surprise ',
        'SymmetricNoise (rate=0.3, seed=0): 29 of 96 labels changed',
        'validation 50 images of SyntheticFaces',
        'FERClassifier of ResNetSmallStem',
        f'{tmp_path} (log: ',
        'a message of a hook\nand another one',
    ):
        assert part in text, part
    first, last = (line for line in lines if line.startswith('Epoch '))
    assert 'loss ' in first and 'validation accuracy ' in first and 'ETA 0:' in first
    assert last.startswith('Epoch 2/2  loss ') and 'ETA' not in last
    # The file has all of it, and what mmengine writes.
    for part in (
        'System environment',
        'Config:',
        'Hooks will be executed',
        'FileClient',
    ):
        assert part in log and part not in said, part
    assert 'Epoch(train) [1][3/3]' in log and first in log


@pytest.mark.filterwarnings('ignore')
def test_decisions_are_counted(tmp_path, capsys):
    """What a table has changed among the images of this run."""
    given = SyntheticFaces(num_samples=96, size=36).given_labels
    decision = np.full(96, 'keep', '<U7')
    decision[[3, 50]], decision[[4, 5, 60]] = 'relabel', 'drop'
    table = dict(
        sample_id=np.arange(96),
        image=np.array(SyntheticFaces(num_samples=96, size=36).image_names()),
        given_label=given,
        noise_score=np.zeros(96),
        suggested_label=(given + 1) % 7,
        decision=decision,
    )
    path = tmp_path / 'reviewed.csv'
    write_score_table(str(path), table, SyntheticFaces.METAINFO['classes'])
    cfg = tiny_config(
        tmp_path / 'run',
        'ce/ce_r18_synthfaces',
        train_cfg__max_epochs=1,
        train_dataloader__dataset__decisions=str(path),
    )
    said, _ = shown(cfg, capsys)
    text = ' '.join(said.split())
    assert f'decisions {path}: 2 labels changed, 3 of 96 images dropped' in text
    assert 'noise ' not in text.partition('Epoch')[0]


def test_verbose(tmp_path, capsys):
    said, log = shown(
        tiny_config(tmp_path, train_cfg__max_epochs=1), capsys, verbose=True
    )
    for part in ('System environment', 'Config:', 'Epoch(train)', 'Epoch 1/1  loss'):
        assert part in said, part
    assert said.count('\n') > 300


def test_level_of_the_config(tmp_path, capsys):
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=1, log_level='ERROR')
    said, _ = shown(cfg, capsys)
    assert said == ''


def test_without_validation(tmp_path, capsys):
    """Each epoch has its line, also the last one."""
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=2)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.custom_hooks = []
    del cfg.default_hooks.sample_scores
    said, _ = shown(cfg, capsys)
    lines = [line for line in said.splitlines() if line.startswith('Epoch ')]
    assert [line.partition('  ')[0] for line in lines] == ['Epoch 1/2', 'Epoch 2/2']
    assert 'validation accuracy' not in said


def test_a_run_that_is_counted_in_iterations(tmp_path, capsys):
    cfg = tiny_config(tmp_path)
    cfg.train_cfg = dict(by_epoch=False, max_iters=40, val_interval=15)
    cfg.param_scheduler = []
    del cfg.default_hooks.summary
    cfg.default_hooks.checkpoint.update(by_epoch=False)
    cfg.log_processor = dict(by_epoch=False)
    said, _ = shown(cfg, capsys)
    assert ': 40 iterations on cpu' in said
    lines = [line for line in said.splitlines() if line.startswith('Iteration ')]
    assert len(lines) == 20 and lines[-1].startswith('Iteration 40/40  loss ')
    assert 'validation accuracy' in lines[-1]
    assert sum('validation' in line for line in said.splitlines()[8:]) >= 2


def test_a_test(tmp_path, capsys):
    said, _ = shown(tiny_config(tmp_path), capsys, test=True)
    assert ': test on cpu, seed 0' in said and '50 images of SyntheticFaces' in said
    assert 'accuracy/top1 ' in said and 'Epoch(test)' not in said


def test_parts_of_the_header():
    counts = np.array([1200, 3])
    assert class_counts(['a', 'b'], counts) == ['a 1,200', 'b 3']
    assert class_counts(None, counts) == ['0 1,200', '1 3']
    assert class_counts(None, np.arange(1, 101)) == ['100 classes of 1 to 100 images']
    lines = list(wrapped('classes', [f'class{i}' for i in range(30)]))
    assert all(len(line) <= 80 for line in lines) and len(lines) == 5
    assert lines[0].startswith('  classes    class0, class1,')
    assert ', '.join(line.strip().rstrip(',') for line in lines).endswith('class29')


def test_metrics_of_a_line():
    assert metrics_text({'accuracy/top1': 71.204, 'other': 1}) == 'accuracy 71.20 %'
    assert metrics_text({'mine/score': 0.5}) == 'mine/score 0.50'
    assert metrics_text({}) == ''


LOGGER = """
import io, logging, sys
from contextlib import redirect_stdout
from mmfer.cli import run_training_tool
from mmfer.utils.console import ConsoleHandler

def main():
    logger = logging.getLogger('run')
    logger.setLevel(logging.INFO)
    logger.addHandler(ConsoleHandler(sys.stdout))
    with redirect_stdout(io.StringIO()):
        for epoch in range(2000):
            logger.info('epoch %s of a run that logs more than a pipe can hold', epoch)
    open(sys.argv[1], 'w').write('all')
    print('a figure is written')

run_training_tool(main)
"""
PRINTER = """
from mmfer.cli import run_training_tool

def main():
    for row in range(9000):
        print('row', row, 'of a table that is larger than a pipe')

run_training_tool(main)
"""


def test_a_run_goes_on_without_a_reader(tmp_path):
    """Such as ``python tools/train.py ... | head -2``."""
    for redirect, said in (('', 'The run goes on'), ('2>&1', '')):
        out = tmp_path / f'out{redirect[:1]}'
        done = piped(LOGGER, f'{out} {redirect} | head -2', tmp_path)
        assert len(done.stdout.splitlines()) == 3
        assert done.stdout.endswith('code 0\n')
        assert len(done.stderr.splitlines()) == (said != '') and said in done.stderr
        assert out.read_text() == 'all'


def test_a_table_ends_without_a_reader(tmp_path):
    done = piped(PRINTER, '| head -1', tmp_path)
    assert done.stdout.startswith('row 0') and done.stdout.endswith('code 141\n')
    assert done.stderr == ''


def test_another_broken_pipe_is_an_error(tmp_path):
    """Such as that of a worker: the output is read."""
    script = PRINTER.replace('    for row', '    raise BrokenPipeError\n    for row')
    done = piped(script, '| cat', tmp_path)
    assert done.stdout == 'code 1\n' and 'BrokenPipeError' in done.stderr


def piped(script, rest, folder):
    """Run a script, followed by ``rest``, in a shell that prints its exit code."""
    path = folder / 'script.py'
    path.write_text(script)
    line = f'{sys.executable} {path} {rest}; echo code ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ['bash', '-c', line], capture_output=True, text=True, env=environment()
    )
