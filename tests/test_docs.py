"""The pages name what exists, and their tables are those of docs/results."""

import csv
import json
import re
import shlex
import statistics
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, call_tool, load_tool

from mmfer_command.main import make_parser
from mmfer_command.shipped import find_config

ROOT_PATH = Path(ROOT)
PAGES = sorted(
    path
    for pattern in ('*.md', 'docs/**/*.md', 'configs/*/README.md', 'projects/**/*.md')
    for path in ROOT_PATH.glob(pattern)
)
RESULTS = ROOT_PATH / 'docs/results'
METRICS = {
    'accuracy': 'accuracy/top1',
    'mean_class': 'accuracy/mean_class',
    **{f'u_{p}': f'rejection/uncertainty_{p}' for p in (10, 20, 30)},
    **{f'c_{p}': f'rejection/confidence_{p}' for p in (10, 20, 30)},
}


def name(path):
    return str(path.relative_to(ROOT_PATH))


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_and_files_exist(page):
    text = page.read_text()
    assert not re.findall(r'@[A-Z]+@', text)
    for target in re.findall(r'\]\((?!https?:)([^)#\s]+)', text):
        # Format strings of tables, see tools/docs/render_tables.py.
        if '{' not in target:
            assert (page.parent / target).exists(), target
    if page.name == 'CHANGELOG.md':
        return
    # What a command or a sentence names, from the root of the repository.
    for path in re.findall(
        r'(?<![\w./-])(?:tools|configs|mmfer|mmfer_command|tests|projects)/[\w/]+\.\w+',
        text,
    ):
        assert (ROOT_PATH / path).exists(), path


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_commands_can_be_parsed(page, capsys):
    """Sub-commands and flags of ``mmfer`` in code exist; names of configs, too."""
    blocks = re.findall(r'```bash\n(.*?)```', page.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace('\\\n', '').split('\n')]
    commands = [part.strip() for line in lines for part in line.split('&&')]
    commands += re.findall(r'`(mmfer [^`]+)`', page.read_text())
    for command in commands:
        if re.match(r'mmfer (?!doctor --help|COMMAND)', command):
            words = shlex.split(command, comments=True)[1:]
            try:
                args = make_parser().parse_args(words)
            except SystemExit as error:
                assert error.code == 0, f'{command}: {capsys.readouterr().err}'
                continue
            config = getattr(args, 'config', 'CONFIG')
            known = config.isupper() or config.startswith('my_') or find_config(config)
            assert known, command


def test_readme():
    text = (ROOT_PATH / 'README.md').read_text()
    assert len(text.split()) < 900
    # .ci/run finds the line by this beginning.
    assert '\npip install -e ".[lite,tests]" && pytest' in text


def test_every_method_has_a_row():
    text = (ROOT_PATH / 'docs/methods/index.md').read_text()
    methods = {path.parent.name for path in ROOT_PATH.glob('configs/*/README.md')}
    assert set(re.findall(r'configs/(\w+)/README.md', text)) == methods


def test_navigation_has_every_page():
    config = (ROOT_PATH / 'mkdocs.yml').read_text()
    nav = yaml.safe_load(config[config.index('\nnav:') :])['nav']
    listed = {page for section in nav for pages in section.values() for page in pages}
    made = {'contributing.md', 'changelog.md', 'security.md'}
    docs = ROOT_PATH / 'docs'
    assert listed - made == {str(p.relative_to(docs)) for p in docs.rglob('*.md')}


def test_tables_are_up_to_date():
    assert call_tool('docs/render_tables.py', '--check').startswith('0 pages')


def test_table_is_rendered(tmp_path):
    tool = load_tool('docs/render_tables.py')
    (tmp_path / 'a.csv').write_text(
        'm,x,s,group\nA,1.5,0.25,1\nB,2,,1\nC,,1,3\nD,9,9,2\n'
    )
    page = (
        'Text.\n\n<!-- table: a.csv\nwhere: group=1,3\nmethod: [{m}](to/{m}.md)\n'
        'x: {x:.2f}[ ± {s:.2f}]\n-->\n\nold\n\n<!-- /table -->\nMore.\n'
    )
    new = tool.update(page, tmp_path)
    assert new.split('-->\n', 1)[1] == (
        '\n| method | x |\n|---|---|\n| [A](to/A.md) | 1.50 ± 0.25 |\n'
        '| [B](to/B.md) | 2.00 |\n| [C](to/C.md) | |\n\n<!-- /table -->\nMore.\n'
    )
    assert tool.update(new, tmp_path) == new
    with pytest.raises(ValueError, match="no column 'y', only m, x, s, group"):
        tool.update(page.replace('{x:', '{y:'), tmp_path)


def test_old_table_fails_the_check(tmp_path, monkeypatch):
    tool = load_tool('docs/render_tables.py')
    (tmp_path / 'docs/results').mkdir(parents=True)
    (tmp_path / 'docs/results/a.csv').write_text('x\n1\n')
    page = tmp_path / 'README.md'
    page.write_text('<!-- table: a.csv\nx: {x}\n-->\n\n| x |\n\n<!-- /table -->\n')
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    monkeypatch.setattr('sys.argv', ['render_tables.py', '--check'])
    with pytest.raises(SystemExit, match='not up to date with docs/results in README'):
        tool.main()
    monkeypatch.setattr('sys.argv', ['render_tables.py'])
    tool.main()
    assert '| x |\n|---|\n| 1 |\n' in page.read_text()


def test_open_protocol_is_that_of_its_runs():
    """Means and deviations of rows all of whose runs are recorded."""
    runs = json.loads((RESULTS / 'open_protocol_noise30.json').read_text())
    checked = []
    for row in csv.DictReader((RESULTS / 'open_protocol.csv').open()):
        seeds = row['seeds'].split(', ')
        assert len(seeds) == int(row['num_seeds'])
        if not set(seeds) <= set(runs.get(row['method'], ())):
            continue
        summaries = [runs[row['method']][seed]['summary'] for seed in seeds]
        for column, metric in METRICS.items():
            values = [s['metrics'][metric]['last5_mean'] for s in summaries]
            assert row[column] == f'{statistics.mean(values):.2f}'
            if len(values) > 1:
                assert row[f'{column}_std'] == f'{statistics.stdev(values):.2f}'
        noise = statistics.mean(s['noise_auroc'] for s in summaries)
        assert row['noise_auroc'] == f'{noise:.3f}'
        checked.append(row['method'])
    assert checked == ['jocor_estimated', 'coteaching_estimated', 'resup']
