"""The model index names what exists and only what was measured."""

import csv
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest
import yaml
from helpers import CONFIGS, ROOT
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
    assert {c.readme for c in index.collections} == {
        f'configs/{m}/README.md' for m in METHODS
    }
    assert {'ALUM', 'CE', 'RUL'} <= {m.in_collection for m in index.models}


@pytest.mark.parametrize('method', METHODS)
def test_metafile(method):
    data = metafile(method)
    (collection,) = data['Collections']
    assert (Path(ROOT) / collection['README']).is_file()
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
