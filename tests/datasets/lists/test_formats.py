import numpy as np
import pytest
from made_lists import CLEAN, NOISY, OWN, TEST, TRAIN, complete_rafdb, rows

from mmfer.datasets.lists import RAFDB_CLASS_COUNTS, rafdb_split_rows, read_label_list


def test_class_counts_are_complete():
    assert sum(RAFDB_CLASS_COUNTS['train']) == 12271
    assert sum(RAFDB_CLASS_COUNTS['test']) == 3068


@pytest.mark.parametrize('end, newline', [('\n', 'LF'), ('\r\n', 'CRLF')])
@pytest.mark.parametrize('final', [True, False])
def test_resup(save, end, newline, final):
    path = save(rows(TRAIN + TEST, NOISY + [1, 7, 4], end, final), '0.1noise.txt')
    found = read_label_list(path, 7)
    assert found.format == 'resup'
    assert found.names == tuple(TRAIN + TEST)
    assert found.labels.tolist() == [y - 1 for y in NOISY] + [0, 6, 3]
    assert found.labels.dtype == np.int64
    assert found.label_base == 1
    assert found.newline == newline
    assert found.final_newline is final
    assert found.num_classes == 7
    assert found.path == str(path)
    assert len(found) == 10


@pytest.mark.parametrize('final', [True, False])
def test_eac(save, final):
    found = read_label_list(save(rows(TRAIN, NOISY, final=final)), 7)
    assert (found.format, found.label_base) == ('eac', 1)
    assert len(found) == len(TRAIN)
    assert found.labels[-1] == 2


def test_scn(save):
    names = [f'/home/some one/aligned/{x[:-4]}_aligned.jpg' for x in TRAIN]
    zero_based = [y - 1 for y in NOISY]
    found = read_label_list(save(rows(names, zero_based, '\r\n')), 7)
    assert (found.format, found.label_base) == ('scn', 0)
    assert found.newline == 'CRLF'
    assert found.names[0] == 'train_00001_aligned.jpg'
    assert found.paths[0] == names[0]
    assert found.labels.tolist() == zero_based


def test_jointgan(save):
    path = save(rows(TRAIN + TEST, NOISY + [1, 7, 4]), 'list_label_AffectnetModel.txt')
    assert read_label_list(path, 7).format == 'jointgan'


@pytest.mark.parametrize('name', [OWN, 'list_partition_label.txt'])
def test_rafdb_by_name(save, name):
    path = save(rows(TRAIN + TEST, CLEAN + [1, 7, 4]), name)
    found = read_label_list(path, 7)
    assert (found.format, found.label_base) == ('rafdb', 1)


def test_rafdb_by_content(save):
    found = read_label_list(save(complete_rafdb(), 'copy.txt'), 7)
    assert found.format == 'rafdb'
    assert rafdb_split_rows(found, 'test').size == 3068


@pytest.mark.parametrize(
    'flip, splits',
    [
        (0.02, ('train', 'test')),
        (0.1, ('train',)),
        (0.1, ('test',)),
        (0.5, ('train', 'test')),
    ],
)
def test_noisy_list_under_the_name_of_the_original(save, flip, splits):
    path = save(complete_rafdb(flip, splits), OWN)
    found = read_label_list(path, 7)
    assert found.format == 'resup'
    with pytest.raises(ValueError, match='cannot be evaluated on'):
        rafdb_split_rows(found, 'test')
    with pytest.raises(ValueError, match="not RAF-DB's own labels"):
        read_label_list(path, 7, format='rafdb')


def test_format_can_be_given(save):
    path = save(rows(TRAIN + TEST, CLEAN + [1, 7, 4]), 'part.txt')
    assert read_label_list(path, 7).format == 'resup'
    assert read_label_list(path, 7, format='rafdb').format == 'rafdb'
    with pytest.raises(ValueError, match='none of'):
        read_label_list(path, 7, format='raf')
    path = save('a.jpg 0\nb.jpg 1\n')
    with pytest.raises(ValueError, match=r"'a\.jpg' is not named"):
        read_label_list(path, 2, format='eac')


def test_rafdb_names_in_another_form_are_plain(save):
    # No published list is 0-based with test rows; it is not evaluated on.
    found = read_label_list(save(rows(TRAIN + TEST, range(10))), 10)
    assert found.format == 'plain'
    with pytest.raises(ValueError, match='cannot be evaluated on'):
        rafdb_split_rows(found, 'test')
