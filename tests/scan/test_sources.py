"""Folders and lists of users: what is read, and what is refused with which words."""

import os
import shutil

import numpy as np
import pytest
from made_data import make_ferplus, make_rafdb, write_image

from mmfer.datasets.lists.list_rows import read_rows
from mmfer.scan.groups import find_groups
from mmfer.scan.sources import find_source


def make(root, *names):
    for seed, name in enumerate(names):
        write_image(root / name, 8, seed)
    return root


def opened(path, *args, **kwargs):
    source = find_source(str(path), *args, **kwargs)
    source.dataset.full_init()
    return source


def labels_by_name(source):
    dataset = source.dataset
    classes = [dataset.CLASSES[label] for label in dataset.get_gt_labels()]
    return dict(zip(dataset.image_names(), classes))


# -- folders -----------------------------------------------------------------
def test_header_of_another_language(tmp_path):
    path = tmp_path / 'liste.csv'
    path.write_text('Bild;Gefühl;Person\na.png;froh;1\n', 'utf-8-sig')
    with pytest.raises(ValueError, match='line 1: no column .*Bild, Gefühl.*"image"'):
        read_rows(str(path))
    # One of the two is known; the column of the persons is not to be removed.
    path.write_text('Dateiname;Emotion;Person\na.png;froh;1\n', 'utf-8-sig')
    with pytest.raises(ValueError, match='of the images. Rename .*to "image". Other'):
        read_rows(str(path))
    path.write_text('image;Gefühl;Person\na.png;froh;1\n', 'utf-8-sig')
    with pytest.raises(ValueError, match='of the labels. Rename .*to "label". Other'):
        read_rows(str(path))
    # Without a header, the first line is a row.
    path.write_text('b.png;froh\na.png;traurig\n')
    assert read_rows(str(path)).labels == ['froh', 'traurig']


def test_folder_per_class(tmp_path):
    root = make(tmp_path / 'Ä b', 'sad/ü 1.png', 'glad/2.png', 'glad/deep/3.png')
    (root / 'empty').mkdir()
    (root / 'sad/notes.doc').write_text('x')
    (root / '.hidden').mkdir()
    make(root, 'beside.png')
    source = opened(root)
    assert labels_by_name(source) == {
        'sad/ü 1.png': 'sad',
        'glad/2.png': 'glad',
        'glad/deep/3.png': 'glad',
    }
    text = ' '.join(source.notes)
    assert 'empty' in text and 'beside.png' in text and 'sad/notes.doc' in text
    assert '.hidden' not in text


def test_classes_of_a_file_choose_folders(tmp_path):
    root = make(tmp_path / 'x', 'a/1.png', 'b/2.png', 'c/3.png')
    names = tmp_path / 'classes.txt'
    names.write_text('c\na\n')
    source = opened(root, None, str(names))
    assert source.dataset.CLASSES == ('c', 'a')
    assert 'b' in source.notes[0]
    names.write_text('c\nd\n')
    with pytest.raises(ValueError, match='no folder with images for the class d'):
        opened(root, None, str(names))


@pytest.mark.parametrize(
    'names, words',
    [
        ((), 'there is no image in this folder'),
        (('1.png', '2.png'), '2 images lie in this folder, but no folders'),
        (('happy/1.png', 'happy/2.png'), "all images have one class, 'happy'"),
        (('faces/sad/1.png', 'faces/happy/2.png'), 'If these are the classes, name'),
        (('train/a/1.png', 'train/b/1.png', 'test/a/1.png'), '/train'),
        (('Val/a/1.png', 'Val/b/1.png', 'TEST/a/1.png', 'a/1.png'), 'Val'),
    ],
)
def test_folders_that_are_no_classes(tmp_path, names, words):
    make(tmp_path, *names)
    with pytest.raises(ValueError) as error:
        opened(tmp_path)
    message = str(error.value)
    assert str(tmp_path) in message and words in message
    assert '\n' not in message


def test_a_class_may_be_called_like_a_split(tmp_path):
    source = opened(make(tmp_path, 'test/1.png', 'other/2.png'))
    assert source.dataset.CLASSES == ('other', 'test')


def test_folders_of_published_sets(tmp_path):
    ferplus = opened(make_ferplus(tmp_path / 'f'))
    assert ferplus.kind == 'data set' and len(ferplus.dataset) == 16
    rafdb = opened(make_rafdb(tmp_path / 'r'))
    assert len(rafdb.dataset) == 14 and 'RAFDB' in rafdb.notes[0]


def test_unreadable_folder(tmp_path):
    root = make(tmp_path / 'x', 'a/1.png', 'b/2.png')
    os.chmod(root, 0)
    try:
        if os.access(root, os.R_OK):
            pytest.skip('this user may read everything')
        with pytest.raises(OSError, match='cannot be read'):
            opened(root)
    finally:
        os.chmod(root, 0o700)


