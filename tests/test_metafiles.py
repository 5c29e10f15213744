"""The model index names what exists and only what was measured."""

import csv
import sys
from contextlib import suppress
from itertools import chain
from pathlib import Path
from shutil import copy, copytree

import pytest
import yaml
from helpers import CONFIGS, ROOT, call_tool, load_tool
from modelindex.load_model_index import load

METHODS = sorted(p.name for p in Path(CONFIGS).iterdir() if p.name != '_base_')


def metafile(method):
    return yaml.safe_load((Path(CONFIGS) / method / 'metafile.yml').read_text())


def test_index_lists_every_method():
    index = yaml.safe_load((Path(ROOT) / 'model-index.yml').read_text())
    assert index['Import'] == [f'configs/{m}/metafile.yml' for m in METHODS]


def test_index_loads(monkeypatch):
    monkeypatch.chdir(ROOT)
    index = load('model-index.yml')
    index.build_models_with_collections()
    assert {c.readme for c in index.collections} == {'README.md'}
    # Some methods have no measured result yet; no result is empty.
    assert all(m.results.data[0].data['Metrics'] for m in index.models)
    known = {c.name for c in index.collections}
    assert {'ALUM', 'CE', 'ReSup'} <= {m.in_collection for m in index.models} <= known


def test_modelindex_checker_finds_no_fault():
    """The same as ``mi check model-index.yml``, which never fails by itself."""
    index = load(str(Path(ROOT) / 'model-index.yml'))
    index.build_models_with_collections()
    assert index.check(silent=True) == []


def test_metafiles_are_written_by_the_tool():
    call_tool('docs/write_metafiles.py', '--check')


def test_a_changed_result_is_noticed(tmp_path, monkeypatch):
    """The tool reads the tables, refuses unknown rows, and compares the files."""
    for folder in ('configs', 'docs/results'):
        copytree(Path(ROOT) / folder, tmp_path / folder)
    copy(Path(ROOT) / 'model-index.yml', tmp_path)
    tool = load_tool('docs/write_metafiles.py')
    source = sys.modules['metafiles']
    monkeypatch.setattr(source, 'ROOT', tmp_path)
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    table = tmp_path / 'docs/results/open_protocol.csv'
    before = table.read_text()
    table.write_text(before.replace('0.45,41.37', '0.45,41.38'))
    monkeypatch.setattr(sys, 'argv', ['x', '--check'])
    with pytest.raises(SystemExit, match='configs/alum/metafile.yml'):
        tool.main()
    monkeypatch.setattr(sys, 'argv', ['x'])
    tool.main()
    text = (tmp_path / 'configs/alum/metafile.yml').read_text()
    assert ': 41.38\n' in text and ': 41.37\n' not in text
    table.write_text(before.replace('\nalum,', '\nanother,'))
    with pytest.raises(ValueError, match='0 rows have'):
        source.metafile('alum', '0')
    table.write_text(before.replace('0.45,41.37', '0.45,'))
    with pytest.raises(ValueError, match="'mean_class' was not measured"):
        source.metafile('alum', '0')
    table.write_text(before)
    # A run of a part of the images.
    entry = source.yaml.safe_load((tmp_path / 'configs/ce/results.yml').read_text())
    entry = dict(entry['Models'][0], Options={'train_dataloader.dataset.indices': 99})
    found = source.model('ce', 'CE', entry)['Metadata']['Training Data']
    assert found == 'FERPlus train, the first 99 images, SymmetricNoise 0.3'
    results = tmp_path / 'configs/alum/results.yml'
    results.write_text(results.read_text() + '  Accuracy: 99\n')
    with pytest.raises(ValueError, match='unknown Accuracy'):
        source.metafile('alum', '0')
    (tmp_path / 'configs/rul/README.md').unlink()
    assert any('README.md' in line for line in tool.faults())


@pytest.mark.parametrize('method', METHODS)
def test_metafile(method):
    data = metafile(method)
    (collection,) = data['Collections']
    assert (Path(CONFIGS) / method / collection['README']).is_file()
    assert (Path(ROOT) / collection['Code']['URL']).is_file()
    for model in data['Models']:
        config = Path(ROOT) / model['Config']
        assert config.is_file() and config.stem == model['Name']
        assert model['In Collection'] == collection['Name']
        assert model['Metadata']['Seeds'] and model['Metadata']['Epochs']
        for result in model['Results']:
            assert result['Metrics'], model['Name']
            # The best epoch on test data is no result.
            assert not any('best' in name.lower() for name in result['Metrics'])


@pytest.mark.parametrize('method', METHODS)
def test_mim_search_reads_it(method):
    """Plain values or lists of words: it joins lists, and lowers words."""
    data = metafile(method)
    for entry in data['Collections'] + data['Models']:
        for name, value in entry.get('Metadata', {}).items():
            if isinstance(value, list):
                assert value and all(isinstance(v, str) for v in value), name
            else:
                assert isinstance(value, (str, int, float)), name
        for result in entry.get('Results', []):
            assert isinstance(result['Dataset'], str)
            assert all(
                isinstance(value, (int, float)) for value in result['Metrics'].values()
            )
        for name in ('Weights', 'Config', 'README', 'In Collection'):
            assert isinstance(entry.get(name, ''), str), name
    for paper in [c['Paper'] for c in data['Collections'] if 'Paper' in c]:
        # mim joins these two.
        assert paper['URL'].startswith('https://') and isinstance(paper['Title'], str)
    for model in data['Models']:
        seeds = model['Metadata']['Seeds']
        assert all(seed.isdecimal() for seed in seeds.split(', '))


def measured_numbers():
    """All numbers of ``docs/results``, with the two digits of a metafile."""
    found = set()
    for path in Path(ROOT, 'docs/results').glob('*.csv'):
        with open(path, newline='', encoding='utf-8') as file:
            for cell in chain.from_iterable(csv.reader(file)):
                with suppress(ValueError):
                    found.add(f'{float(cell):.2f}')
    return found


@pytest.mark.parametrize('method', METHODS)
def test_reported_numbers_agree(method):
    """Numbers of a metafile are those of the tables in the documentation."""
    measured = measured_numbers()
    for model in metafile(method)['Models']:
        for result in model['Results']:
            for name, value in result['Metrics'].items():
                assert f'{value:.2f}' in measured, (model['Name'], name, value)
