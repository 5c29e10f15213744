"""What is found in a data set: copies, broken images, classes."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mmfer.analysis.data_check import SetFacts, find_copies, report
from mmfer_command.main import main


def facts(name='train', classes=('a', 'b'), labels=(0, 1), hashes=None, broken=None):
    number = len(labels)
    hashes = hashes or [f'{name}{i}' for i in range(number)]
    return SetFacts(
        name,
        list(classes),
        np.array(labels),
        [f'{i}.png' for i in range(number)],
        hashes,
        Counter({(48, 48): number}),
        broken or {},
        [],
    )


def test_copies_against_all_pairs():
    rng = np.random.default_rng(0)
    for _ in range(20):
        hashes = [str(h) if h else '' for h in rng.integers(0, 12, 30)]
        labels, sets = rng.integers(0, 3, 30).tolist(), rng.integers(0, 2, 30).tolist()
        found = find_copies(hashes, labels, sets)

        def pairs(groups):
            return {(i, j) for group in groups for i in group for j in group if i < j}

        expected = {
            (i, j)
            for i in range(30)
            for j in range(i + 1, 30)
            if hashes[i] and hashes[i] == hashes[j]
        }
        assert pairs(found.groups) == expected
        for groups, values in ((found.mixed, labels), (found.leaked, sets)):
            assert groups == [
                group
                for group in found.groups
                if any(values[i] != values[j] for i in group for j in group)
            ]


def test_a_good_data_set():
    lines, problems = report([facts(), facts('val')])
    assert problems == 0 and lines[-1] == 'No problem was found.'
    assert lines[0].split() == ['train', 'val']
    assert [line.split() for line in lines[1:4]] == [
        ['0', 'a', '1', '1'],
        ['1', 'b', '1', '1'],
        ['images', '2', '2'],
    ]


@pytest.mark.parametrize(
    'sets, text',
    [
        ([facts(classes='abc')], 'train has no image of c.'),
        ([facts(), facts('val', classes='ba')], 'the same classes in another order'),
        ([facts(labels=[0] * 500 + [1])], 'few images of b (1); the largest'),
        ([facts(broken={'x': "'x' is empty"})], 'train: 1 of 2 images cannot be'),
        ([facts(hashes=['x', 'x'])], '1 image is under different labels'),
        (
            [facts(labels=[0, 0, 1], hashes=['x', 'x', 'y'])],
            '1 image is several times in a set, for example train: 0.png = train:',
        ),
        (
            [facts(hashes=['x', 'y']), facts('val', hashes=['x', 'y'])],
            '2 images are in several sets, for example train: 0.png = val: 0.png',
        ),
    ],
)
def test_each_problem(sets, text):
    lines, problems = report(sets)
    found = [line for line in lines if line.startswith('PROBLEM')]
    assert problems == len(found) == 1 and text in found[0]


# -- the command ---------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    """Faces in folders, with umlauts and spaces in their names."""
    rng = np.random.default_rng(0)
    root = tmp_path / 'meine Köpfe'
    for name, number in (('anger', 4), ('Überraschung', 3)):
        (root / name).mkdir(parents=True)
        for i in range(number):
            size = (40, 40 + i % 2)
            pixels = rng.integers(0, 256, size, dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f'a {i}.png')
    return root


def checked(capsys, *words):
    with pytest.raises(SystemExit) as error:
        main(['data', 'check', *map(str, words)])
    return error.value.code, capsys.readouterr().out


def test_a_folder(folder, capsys):
    code, said = checked(capsys, folder)
    assert code == 0 and 'No problem was found.' in said
    assert 'Überraschung' in said and '40 x 40 px (4), 41 x 40 px (3)' in said
    (folder / 'anger/zero.png').write_bytes(b'')
    image = (folder / 'anger/a 0.png').read_bytes()
    (folder / 'anger/cut.png').write_bytes(image[:400])
    # The same pixels in another format.
    Image.open(folder / 'anger/a 1.png').save(folder / 'Überraschung/copy.bmp')
    code, said = checked(capsys, folder)
    assert code == 1
    assert 'all: 2 of 10 images cannot be read' in said
    assert "zero.png' is empty" in said and "cut.png' is a truncated PNG" in said
    assert '1 image is under different labels' in said and 'copy.bmp' in said


def test_two_sets(folder, capsys):
    code, said = checked(capsys, folder, '--val-data', folder)
    assert code == 1 and '7 images are in several sets' in said


def test_a_config(capsys):
    code, said = checked(capsys, 'ce_r18_synthfaces')
    assert code == 0 and '4,000     1,000' in said and 'mmengine' not in said


@pytest.mark.parametrize(
    'name, text',
    [
        ('none', 'there is no such folder, list or config'),
        ('ce_r18_rafd', 'The nearest configs are ce_r18_rafdb'),
        ('empty', 'there is no image in this folder.'),
        ('list.csv', 'all rows have the label'),
        ('broken.py', "SyntaxError: line 1: '(' was never closed"),
    ],
)
def test_what_cannot_be_checked(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'list.csv').write_text('a.png,0\n')
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    with pytest.raises(SystemExit) as error:
        main(['data', 'check', name])
    assert text in str(error.value) and '\n' not in str(error.value)
