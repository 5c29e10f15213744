"""A sweep checks all values before it trains, and ends with a table and a figure."""

import json

import pytest
from helpers import ROOT, call_tool
from PIL import Image

from mmfer.analysis.benchmarks.sweep import curve, plan, plot, row_name

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
        ('model.head.mine_rate', '0.5', 'mine_rate'),
        ('model.head.mining', 'prosa', "mining must be 'prose'"),
    ],
)
def test_values_are_checked_before_any_run(option, value, message, tmp_path):
    line = ['--option', option, '--values', '0', value, '--root', tmp_path]
    said = call_tool('benchmarks/sweep.py', CONFIG, *line, code=1)
    assert message in said and f'{option}={value}' in said
    assert 'Nothing was trained' in said and not list(tmp_path.iterdir())


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
