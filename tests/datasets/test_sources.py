"""Folders and lists as people have them, and the data sets that read them."""

import pytest

from mmfer.datasets.sources import data_name, find_data, num_classes_of
from mmfer.registry import DATASETS


@pytest.fixture
def folder(tmp_path, write_image):
    """Return a function that makes class folders with images."""

    def folder(place, names=('Ärger', 'b c', 'froh'), count=5):
        for name in names:
            for i in range(count):
                write_image(tmp_path / place / name / f'{i} ü.png', size=8)
        return str(tmp_path / place)

    return folder


def build(settings):
    return DATASETS.build(dict(settings, _scope_='mmfer'))


def test_folder_per_class(folder):
    source = find_data(folder('Meine Gesichter'))
    train, val = build(source.train), build(source.val)
    assert train.CLASSES == val.CLASSES == ('b c', 'froh', 'Ärger')
    assert len(train) + len(val) == 15 and val.test_mode and not train.test_mode
    assert num_classes_of(source.train) == 3


@pytest.mark.parametrize(
    'names, val', [(('train', 'val'), 'val'), (('Training', 'TEST', 'valid'), 'valid')]
)
def test_folders_of_splits(folder, tmp_path, names, val):
    for i, name in enumerate(names):
        folder(f'all/{name}', count=2 + i)
    source = find_data(str(tmp_path / 'all'))
    assert source.train['data_root'].endswith(names[0])
    assert source.val['data_root'].endswith(val)
    assert 'fold' not in source.train
    assert len(build(source.train)) == 6
    assert build(source.val).CLASSES == build(source.train).CLASSES


def test_evaluation_set_lacks_a_class(folder):
    """Its classes are those of the training set."""
    train = folder('here')
    val = folder('there', names=('froh', 'b c'))
    source = find_data(train, val)
    assert build(source.val).CLASSES == ('b c', 'froh', 'Ärger')
    assert set(build(source.val).get_gt_labels()) == {0, 1}


def test_other_classes(folder):
    path = folder('some')
    source = find_data(path, classes=['froh', 'Ärger'])
    assert build(source.train).CLASSES == ('froh', 'Ärger')
    assert num_classes_of(source.val) == 2


def test_list(folder, tmp_path):
    folder('faces')
    rows = [f'faces/b c/{i} ü.png;{i % 2}' for i in range(5)]
    file = tmp_path / 'liste.csv'
    file.write_text('image;label\n' + '\n'.join(rows))
    assert find_data(str(file)).train['classes'] == ['0', '1']
    (tmp_path / 'classes.txt').write_text('gut\nschlecht\n')
    source = find_data(str(file))
    assert num_classes_of(source.train) == 2
    # Five images are too few for ten folds.
    with pytest.raises(ValueError, match='only 5 images for 10 folds'):
        build(source.train).full_init()
    both = find_data(str(file), str(file), ['x', 'y'])
    assert build(both.train).CLASSES == build(both.val).CLASSES == ('x', 'y')
    assert build(both.train).get_gt_labels().tolist() == [0, 1, 0, 1, 0]


def test_what_is_no_data_set(folder, tmp_path, write_image):
    with pytest.raises(FileNotFoundError, match='no such folder or file'):
        find_data(str(tmp_path / 'none'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='there is no image in this folder'):
        find_data(str(tmp_path / 'empty'))
    write_image(tmp_path / 'flat/a.png', size=8)
    with pytest.raises(ValueError, match='1 images lie in this folder, but no folders'):
        find_data(str(tmp_path / 'flat'))
    with pytest.raises(ValueError, match="one class, 'a'"):
        find_data(folder('one', names=['a']))


def test_class_that_is_called_train(folder):
    """Beside other classes, it is one of them."""
    source = find_data(folder('toys', names=('train', 'test', 'car')))
    assert build(source.train).CLASSES == ('car', 'test', 'train')


@pytest.mark.parametrize(
    'path, name',
    [
        ('/x/Meine Gesichter ä/', 'meine-gesichter'),
        ('/x/list.v2.CSV', 'list-v2'),
        ('ü', 'data'),
    ],
)
def test_names(path, name):
    assert data_name(path) == name
