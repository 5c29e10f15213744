"""The command ``mmfer review``, and what its page says about scores."""

import csv
import json
import os
import stat
from dataclasses import asdict

import numpy as np
import pytest
from helpers import call_tool, tiny_config, train
from made_data import write_image
from review_pages import decide, make_list, page_data, write_table

from mmfer.analysis.review import ReviewSettings, read_settings, write_settings
from mmfer.evaluation import measure_strength
from mmfer.registry import DATASETS
from mmfer_command.main import main


def run(*line):
    with pytest.raises(SystemExit) as error:
        main(['review', *map(str, line)])
    return error.value.code


def refused(*line):
    code = run(*line)
    assert isinstance(code, str) and '\n' not in code, code
    return code


@pytest.fixture
def folder(tmp_path):
    """A folder with table and config, with spaces and umlauts in its path."""
    folder = tmp_path / 'Prüfung der Bilder'
    folder.mkdir()
    settings = make_list(tmp_path / 'data')
    dataset = DATASETS.build(settings)
    decisions = dict(decide(dataset))
    decisions['duplicate_of'] = np.array([-1, 0, *[-1] * 10])
    decisions['group'] = np.array([0, 0, *range(2, 12)])
    write_table(folder / 'sample_scores.csv', dataset, decisions)
    (folder / 'config.py').write_text(
        f'train_dataloader = dict(dataset={settings!r})', encoding='utf-8'
    )
    return folder


def scan(**kwargs):
    """Settings that a scan leaves."""
    return ReviewSettings(
        subtitle='1,234 images',
        warnings=['It is weak.'],
        score_kind='probability',
        **kwargs,
    )


def cleaning(accuracy):
    labels = np.arange(200) % 4
    predicted = np.where(np.arange(200) < 200 * accuracy, labels, labels + 1)
    strength = measure_strength(predicted, labels)
    return dict(
        subsets=[
            dict(name='whole set', held_out=asdict(strength)),
            dict(name='tail', held_out=None),
            dict(name='of an earlier version'),
        ]
    )


def test_settings_come_back(tmp_path):
    assert read_settings(str(tmp_path)) == ReviewSettings(None, '', '', (), 'rank')
    written = scan(dataset=dict(type='ImageList', data_root='/ü\udce4'), title='a')
    write_settings(str(tmp_path), written)
    assert read_settings(str(tmp_path)) == written


def test_settings_of_a_cleaning(tmp_path):
    def settings(accuracy):
        (tmp_path / 'record.json').write_text(json.dumps(cleaning(accuracy)))
        return read_settings(str(tmp_path))

    assert settings(0.9) == ReviewSettings(subtitle='Cleaned with GAAVE', warnings=[])
    found = settings(0.26)
    (warning,) = found.warnings
    assert found.score_kind == 'rank'
    assert 'whole set does not know these images: it predicts 26.0%' in warning


@pytest.mark.parametrize('name', ['review.json', 'record.json'])
@pytest.mark.parametrize(
    'text',
    ['', '{', '[]', 'null', '{"subsets": [3], "warnings": 3}', '{"other": 1}',
     '{"subsets": [{"held_out": {}}], "warnings": [3]}', '{"dataset": {}, "x": {}}'],
)  # fmt: skip
def test_damaged_records(folder, name, text):
    (folder / name).write_text(text)
    assert name in refused(folder)


@pytest.mark.parametrize('dataset', [{}, 3, [], 'ImageList'])
def test_settings_without_a_data_set(folder, dataset):
    (folder / 'review.json').write_text(json.dumps(dict(dataset=dataset)))
    assert 'review.json: this record is damaged' in refused(folder)


@pytest.mark.parametrize('source', ['config', 'review.json'])
def test_page_of_a_folder(folder, capsys, source, tmp_path):
    settings = scan()
    if source == 'review.json':
        (folder / 'config.py').unlink()
        dataset = make_list(tmp_path / 'data')
        settings = scan(dataset=dataset, title='Gesichter')
    write_settings(str(folder), settings)
    assert not run(folder)
    said = capsys.readouterr().out
    assert 'review.html: 12 of 12 images' in said
    assert 'WARNING: It is weak.' in said and 'only you can read it' in said
    page = folder / 'review.html'
    data = page_data(page)
    assert data['title'] == (folder.name if source == 'config' else 'Gesichter')
    assert data['subtitle'] == '1,234 images'
    assert data['warnings'] == ['It is weak.']
    assert data['probability'] and data['duplicates']
    assert sorted(i for i, g in zip(data['ids'], data['group']) if g >= 0) == [0, 1]
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_options(folder, capsys, tmp_path):
    out = tmp_path / 'new folder/a.html'
    assert not run(folder, '--out', out, '--max-images', '3', '--title', 'mine')
    data = page_data(out)
    assert len(data['ids']) == 3 and data['title'] == 'mine'
    for number in ('0', '-1', 'x', '1.5'):
        assert run(folder, '--max-images', number) == 2
        assert 'no whole number from 1 on' in capsys.readouterr().err


def test_user_errors(folder, tmp_path, monkeypatch):
    """One sentence that names the thing, whatever is wrong with the folder."""
    assert 'is no folder' in refused(tmp_path / 'nothing')
    assert 'name its folder' in refused(folder / 'sample_scores.csv')
    empty = tmp_path / 'empty'
    empty.mkdir()
    assert 'mmfer clean' in refused(empty)
    table = folder / 'sample_scores.csv'
    assert '*.py' in refused(empty, '--table', table)
    assert 'no.csv does not exist' in refused(folder, '--table', tmp_path / 'no.csv')
    assert 'is a folder. Name the file' in refused(folder, '--out', empty)
    below = refused(folder, '--out', table / 'a.html')
    assert 'cannot be written into this folder' in below
    with monkeypatch.context() as patch:
        # For root, every folder can be written.
        patch.setattr(os, 'access', lambda path, mode: False)
        assert '--out' in refused(folder)
    text = table.read_text()
    table.write_text('a,b\n1,2\n')
    assert 'sample_scores.csv' in refused(folder)
    table.write_text(text)
    options = f'train_dataloader.dataset.data_root={tmp_path}/gone'
    assert 'gone' in refused(folder, '--cfg-options', options)
    assert not list(empty.iterdir()) and not (folder / 'review.html').exists()


def test_images_that_are_damaged(folder, tmp_path):
    (tmp_path / 'data/03 a,b.png').write_bytes(b'')
    write_image(tmp_path / 'data/04 a,b.png', 20, 0)
    assert not run(folder)
    data = page_data(folder / 'review.html')
    lacking = [data['ids'][n] for n, text in enumerate(data['images']) if not text]
    assert lacking == [3]


def test_tool_and_work_dir(tmp_path):
    """Drawn faces have no list of files, but decisions."""
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=1)
    train(cfg)
    tool = 'analysis_tools/review_labels.py'
    assert 'review.html: 20 of' in call_tool(tool, tmp_path, '--max-images', 20)
    data = page_data(tmp_path / 'review.html')
    assert data['list'] is None and len(data['images']) == 20
    assert data['folder'] is None and not data['probability']
    with open(tmp_path / 'sample_scores.csv', newline='') as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row['noise_score']))
    assert data['names'] == [row['image'] for row in rows[:20]]
    (tmp_path / 'sample_scores.csv').unlink()
    assert 'mmfer clean CONFIG' in call_tool(tool, tmp_path, code=1)
