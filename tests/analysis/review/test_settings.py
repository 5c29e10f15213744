"""``review.json``, and the command ``mmfer review``."""

import csv
import json
import stat

import numpy as np
import pytest
from helpers import call_tool, tiny_config, train
from made_data import write_image
from review_pages import decide, make_list, page_data, write_table

from mmfer.analysis.review import ReviewSettings, read_settings, write_settings
from mmfer.registry import DATASETS
from mmfer_command.main import main


def refused(*line):
    with pytest.raises(SystemExit) as error:
        main(['review', *map(str, line)])
    assert isinstance(error.value.code, str), error.value.code
    return error.value.code


@pytest.fixture
def scanned(tmp_path):
    """A folder as ``mmfer scan`` writes it, with spaces and umlauts in its path."""
    folder = tmp_path / 'Prüfung der Bilder'
    folder.mkdir()
    settings = make_list(tmp_path / 'data')
    dataset = DATASETS.build(settings)
    decisions = dict(decide(dataset))
    decisions['duplicate_of'] = np.array(['', '0', *[''] * 10], dtype=object)
    write_table(folder / 'sample_scores.csv', dataset, decisions)
    write_settings(
        str(folder),
        ReviewSettings(
            settings, 'Gesichter', 'ü', ('The encoder knows nothing.',), 'probability'
        ),
    )
    return folder


def test_settings_come_back(tmp_path):
    assert read_settings(str(tmp_path)) is None
    written = ReviewSettings(dict(type='ImageList', classes=['ü']), warnings=['a', 'b'])
    write_settings(str(tmp_path), written)
    assert read_settings(str(tmp_path)) == written


@pytest.mark.parametrize(
    'text',
    ['', '{', '[]', '{}', '{"dataset": 3}', '{"dataset": {}}', '{"other": 1}', 'null',
     '{"dataset": {"type": "ImageList"}, "warnings": [1]}',
     '{"dataset": {"type": "ImageList"}, "title": {}}'],
)  # fmt: skip
def test_damaged_settings(tmp_path, text):
    (tmp_path / 'review.json').write_text(text)
    with pytest.raises(ValueError, match=r'review\.json: .* Run the command'):
        read_settings(str(tmp_path))


def test_folder_of_a_scan(scanned, capsys):
    main_line = ['review', str(scanned)]
    with pytest.raises(SystemExit) as error:
        main(main_line)
    assert not error.value.code
    said = capsys.readouterr().out
    assert 'review.html: 12 of 12 images' in said
    assert 'Warning: The encoder knows nothing.' in said
    page = scanned / 'review.html'
    data = page_data(page)
    assert data['title'] == 'Gesichter' and data['subtitle'] == 'ü'
    assert data['warnings'] == ['The encoder knows nothing.']
    assert data['probability'] and data['duplicates']
    assert sorted(i for i, g in zip(data['ids'], data['group']) if g >= 0) == [0, 1]
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_options(scanned, capsys, tmp_path):
    out = tmp_path / 'new folder/a.html'
    with pytest.raises(SystemExit):
        main(
            ['review', str(scanned), '--out', str(out), '--max-images', '3']
            + ['--title', 'mine']
        )
    data = page_data(out)
    assert len(data['ids']) == 3 and data['title'] == 'mine'
    with pytest.raises(SystemExit) as error:
        main(['review', str(scanned), '--max-images', '0'])
    assert error.value.code == 2
    assert 'no whole number from 1 on' in capsys.readouterr().err


def test_user_errors(scanned, tmp_path):
    """One sentence that names the thing, whatever is wrong with the folder."""
    assert 'is no folder' in refused(tmp_path / 'nothing')
    assert 'name its folder' in refused(scanned / 'sample_scores.csv')
    empty = tmp_path / 'empty'
    empty.mkdir()
    assert 'mmfer clean' in refused(empty)
    (scanned / 'sample_scores.csv').rename(empty / 'sample_scores.csv')
    assert 'review.json' in refused(empty)
    said = refused(scanned, '--table', tmp_path / 'no.csv')
    assert 'no.csv does not exist' in said
    (scanned / 'sample_scores.csv').write_text('a,b\n1,2\n')
    assert 'sample_scores.csv' in refused(scanned)
    settings = json.loads((scanned / 'review.json').read_text())
    settings['dataset']['data_root'] = str(tmp_path / 'gone')
    (scanned / 'review.json').write_text(json.dumps(settings))
    (empty / 'sample_scores.csv').rename(scanned / 'sample_scores.csv')
    assert 'gone' in refused(scanned)


def test_images_that_are_gone_or_damaged(scanned, tmp_path, capsys):
    (tmp_path / 'data/03 a,b.png').write_bytes(b'')
    write_image(tmp_path / 'data/04 a,b.png', 20, 0)
    with pytest.raises(SystemExit) as error:
        main(['review', str(scanned)])
    assert not error.value.code
    data = page_data(scanned / 'review.html')
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
    assert 'clean_labels.py' in call_tool(tool, tmp_path, code=1)
