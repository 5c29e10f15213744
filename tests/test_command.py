"""The command ``mmfer``: arguments, names of configs, predictions."""

import argparse
import csv
import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, environment, load_tool
from mmengine.config import Config, DictAction
from PIL import Image

from mmfer.engine.variants import CLEANING_HOOKS, NOISE_TYPES
from mmfer.version import __version__
from mmfer_command.arguments import common
from mmfer_command.help_text import MOST_LINES
from mmfer_command.main import COMMANDS, main, make_parser
from mmfer_command.shipped import find_config, nearest_configs, shipped_configs

NAME = 'alum_r18_synthfaces_noise30'
FILE = Path(ROOT, 'configs/alum', f'{NAME}.py')
# Each line is a command; the last line of the output says what was imported.
NO_TORCH = """
import sys
from mmfer_command.help_text import MOST_LINES
from mmfer_command.main import COMMANDS, main
lines = [[], ['--help'], ['--version'], ['train'], ['nothing'], ['clean', 'x']]
for line in [*lines, *([*command.name.split(), '--help'] for command in COMMANDS)]:
    try:
        main(line)
    except SystemExit as error:
        print('CODE', line, error.code)
heavy = ('torch', 'numpy', 'mmengine', 'mmfer', 'cv2')
print([name for name in heavy if name in sys.modules])
"""