def test_a_closed_class_folder_is_no_empty_one(tmp_path, monkeypatch):
    root = make(tmp_path / 'x', 'a/1.png', 'b/2.png', 'c/3.png')
    scandir = os.scandir

    def closed(path):
        if os.path.basename(path) == 'b':
            raise PermissionError(13, 'Permission denied', path)
        return scandir(path)

    # Root may read everything, so permissions of files would not test this.
    monkeypatch.setattr(os, 'scandir', closed)
    with pytest.raises(PermissionError, match=r'x.b: this folder cannot be read'):
        opened(root)


def test_a_typing_error_names_the_nearest_folder(tmp_path):
    make(tmp_path / 'Gesichter ä', 'a/1.png', 'b/2.png')
    for wrong in ('Gesichter', 'Gesichter a', 'Gesichter ä2'):
        with pytest.raises(FileNotFoundError, match='Did you mean .*Gesichter ä.$'):
            find_source(str(tmp_path / wrong))


def test_missing_source(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no such folder, list'):
        find_source(str(tmp_path / 'nothing'))


# -- lists -------------------------------------------------------------------
@pytest.mark.parametrize(
    'text, expected',
    [
        ('a.png,sad\nb.png,glad\nc.png,sad\n', ('glad', 'sad')),
        ('Image;Emotion;\r\na.png;1;\r\nb.png;2;\r\nc.png;1;\r\n', ('1', '2')),
        ('\ufeffpath\tlabel\na.png\t0\nb.png\t2\nc.png\t0\n', ('0', '1', '2')),
        ('a.png 3\nb.png 1\nc.png 3\n', ('1', '2', '3')),
        ('label,image\nsad,a.png\nGlad,b.png\nSAD,c.png\n', ('Glad', 'sad')),
        (',file,emotion,age\n0,a.png,x,9\n1,b.png,y,8\n2,c.png,x,7\n', ('x', 'y')),
        ('image,label\na.png,70\nb.png,90\nc.png,70\n', ('70', '90')),
        (
            'image,label\na.png,very sad\nb.png,glad\nc.png,very  sad\n',
            ('glad', 'very sad'),
        ),
        ('image,label\na.png,1.0\nb.png,0\nc.png,1\n', ('0', '1')),
    ],
)
def test_classes_are_found_in_lists(tmp_path, text, expected):
    make(tmp_path, 'a.png', 'b.png', 'c.png')
    file = tmp_path / 'Liste ü.csv'
    file.write_text(text, encoding='utf-8', newline='')
    source = opened(file)
    assert source.dataset.CLASSES == expected
    labels = source.dataset.get_gt_labels().tolist()
    assert labels[0] == labels[2] != labels[1]
    assert 'Classes found in the list' in source.notes[0]


def test_utf16_of_excel(tmp_path):
    make(tmp_path, 'ä.png', 'b.png', 'c.png')
    file = tmp_path / 'list.txt'
    file.write_bytes('image\tlabel\nä.png\tx\nb.png\ty\nc.png\tx\n'.encode('utf-16'))
    assert labels_by_name(opened(file)) == {'ä.png': 'x', 'b.png': 'y', 'c.png': 'x'}


def test_classes_file_overrides(tmp_path):
    make(tmp_path, 'a.png', 'b.png', 'c.png')
    file, names = tmp_path / 'l.csv', tmp_path / 'c.txt'
    file.write_text('image,label\na.png,1\nb.png,2\nc.png,2\n')
    names.write_text('sad\nglad\ncalm\n')
    source = opened(file, None, str(names))
    assert source.dataset.CLASSES == ('sad', 'glad', 'calm')
    # No label is 0, so 1 is the first class.
    assert source.dataset.get_gt_labels().tolist() == [0, 1, 1]
    file.write_text('image,label\na.png,0\nb.png,2\nc.png,2\n')
    found = opened(file, None, str(names)).dataset.get_gt_labels().tolist()
    assert found == [0, 2, 2]
    file.write_text('image,label\na.png,sad\nb.png,CALM\nc.png,glat\n')
    with pytest.raises(ValueError, match=r"line 4: the label 'glat' is none") as error:
        opened(file, None, str(names))
    assert 'glad' in str(error.value)


@pytest.mark.parametrize(
    'text, words',
    [
        ('', 'empty'),
        ('image,label\n', 'a header but no rows'),
        ('a.png,sad\nb.png,sad\nc.png,sad\n', "all rows have the label 'sad'"),
        ('a.png,\nb.png,sad\n', 'line 1'),
        ('image,label\na.png,x\nb.png,\n', 'line 3: there is no label'),
        ('image,label\na.png,q1\nb.png,q2\nc.png,q3\n', '3 different labels'),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, text, words):
    make(tmp_path, 'a.png', 'b.png', 'c.png')
    file = tmp_path / 'list.csv'
    file.write_text(text)
    with pytest.raises(ValueError) as error:
        opened(file)
    assert words in str(error.value) and str(file) in str(error.value)


def test_images_elsewhere(tmp_path):
    make(tmp_path / 'photos', 'a.png', 'b.png')
    file = tmp_path / 'lists/list.csv'
    file.parent.mkdir()
    file.write_text('image,label\na.png,x\nb.png,y\n')
    with pytest.raises(FileNotFoundError) as error:
        opened(file)
    message = str(error.value)
    assert '--data-root' in message and '2 of the 2' in message and 'a.png' in message
    source = opened(file, str(tmp_path / 'photos'))
    assert labels_by_name(source) == {'a.png': 'x', 'b.png': 'y'}
    with pytest.raises(FileNotFoundError, match='there is no such folder'):
        opened(file, str(tmp_path / 'nowhere'))
    file.write_text('image,label\nC:\\f\\a.png,x\nb.png,y\n')
    if os.name != 'nt':
        with pytest.raises(ValueError, match='line 2.*Windows'):
            opened(file)


def test_paths_of_the_working_folder_and_backslashes(tmp_path, monkeypatch):
    make(tmp_path / 'photos', 'a.png', 'b.png')
    (tmp_path / 'lists').mkdir()
    file = tmp_path / 'lists/list.csv'
    file.write_text('image,label\nphotos\\a.png,x\nphotos/b.png,y\n')
    monkeypatch.chdir(tmp_path)
    dataset = opened('lists/list.csv').dataset
    assert all(os.path.isfile(path) for path in dataset.image_paths)


def test_image_in_two_rows(tmp_path):
    make(tmp_path, 'a.png', 'b.png', 'c.png')
    file = tmp_path / 'list.csv'
    file.write_text('image,label\na.png,x\nb.png,y\n./a.png,x\nd/../b.png,x\nc.png,y\n')
    source = opened(file)
    assert labels_by_name(source) == {'a.png': 'x', 'b.png': 'y', 'c.png': 'y'}
    assert 'with the same label' in ' '.join(source.notes)
    assert len(source.warnings) == 1
    assert 'y in line 3' in source.warnings[0] and 'x in line 5' in source.warnings[0]


def test_data_root_of_a_folder_is_refused(tmp_path):
    make(tmp_path, 'a/1.png', 'b/2.png')
    with pytest.raises(ValueError, match='--data-root'):
        find_source(str(tmp_path), str(tmp_path))


# -- groups ------------------------------------------------------------------
def test_groups_of_folders_and_columns(tmp_path):
    root = make(tmp_path / 'f', 'sad/anna/1.png', 'sad/bo/2.png', 'glad/anna/3.png')
    make(root, 'glad/4.png')
    source = opened(root)
    names = source.dataset.image_names()
    alone = np.arange(4)
    index = find_groups(source, 'folder', alone).index
    group = dict(zip(names, index.tolist()))
    assert group['sad/anna/1.png'] == group['glad/anna/3.png']
    assert len(set(group.values())) == 3
    # Near duplicates join groups.
    joined = alone.copy()
    joined[names.index('sad/bo/2.png')] = names.index('glad/4.png')
    assert len(set(find_groups(source, 'folder', joined).index.tolist())) == 2
    assert find_groups(source, 'auto', joined).index.tolist() == joined.tolist()
    assert find_groups(source, 'none', joined).index.tolist() == [0, 1, 2, 3]
    file = tmp_path / 'l.csv'
    shutil.copytree(root, tmp_path / 'g')
    file.write_text(
        'image,label,Person\ng/sad/anna/1.png,sad,p\ng/sad/bo/2.png,sad,q\n'
        'g/glad/anna/3.png,glad,p\ng/glad/4.png,glad,\n'
    )
    source = opened(file)
    assert find_groups(source, 'person', alone).index.tolist() == [0, 1, 0, 3]
    with pytest.raises(ValueError, match='no such column.*Person'):
        find_groups(source, 'video', alone)


def test_groups_that_cannot_be(tmp_path):
    source = opened(make(tmp_path / 'x', 'a/1.png', 'b/2.png', 'b/3.png'))
    with pytest.raises(ValueError, match='directly in the class folders'):
        find_groups(source, 'folder', np.arange(3))
    file = tmp_path / 'x/l.csv'
    file.write_text('image,label,p\na/1.png,a,1\nb/2.png,b,1\nb/3.png,b,1\n')
    with pytest.raises(ValueError, match='one group has 3 of 3'):
        find_groups(opened(file), 'p', np.arange(3))
