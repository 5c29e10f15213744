"""Every row of the papers builds, and takes a step on made data.

Rows that show nothing new take it with ``pytest -m slow``.
"""

import functools
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple, Set

import pytest
from config_steps import NAME, kinds, make_roots, shrink, take_step, use_made_data
from helpers import ROOT, call_tool, load_tool
from mmengine.config import Config

from mmfer.analysis.benchmarks.training_runs import named_config
from mmfer.cli.common import finish_config, load_training_config
from mmfer.engine.variants import find_variant
from mmfer.registry import DATASETS, HOOKS
from mmfer_command.main import make_parser

FILES = sorted(Path(ROOT).glob('configs/*/paper.yml'))
read_paper = load_tool('docs/paper_rows.py').read_paper
ROWS = [
    row for path in FILES for rows in read_paper(path).parts.values() for row in rows
]
TRAINED = [row for row in ROWS if row.kind == 'train']


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    return make_roots(tmp_path_factory.mktemp('data'))


def label(row):
    return f'{row.method}-{row.where}-{row.name}'.replace(' ', '_')


def row_config(row) -> Config:
    """The config of a row, as ``tools/train.py`` makes it."""
    args = make_parser().parse_args(['train', *shlex.split(row.text)])
    return finish_config(load_training_config(args.config, args), args)


class Facts(NamedTuple):
    """What the config of a row says."""

    kinds: Set[str]
    work_dir: str
    file: str
    epochs: int
    settings: str
    # Options whose first part is not in the config.
    unread: Set[str]


@functools.lru_cache(maxsize=None)
def facts(row) -> Facts:
    args = make_parser().parse_args(['train', *shlex.split(row.text)])
    cfg = load_training_config(args.config, args)
    unread = {key for key in args.cfg_options or () if key.split('.')[0] not in cfg}
    cfg = finish_config(cfg, args)
    return Facts(
        kinds(cfg),
        cfg.work_dir,
        f'{cfg.work_dir}/{Path(cfg.filename).name}',
        cfg.train_cfg.max_epochs,
        json.dumps(cfg.to_dict(), sort_keys=True, default=str),
        unread,
    )


def one_of_each_kind():
    """All rows that are trained, those that show nothing new marked as slow."""
    seen, params = set(), []
    for row in TRAINED:
        found = facts(row).kinds
        marks = pytest.mark.slow if found <= seen else ()
        seen |= found
        params.append(pytest.param(row, marks=marks, id=label(row)))
    return params


def made(row, roots, folder):
    """The config of a row, on made data."""
    cfg = row_config(row)
    config = Path(shlex.split(row.text)[0]).stem
    root = roots.get(NAME.fullmatch(config)['dataset'])
    use_made_data(cfg, folder, root)
    return cfg


@pytest.mark.parametrize('row', TRAINED, ids=label)
def test_row_builds(row, roots, tmp_path):
    """Its data set gives an image, and its hooks accept their options."""
    cfg = made(row, roots, tmp_path)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert len(DATASETS.build(loader.dataset)) > 0
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)


@pytest.mark.parametrize('row', one_of_each_kind())
def test_row_takes_a_step(row, roots, tmp_path):
    cfg = made(row, roots, tmp_path)
    shrink(cfg)
    take_step(cfg)


def test_rows_do_not_overwrite_one_another():
    """Rows with one work dir are the same run."""
    seen = {}
    for row in TRAINED:
        folder, settings = facts(row).work_dir, facts(row).settings
        first, other = seen.setdefault(folder, (settings, row))
        assert first == settings, f'{label(row)} and {label(other)}: {folder}'


def test_commands_read_work_dirs_of_rows():
    known = {facts(row).work_dir for row in TRAINED}
    for row in ROWS:
        if row.kind != 'command':
            continue
        # Options such as --root and --work-dir name new folders.
        text = re.sub(r'--(root|work-dir) \S+', '', row.text)
        for path in re.findall(r'work_dirs/\S+', text):
            folder, name = Path(path), Path(path).name
            is_file = folder.suffix in ('.pth', '.csv', '.npz', '.py')
            assert str(folder.parent if is_file else folder) in known, f'{row}: {name}'


def test_configs_of_commands_exist():
    """They are shipped, or the config that a row writes into its work dir."""
    written = {facts(row).file for row in TRAINED}
    for row in ROWS:
        if row.kind != 'command':
            continue
        _, tool, first, *rest = shlex.split(row.text)
        for name in (first, *rest):
            if name.endswith('.py'):
                assert name in written or Path(ROOT, name).is_file(), row
        # A name without a path, which only this tool understands.
        if 'sweep.py' in tool:
            assert find_variant(named_config(first)) is not None, row


def test_checkpoints_of_commands_are_those_of_the_last_epoch():
    epochs = {facts(row).work_dir: facts(row).epochs for row in TRAINED}
    for row in ROWS:
        # Figure 7 of ReSup compares the first epoch with a later one.
        if row.kind != 'command' or 'epoch_agreements' in row.text:
            continue
        for folder, epoch in re.findall(r'(work_dirs/\S+)/epoch_(\d+)', row.text):
            assert int(epoch) == epochs[folder], row


def test_options_of_rows_are_read():
    """A part of a config that does not exist would be added, and change nothing."""
    for row in TRAINED:
        assert not facts(row).unread, row


def test_rows_of_a_part_differ():
    """Two rows with the same command would be one."""
    seen = {}
    for row in ROWS:
        if row.kind != 'missing':
            key = (row.method, row.where, row.text)
            assert key not in seen, f'{row.name} and {seen[key]}'
            seen[key] = row.name


@pytest.mark.parametrize(
    'tool',
    sorted(
        {
            match[1]
            for row in ROWS
            if (match := re.match(r'python tools/(\S+)', row.text))
            and row.kind == 'command'
        }
    ),
)
def test_flags_of_tools_exist(tool):
    known = call_tool(tool, '--help')
    for row in ROWS:
        if row.kind == 'command' and f'tools/{tool}' in row.text:
            flags = re.findall(r'(?<=\s)--[\w-]+', row.text)
            assert set(flags) <= set(re.findall(r'--[\w-]+', known)), row.text


def test_page_is_up_to_date():
    assert 'up to date' in call_tool('docs/write_papers.py', '--check')


@pytest.mark.parametrize(
    'entry, message',
    [
        (dict(row='a'), 'needs one of'),
        (dict(row='a', train='b', missing='c'), 'needs one of'),
        (dict(row='a', trian='b'), "may have \\['command'"),
    ],
)
def test_wrong_rows(entry, message, tmp_path):
    path = tmp_path / 'paper.yml'
    part = dict(where='Table 1', about='a', rows=[entry])
    path.write_text(json.dumps(dict(title='a', paper='b', parts=[part])))
    with pytest.raises(ValueError, match=message):
        read_paper(path)