def test_help_and_usage_errors_import_nothing():
    done = subprocess.run(
        [sys.executable, '-c', NO_TORCH],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    *lines, heavy = done.stdout.splitlines()
    assert heavy == '[]'
    assert f'mmfer {__version__}' in lines
    codes = [line.rpartition(' ')[2] for line in lines if line.startswith('CODE')]
    assert codes == ['2', '0', '0', '2', '2', '2'] + ['0'] * len(COMMANDS)


def test_both_ways_to_start_it():
    for module in ('mmfer', 'mmfer_command'):
        done = subprocess.run(
            [sys.executable, '-m', module, '--version'],
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert done.stdout.strip() == f'mmfer {__version__}', done.stderr


@pytest.mark.parametrize('command', COMMANDS, ids=lambda command: command.name)
def test_every_row_of_the_table_runs_a_function(command):
    assert callable(importlib.import_module(command.module).run)
    assert command.summary[0].islower() and command.summary[-1] != '.'


@pytest.mark.parametrize('command', COMMANDS, ids=lambda command: command.name)
def test_help_fits_a_screen(command, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit):
        main([*command.name.split(), '--help'])
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert len(lines) <= MOST_LINES, f'{len(lines)} lines: move texts to the docs'
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f'usage: mmfer {command.name}')
    assert lines[-2:] == ['example:', f'  {command.example}']


@pytest.mark.parametrize('command', COMMANDS, ids=lambda command: command.name)
def test_examples_can_be_parsed(command):
    program, *words = shlex.split(command.example)
    assert program == 'mmfer'
    assert make_parser().parse_args(words).module == command.module


def test_messages_name_commands_not_scripts():
    """Where there is a command, nobody is sent to the script in ``tools/``."""
    doors = {
        path.name
        for path in Path(ROOT, 'tools').glob('*.py')
        if 'mmfer_command.arguments' in path.read_text()
    }
    assert {'train.py', 'test.py', 'clean_labels.py', 'cache.py', 'demo.py'} <= doors
    named = [
        f'{path}:{number}: {line.strip()}'
        for folder in ('mmfer', 'mmfer_command')
        for path in Path(ROOT, folder).rglob('*.py')
        # Benchmarks start the scripts.
        if 'benchmarks' not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        # The first line of a command's module names its door.
        if number > 1 and any(f'tools/{door}' in line for door in doors)
    ]
    assert named == []


def test_a_reader_that_has_seen_enough():
    """``mmfer models --configs | head -1`` ends without a traceback."""
    line = f'{sys.executable} -m mmfer_command models --configs | head -1'
    done = subprocess.run(
        line, shell=True, capture_output=True, text=True, env=environment()
    )
    assert done.stdout.startswith('name') and done.stderr == ''


def test_an_installation_that_cannot_be_imported(monkeypatch):
    def fail(name):
        raise ImportError('libtorch_cpu.so: no such file')

    monkeypatch.setattr(importlib, 'import_module', fail)
    with pytest.raises(SystemExit) as error:
        main(['train', NAME])
    assert 'libtorch_cpu.so: no such file' in str(error.value)
    assert '`mmfer doctor`' in str(error.value)


def test_ctrl_c_while_torch_is_imported(monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmfer_command.main.importlib.import_module', interrupted)
    with pytest.raises(SystemExit, match='Stopped, before anything was done') as error:
        main(['scan', 'faces', '--out', 'scanned'])
    assert error.value.__suppress_context__


def test_names_are_those_of_mmfer():
    """They are written twice, because the parser must not import torch."""
    assert common.NOISE_TYPES == tuple(NOISE_TYPES)
    assert common.CLEANING_METHODS == tuple(CLEANING_HOOKS)


def test_options_are_read_as_mmengine_reads_them():
    values = ['a.b=1', 'c=[1,2]', 'd=x,y', 'e=None', 'f=(1,2)', 'g=1e-3']
    expected = argparse.ArgumentParser()
    expected.add_argument('--cfg-options', nargs='+', action=DictAction)
    found = make_parser().parse_args(['train', 'x', '--cfg-options', *values])
    assert (
        found.cfg_options == expected.parse_args(['--cfg-options', *values]).cfg_options
    )
    assert make_parser().parse_args(['train', 'x']).cfg_options is None


@pytest.mark.parametrize(
    'name',
    [
        NAME,
        f'{NAME}.py',
        f'alum/{NAME}',
        f'alum/{NAME}.py',
        f'configs/alum/{NAME}.py',
        f'./configs/alum/{NAME}.py',
        f'mmfer::alum/{NAME}.py',
        str(FILE),
    ],
)
def test_config_is_found_by_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(find_config(name)).samefile(FILE)


def test_every_shipped_config_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = shipped_configs()
    assert len(paths) > 50
    for path in paths:
        assert find_config(path.stem) == str(path)


def test_a_file_of_the_user_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(f'{NAME}.py').write_text('')
    assert find_config(f'{NAME}.py') == f'{NAME}.py'
    # Without the ending, it is the shipped one.
    assert find_config(NAME) == str(FILE)


@pytest.mark.parametrize(
    'name', ['', 'x', '/x', '..', f'../{NAME}', 'a/b/c', f'{NAME}x']
)
def test_unknown_config(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) is None


def test_nearest_names():
    assert nearest_configs('alum_r18_synthface_noise30')[0] == NAME
    assert nearest_configs('configs/alum/alum_r18_synthfaces_noise3.py')[0] == NAME
    assert nearest_configs('qqqq') == []


def refused(monkeypatch, folder, *line):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as error:
        main(list(line))
    return str(error.value)


def test_what_a_wrong_name_is_told(tmp_path, monkeypatch):
    said = refused(monkeypatch, tmp_path, 'train', 'alum_r18_synthface_noise30')
    assert said.startswith('alum_r18_synthface_noise30: there is no such config')
    assert f'The nearest names are {NAME}, ' in said
    assert f'These are in {ROOT}/configs/<method>/' in said
    # A name that stands for flags.
    said = refused(monkeypatch, tmp_path, 'train', 'gaave_ce_r18_rafdb_pair10')
    assert '\n    mmfer train ce_r18_rafdb --noise pair:0.1 --clean gaave\n' in said
    said = refused(monkeypatch, ROOT, 'train', 'configs/ce/ce_r18_rafdb_pair10.py')
    assert 'mmfer train configs/ce/ce_r18_rafdb.py --noise pair:0.1' in said
    said = refused(monkeypatch, tmp_path, 'test', NAME, 'none.pth')
    assert 'none.pth: this checkpoint does not exist' in said
    (tmp_path / 'epoch_1.pth').write_bytes(b'')
    (tmp_path / 'last_checkpoint').write_text('epoch_1.pth')
    said = refused(monkeypatch, tmp_path, 'test', NAME, str(tmp_path))
    assert 'a folder, not a checkpoint' in said and 'epoch_1.pth' in said


@pytest.mark.parametrize('name, options', [('train', True), ('predict', False)])
def test_what_an_unknown_flag_is_told(name, options, capsys):
    """argparse alone would show the usage of `mmfer`, which has no flags."""
    with pytest.raises(SystemExit) as error:
        main([name, 'x', '--epochs', '3'])
    said = capsys.readouterr().err
    assert error.value.code == 2 and f'usage: mmfer {name}' in said
    assert f'unrecognized arguments: --epochs 3. `mmfer {name} --help`' in said
    assert ('--cfg-options, as key=value' in said) == options


def test_tools_take_the_same_names(tmp_path, monkeypatch):
    tool = load_tool('train.py')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['train.py', NAME, '--noise', 'pair:0.2'])
    cfg = tool.merge_args(tool.parse_args())
    assert cfg.work_dir == 'work_dirs/alum_r18_synthfaces_pair20'


def test_a_config_of_ones_own_inherits(tmp_path, monkeypatch):
    """Flags know the data set of the inherited file, too."""
    own = tmp_path / 'own.py'
    own.write_text(
        "_base_ = 'mmfer::ce/ce_r18_ferplus.py'\ntrain_cfg = dict(max_epochs=3)\n"
    )
    cfg, base = (
        Config.fromfile(path)
        for path in (own, Path(ROOT, 'configs/ce/ce_r18_ferplus.py'))
    )
    assert cfg.train_cfg.max_epochs == 3
    cfg.train_cfg = base.train_cfg
    assert cfg.to_dict() == base.to_dict()
    tool = load_tool('train.py')
    found = {}
    for path in (str(own), 'ce_r18_ferplus'):
        monkeypatch.setattr(sys, 'argv', ['train.py', path, '--clean', 'gaave'])
        found[path] = tool.merge_args(tool.parse_args()).custom_hooks
    assert found[str(own)] == found['ce_r18_ferplus']
    assert len(found[str(own)][0]) > 1


# -- your own images ----------------------------------------------------------------
def test_train_on_a_folder_of_faces(tmp_path, monkeypatch):
    """One command from class folders with damaged files to a trained model."""
    rng = np.random.default_rng(0)
    for name in ('Ärger', 'glad'):
        (tmp_path / 'Meine Fotos' / name).mkdir(parents=True)
        for i in range(24):
            pixels = rng.integers(0, 255, (20 + i, 30, 3), dtype=np.uint8)
            ending = ('png', 'jpg', 'webp', 'BMP')[i % 4]
            path = tmp_path / 'Meine Fotos' / name / f'Bild {i} ü.{ending}'
            Image.fromarray(pixels).save(path)
    (tmp_path / 'Meine Fotos/glad/leer.png').write_bytes(b'')
    monkeypatch.chdir(tmp_path)
    small = ['stem_channels=8', 'base_channels=8']
    with pytest.raises(SystemExit) as done:
        main(
            ['train', 'ce_r18_synthfaces', '--data', 'Meine Fotos', '--cfg-options']
            + ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=8']
            + [f'model.backbone.{setting}' for setting in small]
        )
    assert done.value.code is None
    (work_dir,) = Path('work_dirs').iterdir()
    assert work_dir.name == 'ce_r18_meine-fotos'
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['metrics']['accuracy/top1']['last'] is not None
    rows = list(csv.DictReader((work_dir / 'sample_scores.csv').open()))
    # A tenth is held out, and the empty file is skipped.
    assert 43 <= len(rows) <= 44
    assert {row['given_class'] for row in rows} == {'Ärger', 'glad'}


def test_data_that_is_not_there(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(['train', 'ce_r18_synthfaces', '--data', str(tmp_path / 'none')])
    assert 'there is no such folder or file' in str(error.value)
    assert '\n' not in str(error.value)


def test_without_a_command_all_commands_are_listed(capsys):
    with pytest.raises(SystemExit) as error:
        main([])
    shown = capsys.readouterr().out
    assert error.value.code == 2
    assert all(f'\n    {command.name.split()[0]} ' in shown for command in COMMANDS)
