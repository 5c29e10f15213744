import numpy as np
import pytest
from made_lists import CLEAN, NOISY, OWN, TEST, TRAIN, rows

from mmfer.datasets.lists import (
    merge_rafdb_train_labels,
    rafdb_key,
    rafdb_split_rows,
    read_label_list,
)


@pytest.mark.parametrize(
    'name',
    [
        'train_00001.jpg',
        'train_00001_aligned.jpg',
        'train_00001',
        '/abs/aligned/train_00001_aligned.jpg',
        'D:\\raf\\train_00001.jpg',
        'train_00001.png',
    ],
)
def test_rafdb_key(name):
    assert rafdb_key(name) == 'train_00001'


def test_rafdb_key_of_test_images():
    assert rafdb_key('aligned/test_0012_aligned.jpg') == 'test_0012'


@pytest.mark.parametrize(
    'name',
    [
        'fer_00001.jpg',
        'train_.jpg',
        'my_train_00001.jpg',
        '',
        'train_00001_aligned_2.jpg',
        'train_00001/',
    ],
)
def test_not_a_rafdb_name(name):
    with pytest.raises(ValueError, match='not the name of a RAF-DB image'):
        rafdb_key(name)


@pytest.fixture
def clean(save):
    # Test rows come first here, because rows are found by name.
    return read_label_list(save(rows(TEST + TRAIN, [1, 7, 4] + CLEAN), OWN), 7)


def test_split_rows(clean):
    assert rafdb_split_rows(clean, 'test').tolist() == [0, 1, 2]
    train = rafdb_split_rows(clean, 'train')
    assert train.tolist() == list(range(3, 10))
    assert clean.labels[train].tolist() == [y - 1 for y in CLEAN]


@pytest.mark.parametrize(
    'name, format',
    [('noise.txt', 'resup'), ('list_label_AffectnetModel.txt', 'jointgan')],
)
def test_no_test_rows_of_a_noisy_list(save, name, format):
    path = save(rows(TRAIN + TEST, NOISY + [1, 7, 4]), name)
    noisy = read_label_list(path, 7)
    assert rafdb_split_rows(noisy, 'train').size == 7
    with pytest.raises(ValueError) as info:
        rafdb_split_rows(noisy, 'test')
    for part in (str(path), format, 'cannot be evaluated on', 'ReSup flips', OWN):
        assert part in str(info.value)


def test_no_empty_split(save):
    train = read_label_list(save(rows(TRAIN, NOISY)), 7)
    with pytest.raises(ValueError, match='no test rows.*own list'):
        rafdb_split_rows(train, 'test')
    test = read_label_list(save(rows(TEST, [1, 7, 4]), OWN), 7)
    with pytest.raises(ValueError, match='no train rows'):
        rafdb_split_rows(test, 'train')


def test_split_of_other_data(save, clean):
    with pytest.raises(ValueError, match='not the name of a RAF-DB image'):
        rafdb_split_rows(read_label_list(save('a 0\nb 1'), 2), 'train')
    with pytest.raises(ValueError, match='list.txt'):
        rafdb_split_rows(read_label_list(save('a 0\nb 1'), 2), 'train')
    with pytest.raises(ValueError, match="neither 'train' nor 'test'"):
        rafdb_split_rows(clean, 'val')


def noisy_forms():
    order = [6, 0, 3, 2, 5, 1, 4]
    names = [TRAIN[i] for i in order]
    labels = [NOISY[i] for i in order]
    aligned = [f'/x/aligned/{n[:-4]}_aligned.jpg' for n in names]
    return {
        'eac': rows(names, labels, final=False),
        'resup': rows(TEST + names, [2, 2, 2] + labels, '\r\n'),
        'scn': rows(aligned, [y - 1 for y in labels], '\r\n'),
    }


@pytest.mark.parametrize('format', ['eac', 'resup', 'scn'])
def test_merge_joins_by_name(save, clean, format):
    noisy = read_label_list(save(noisy_forms()[format]), 7)
    assert noisy.format == format
    merged = merge_rafdb_train_labels(clean, noisy)
    assert merged.dtype == np.int64
    assert merged.tolist() == [y - 1 for y in NOISY]
    # The test labels of the clean list are unchanged.
    test = rafdb_split_rows(clean, 'test')
    assert clean.labels[test].tolist() == [0, 6, 3]


def test_merge_needs_every_train_row(save, clean):
    noisy = read_label_list(save(rows(TRAIN[2:], NOISY[2:])), 7)
    with pytest.raises(ValueError) as info:
        merge_rafdb_train_labels(clean, noisy)
    for part in (noisy.path, '2 of 7', 'train_00001, train_00002'):
        assert part in str(info.value)


def test_merge_refuses_unknown_rows(save, clean):
    names = [*TRAIN, 'train_00009.jpg', 'train_00008.jpg']
    noisy = read_label_list(save(rows(names, [*NOISY, 1, 1])), 7)
    with pytest.raises(ValueError, match='2 train images.*00008, train_00009'):
        merge_rafdb_train_labels(clean, noisy)


def test_merge_refuses_swapped_lists(save, clean):
    noisy = read_label_list(save(noisy_forms()['resup']), 7)
    with pytest.raises(ValueError, match="'resup'.*not RAF-DB's own"):
        merge_rafdb_train_labels(noisy, clean)


def test_merge_refuses_other_class_counts(save, clean):
    noisy = read_label_list(save(rows(TRAIN, range(7))), 8)
    with pytest.raises(ValueError, match='8 classes.*with 7'):
        merge_rafdb_train_labels(clean, noisy)
