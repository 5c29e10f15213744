"""A sweep checks all values before it trains, and ends with a table and a figure."""

import json

import pytest
from helpers import ROOT, call_tool
from PIL import Image

from mmfer.analysis.benchmarks.sweep import curve, plan, plot, row_name
from mmfer.cli.planned_runs import refused

CONFIG = 'configs/alum/alum_r18_synthfaces_noise30.py'
SMALL = [
    '--cfg-options',
    'model.backbone.stem_channels=4',
    'model.backbone.base_channels=4',
    'train_dataloader.dataset.num_samples=64',
    'val_dataloader.dataset.num_samples=32',
    'train_dataloader.batch_size=32',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'train_cfg.max_epochs=1',
]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_sweep(tmp_path):
    figure = tmp_path / 'p.png'
    line = [
        'benchmarks/sweep.py', CONFIG, '--option', 'model.head.mine_ratio',
        '--values', '0', '0.5', '--root', tmp_path / 'runs', '--figure', figure, *SMALL,
    ]  # fmt: skip
    table = call_tool(*line)
    assert '| mine_ratio=0 | 0 |' in table and '| mine_ratio=0.5 | 0 |' in table
    assert Image.open(figure).size[0] > 300
    for value in ('0', '0.5'):
        folder = tmp_path / f'runs/mine_ratio={value}_seed0'
        arguments = json.loads((folder / 'arguments.json').read_text())
        assert f'model.head.mine_ratio={value}' in arguments
        assert (folder / 'summary.json').is_file()


@pytest.mark.parametrize(
    'option, value, message',
    [
        ('model.head.mine_ratio', '1.5', 'ALUMHead: mine_ratio must lie in'),
        ('model.head.mine_rate', '0.5', 'Did you mean mine_ratio'),
        ('model.head.mining', 'prosa', "mining must be 'prose'"),
        ('model.head.triplet_weight', '-1', 'triplet_weight must'),
        ('optim_wrapper.optimizer.lr', '-1', 'Invalid learning rate: -1'),
        ('optim_wrapper.optimizer.lrr', '1', "no option 'lrr'. Did you mean lr?"),
        ('train_cfg.max_epoch', '1', "no option 'max_epoch'. Did you mean max_epochs"),
        ('train_dataloader.dataset.label_noise.rate', '1.2', 'rate must lie in [0, 1)'),
        ('val_dataloader.dataset.ambiguty', '0', 'Did you mean ambiguity?'),
    ],
)
def test_values_are_checked_before_any_run(option, value, message):
    runs = plan(CONFIG, option, [value], [0])
    (said,) = refused(runs, option)
    assert message in said and said.startswith(f'{option}={value}: ')


def test_nothing_is_trained_if_a_value_is_refused(tmp_path):
    said = call_tool(
        'benchmarks/sweep.py', CONFIG, '--option', 'model.head.mine_ratio',
        '--values', '0', '1.5', '--root', tmp_path, code=1,
    )  # fmt: skip
    assert 'mine_ratio=1.5: ' in said and 'mine_ratio=0: ' not in said
    assert 'Nothing was trained' in said and not list(tmp_path.iterdir())


def test_an_option_that_nothing_reads_is_refused():
    """Otherwise all values would have the same result."""
    (said,) = refused(plan(CONFIG, 'modle.head.margin', ['1', '2'], [0]), 'modle.head')
    assert "nothing reads 'modle'" in said and 'Did you mean model?' in said
    # Runner has such arguments, although the config does not state them.
    assert not refused(plan(CONFIG, 'load_from', ['None'], [0]), 'load_from')


def test_a_table_of_other_runs_is_refused(tmp_path):
    folder = tmp_path / 'mine_ratio=0_seed0'
    folder.mkdir()
    (folder / 'arguments.json').write_text('["a run with other options"]')
    (folder / 'iter_2.pth').write_bytes(b'')
    said = call_tool(
        'benchmarks/sweep.py', CONFIG, '--option', 'model.head.mine_ratio',
        '--values', '0', '--root', tmp_path, '--table-only', code=1,
    )  # fmt: skip
    assert 'a run with other options' in said and 'another --root' in said


def test_values_of_one_name():
    said = call_tool(
        'benchmarks/sweep.py', CONFIG, '--option', 'model.head.mine_ratio',
        '--values', '0.1', '0.1', code=1,
    )  # fmt: skip
    assert 'requested twice' in said


def test_rows_are_names_of_folders():
    assert row_name('custom_hooks.0.attack.epsilon', '1/255') == 'epsilon=1_255'
    runs = plan('a.py', 'model.p', ['1', '2'], [0, 1])
    assert [(run.row, run.seed) for run in runs] == [
        ('p=1', 0), ('p=2', 0), ('p=1', 1), ('p=2', 1),
    ]  # fmt: skip


def test_curve_and_its_figure(tmp_path):
    def summary(value):
        return dict(metrics={'a': dict(last5_mean=value)})

    found = {'p=1': {0: summary(3.0), 1: summary(4.0)}, 'p=100': {0: summary(5.0)}}
    values = ['100', '1', '7']
    points = curve(found, 'm.p', values, 'a')
    assert points == {'100': [5.0], '1': [3.0, 4.0]}
    for name, drawn in (('a', points), ('b', {'low': [1.0], 'high': [2.0]})):
        plot(drawn, 'm.p', 'a', tmp_path / f'{name}.png')
        assert Image.open(tmp_path / f'{name}.png').size[0] > 300
