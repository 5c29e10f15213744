import numpy as np
import pytest
from made_cifar import NOISY

from mmfer.datasets.lists import read_indexed_labels


def test_forms_of_a_noisy_list(save):
    order = np.random.default_rng(0).permutation(50)
    for row in (
        '{0} {1}',
        '{0},{1}',
        'train_{0:05d} {1}',
        'train/{0:05d}.jpg, {1}',
        '{0}\t{1}',
    ):
        text = '\r\n'.join(row.format(i, NOISY[i]) for i in order)
        path = save(f'# by image\n\n{text}')
        assert read_indexed_labels(path, 50, 10).tolist() == NOISY


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
@pytest.mark.parametrize(
    'head, row',
    [
        (',label', '{0},{1}'),
        ('index;noisy_label', '{0};{1}'),
        ('label\tindex', '{1}\t{0}'),
        ('"label"', '"{1}"'),
        ('label,', '{1},'),
        ('# a\n"label","image"', '"{1}.0","train_{0:05d}.jpg"'),
        ('label index', '{1} {0}'),
        ('', '{0}.0,{1}.0'),
    ],
)
def test_noisy_lists_of_spreadsheets(tmp_path, head, row, encoding):
    lines = [head, *(row.format(i, label) for i, label in enumerate(NOISY))]
    path = tmp_path / 'noisy.csv'
    path.write_bytes('\r\n'.join(lines).encode(encoding))
    assert read_indexed_labels(str(path), 50, 10).tolist() == NOISY


def test_noisy_list_of_class_names(save):
    path = save('cat\nDog\ncat\n')
    assert read_indexed_labels(path, 3, 2, classes=['dog', 'cat']).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match='line 1: .*neither a label'):
        read_indexed_labels(path, 3, 2, classes=['dog', 'hog'])


def test_comments_of_a_noisy_list_are_said(save, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmfer.datasets.lists.indexed.print_log',
        lambda text, *_, **__: said.append(text),
    )
    path = save('# a\n0 1\n#1 2\n1 0\n')
    assert read_indexed_labels(path, 2, 3).tolist() == [1, 0]
    assert len(said) == 1 and '2 line(s)' in said[0] and "'# a'" in said[0]


@pytest.mark.parametrize('separator', ',;\t')
def test_separator_that_a_spreadsheet_states(save, separator):
    rows = [f'sep={separator}', '1"0"', '0"2"', '']
    path = save('\n'.join(rows).replace('"', separator))
    assert read_indexed_labels(path, 2, 3).tolist() == [2, 0]


@pytest.mark.parametrize(
    'text, part',
    [
        ('label,age\n1,2\n', "line 1: .*column 'age'"),
        ('label,label\n1,1\n', "line 1: .*'label'"),
        ('index,label\n0,1\n1\n', 'line 3: .*1 fields instead of 2'),
        ('label\n1\n0 1\n', 'line 3'),
        ('1\n1e0\n0\n', "line 2: '1e0' is neither"),
        ('1\n\u0661\n0\n', 'line 2'),
        ('1\n1_0\n0\n', 'line 2'),
        ('1\n1.5\n0\n', 'line 2'),
        ('0 1\n1,2\n2 0\n', 'line 2'),
        ('1\n2\n', '2 labels for 3 images, none for image 2'),
        ('1\n2\n0\n1\n', '4 labels for 3 images'),
        ('', '0 labels for 3 images'),
        ('0 1\n1 2\n3 0\n', '3 labels for 3 images, none for image 2'),
        ('1\n5\n0\n', r"line 2: '5': the label is outside \[0, 5\)"),
        ('0 1\n1 1\n0 2\n', "line 3: '0 2': image 0 already has a label"),
        ('1\n1 2\n1\n', "line 2: '1 2': some rows have an index"),
        ('1\n-2\n0\n', "line 2: '-2' is neither"),
        ('1\nfrog\n0\n', 'neither a label nor an index'),
        ('1\n0 1 2\n0\n', '3 fields instead of 2'),
        pytest.param('9' * 5000 + ' 1\n', 'line 1: .*neither', id='digits'),
    ],
)
def test_noisy_lists_that_do_not_fit(save, text, part):
    with pytest.raises(ValueError, match=part):
        read_indexed_labels(save(text), 3, 5)


def test_noisy_list_that_is_no_text(tmp_path):
    path = tmp_path / 'CIFAR-10_human.pt'
    path.write_bytes(b'PK\x03\x04\xff\xfe')
    with pytest.raises(ValueError, match='not a text file.*convert_cifar_n'):
        read_indexed_labels(str(path), 3, 5)
    with pytest.raises(FileNotFoundError, match='no file.*convert_cifar_n'):
        read_indexed_labels(str(tmp_path / 'gone.txt'), 3, 5)
