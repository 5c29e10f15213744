import os
import os.path as osp

import pytest

from mmfer.datasets import ImageFolders, ImageList
from mmfer.datasets import custom as custom_module
from mmfer.datasets.lists import read_label_list, write_label_list

PIPELINE = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]
NOISE = dict(type='SymmetricNoise', rate=0.5, seed=0)


@pytest.fixture
def listed(tmp_path, write_image):
    """Return a function that writes a list and the images of its rows."""

    def listed(text, name='list.txt', folder='.', images=True):
        (tmp_path / name).write_text(text)
        sep = ',' if ',' in text else ' '
        for row in text.split('\n') if images else ():
            if row and row != 'image,label':
                write_image(tmp_path / folder / row.rsplit(sep, 1)[0], size=8)
        return dict(ann_file=name, data_root=str(tmp_path))

    return listed


def paths(dataset):
    return [
        dataset.image_name(dataset.get_data_info(i)['img_path'])
        for i in range(len(dataset))
    ]


# -- both ----------------------------------------------------------------------
def test_names_of_another_encoding(tmp_path, write_image):
    """They would end a run when it writes its table."""
    for name in ('a', 'b'):
        write_image(tmp_path / name / 'x.png', size=8)
    os.rename(tmp_path / 'a/x.png', os.fsencode(tmp_path / 'a') + b'/\xfcber.png')
    with pytest.raises(ValueError, match=r"1 of 2 images.*b'\\xfcber.png' in .*convmv"):
        ImageFolders(str(tmp_path)).full_init()
    os.rename(tmp_path / 'b', os.fsencode(tmp_path) + b'/\xe4')
    with pytest.raises(ValueError, match='2 of 2 images') as error:
        ImageFolders(str(tmp_path)).full_init()
    str(error.value).encode()


# -- ImageList ---------------------------------------------------------------
@pytest.mark.parametrize(
    'text',
    ['image,label\na.png,2\nb.png,0\n', 'a.png,2\nb.png,0', 'a.png 2\nb.png 0\n'],
)
def test_list_for_training_and_evaluation(listed, text):
    args = dict(listed(text), classes=['x', 'y', 'z'], pipeline=PIPELINE)
    train = ImageList(**args)
    test = ImageList(test_mode=True, **args)
    for dataset in (train, test):
        assert dataset.get_gt_labels().tolist() == [2, 0]
        assert paths(dataset) == ['a.png', 'b.png']
        assert dataset.CLASSES == ('x', 'y', 'z')
        assert dataset[0]['inputs'].shape == (3, 8, 8)
        assert dataset[1]['data_samples'].sample_id == 1
    assert not train.test_mode and test.test_mode
    assert len(ImageList(label_noise=NOISE, **args).clean_labels) == 2


def test_list_with_folders(listed, tmp_path):
    args = listed('s1/a.png 0\ns2/a.png 1\ns2/deep/b.png 2\n', folder='faces')
    dataset = ImageList(data_prefix='faces', num_classes=3, **args)
    # The path tells images apart, not the base name.
    assert paths(dataset) == [
        osp.join('faces', name) for name in ('s1/a.png', 's2/a.png', 's2/deep/b.png')
    ]
    assert dataset.get_gt_labels().tolist() == [0, 1, 2]


def test_list_and_images_anywhere(listed, tmp_path, write_image):
    image = write_image(tmp_path / 'elsewhere/c.png')
    args = dict(listed(f'{image} 0\n', images=False), data_root='')
    args['ann_file'] = str(tmp_path / args['ann_file'])
    dataset = ImageList(num_classes=1, label_base=0, **args)
    assert paths(dataset) == [str(image)]


def test_image_twice_in_a_list(listed):
    args = listed('s/a.png 0\ns/b.png 1\ns/a.png 1\n')
    with pytest.raises(
        ValueError, match='line 3.*already has a label in line 1'
    ) as caught:
        ImageList(num_classes=2, label_base=0, **args)
    assert 'base name' not in str(caught.value)


def test_classes_have_to_be_said(listed, tmp_path):
    args = listed('a.png 0\nb.png 1\n')
    with pytest.raises(ValueError, match=r'num_classes=K') as caught:
        ImageList(**args)
    assert 'classes=' in str(caught.value)
    assert ImageList(num_classes=3, **args).CLASSES == ('0', '1', '2')
    # A class without a row keeps its label.
    assert ImageList(classes=['x', 'y', 'z'], **args).num_classes == 3
    named = ImageList(metainfo=dict(classes=('x', 'y', 'z')), **args)
    assert named.CLASSES == ('x', 'y', 'z')
    (tmp_path / 'names.txt').write_text('x\ny\nz\n')
    names = str(tmp_path / 'names.txt')
    assert tuple(ImageList(classes=names, **args).CLASSES) == ('x', 'y', 'z')
    with pytest.raises(ValueError, match='num_classes=2.*names 3'):
        ImageList(classes=['x', 'y', 'z'], num_classes=2, **args)


@pytest.mark.parametrize(
    'text, base, expected',
    [
        ('a.png 0\nb.png 1\n', None, [0, 1]),
        ('a.png 1\nb.png 3\n', None, [0, 2]),
        ('a.png 1\nb.png 2\n', 0, [1, 2]),
        ('a.png 1\nb.png 2\n', 1, [0, 1]),
    ],
)
def test_label_base(listed, text, base, expected):
    dataset = ImageList(num_classes=3, label_base=base, **listed(text))
    assert dataset.get_gt_labels().tolist() == expected


def test_detected_label_base_is_said(listed, monkeypatch):
    said = []
    monkeypatch.setattr(
        custom_module, 'print_log', lambda text, *_, **__: said.append(text)
    )
    args = listed('a.png 1\nb.png 3\n')
    ImageList(num_classes=3, **args)
    assert 'counts its 3 classes from 1' in said[0]
    ImageList(num_classes=3, label_base=1, **args)
    assert len(said) == 1


@pytest.mark.parametrize(
    'text, base, message',
    [
        ('a.png 1\nb.png 2\n', None, 'label_base=0 or label_base=1'),
        ('a.png 0\nb.png 3\n', None, 'more than 3 classes'),
        ('a.png 0\nb.png 4\n', None, 'line 2.*label 4 is out of range for 3'),
        ('a.png 0\nb.png -1\n', None, 'line 2.*negative'),
        ('a.png 0\nb.png 3\n', 0, 'label 3 is outside 0..2'),
        ('a.png 0\nb.png 3\n', 1, 'label 0 is outside 1..3'),
        ('a.png 0\nb.png happy\n', None, "'happy' is not an integer"),
        ('', None, 'no rows'),
        ('image,label\n', None, 'no rows'),
    ],
)
def test_wrong_lists(listed, text, base, message):
    args = listed(text, images=False)
    with pytest.raises(ValueError, match=message):
        ImageList(num_classes=3, label_base=base, **args)


def test_list_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.txt'):
        ImageList('gone.txt', data_root=str(tmp_path), num_classes=2)
    with pytest.raises(ValueError, match='ann_file'):
        ImageList('', data_root=str(tmp_path), num_classes=2)


def test_list_names_an_image_that_is_not_there(listed, tmp_path):
    args = listed('a.png 0\nb.png 1\nc.png 1\n')
    (tmp_path / 'b.png').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 3.*b.png'):
        ImageList(num_classes=2, label_base=0, **args)


def test_list_written_by_path_is_read_back(listed, tmp_path):
    names, labels = ['s1/a.png', 's2/a.png'], [1, 0]
    with pytest.raises(ValueError, match='already has a label'):
        write_label_list(tmp_path / 'list.txt', names, labels)
    write_label_list(tmp_path / 'list.txt', names, labels, by_path=True)
    with pytest.raises(ValueError, match='only the base name'):
        read_label_list(tmp_path / 'list.txt', 2)
    args = listed((tmp_path / 'list.txt').read_text())
    dataset = ImageList(num_classes=2, **args)
    assert paths(dataset) == names
    assert dataset.get_gt_labels().tolist() == labels
    with pytest.raises(ValueError, match='already has a label'):
        write_label_list(
            tmp_path / 'list.txt', names + names[:1], [1, 0, 1], by_path=True
        )


def test_class_names_as_labels(listed, tmp_path):
    args = listed('a.png,sad\nb.png,Happy\n')
    dataset = ImageList(classes=['happy', 'sad'], **args)
    assert dataset.get_gt_labels().tolist() == [1, 0]
    with pytest.raises(ValueError, match=r'unless the classes are named'):
        ImageList(num_classes=2, **args)


def test_file_of_class_names(listed, tmp_path):
    args = listed('a.png,1\nb.png,2\n')
    names = tmp_path / 'names.txt'
    names.write_bytes('surprise\r\nsad\r\nfear\r\n\r\n'.encode('utf-16'))
    for classes in (dict(classes=str(names)), dict(metainfo=dict(classes=str(names)))):
        dataset = ImageList(label_base=0, **classes, **args)
        assert dataset.CLASSES == ('surprise', 'sad', 'fear')
    for text, part in (('a\nb\na\n', 'line 3'), ('a\n\nb\n', 'line 2')):
        names.write_text(text)
        with pytest.raises(ValueError, match=f'names.txt, {part}'):
            ImageList(classes=str(names), **args)
    for classes, part in (
        (['a', 'b', 'a'], "ImageList.*name 3: .*'a'"),
        (['a', ''], 'name 2'),
        (3, 'classes=3'),
    ):
        with pytest.raises(ValueError, match=part):
            ImageList(classes=classes, **args)
    with pytest.raises(FileNotFoundError, match='no such file of class names'):
        ImageFolders(str(tmp_path), classes=str(tmp_path / 'gone.txt'))


def test_paths_as_other_systems_write_them(listed, tmp_path, write_image):
    args = listed('d\\a.png 0\n./b.png 1\n', images=False)
    for name in ('d/a.png', 'b.png'):
        write_image(tmp_path / name, size=8)
    dataset = ImageList(num_classes=2, label_base=0, **args)
    assert paths(dataset) == ['d/a.png', 'b.png']
    # The images are written as the list had them.
    path = tmp_path / 'new.txt'
    dataset.write_list(str(path), [0, 1], [1, 0])
    assert path.read_text() == 'd\\a.png 1\n./b.png 0\n'
    args = listed(f'b.png 0\n{tmp_path}/b.png 1\n', images=False)
    with pytest.raises(ValueError, match='line 2.*already has a label'):
        ImageList(num_classes=2, label_base=0, **args)


def test_hash_in_front_of_a_name(listed, tmp_path):
    args = listed('a.png 0\n#b.png 1\n')
    dataset = ImageList(num_classes=2, label_base=0, **args)
    assert paths(dataset) == ['a.png', '#b.png']
    changes = dataset.write_list(str(tmp_path / 'new.txt'), [0, 1], [1, 0])
    again = ImageList(
        num_classes=2,
        data_root=str(tmp_path),
        **{k: v for k, v in changes.items() if v is not None},
    )
    assert again.get_gt_labels().tolist() == [1, 0]


# -- ImageFolders ------------------------------------------------------------
@pytest.fixture
def folders(tmp_path, write_image):
    """Return a function that writes images with given names below a root."""

    def folders(*names):
        for i, name in enumerate(names):
            write_image(tmp_path / 'root' / name, seed=i, size=8)
        return tmp_path / 'root'

    return folders


def test_folders_are_classes(folders):
    root = folders(
        'sad/b.png', 'happy/z.png', 'happy/deep/er/a.JPG', 'sad/a.jpeg', 'Angry/x.bmp'
    )
    (root / 'happy/notes.txt').write_text('no image')
    (root / 'readme.md').write_text('no class')
    dataset = ImageFolders(str(root), pipeline=PIPELINE)
    assert dataset.CLASSES == ('Angry', 'happy', 'sad')
    assert paths(dataset) == [
        'Angry/x.bmp',
        'happy/deep/er/a.JPG',
        'happy/z.png',
        'sad/a.jpeg',
        'sad/b.png',
    ]
    assert dataset.get_gt_labels().tolist() == [0, 1, 1, 2, 2]
    assert dataset.metainfo['classes'] == dataset.CLASSES
    for i in range(5):
        assert dataset[i]['inputs'].shape == (3, 8, 8)


def test_folders_for_training_and_evaluation(folders):
    root = folders('train/a/1.png', 'train/b/1.png', 'test/a/2.png', 'test/b/2.png')
    train = ImageFolders(str(root), data_prefix='train', label_noise=NOISE)
    test = ImageFolders(str(root), data_prefix='test', test_mode=True)
    assert train.clean_labels.tolist() == [0, 1]
    assert (train.given_labels != train.clean_labels).sum() == 1
    assert paths(test) == ['test/a/2.png', 'test/b/2.png']
    with pytest.raises(ValueError, match='measure the noise'):
        ImageFolders(str(root), test_mode=True, label_noise=NOISE)


def test_order_of_folders_can_be_given(folders, monkeypatch):
    said = []
    monkeypatch.setattr(
        custom_module, 'print_log', lambda text, *_, **__: said.append(text)
    )
    root = folders('a/1.png', 'b/1.png', 'c/1.png')
    dataset = ImageFolders(str(root), classes=['c', 'a'])
    assert dataset.CLASSES == ('c', 'a')
    assert paths(dataset) == ['c/1.png', 'a/1.png']
    assert dataset.get_gt_labels().tolist() == [0, 1]
    # The log names the folder that is ignored.
    assert len(said) == 1 and 'not name: b.' in said[0]


def test_left_out_folders_are_logged_without_error(folders):
    root = folders('a/1.png', 'b/1.png')
    assert len(ImageFolders(str(root), classes=['a'])) == 1


def test_missing_class_folder(folders):
    root = folders('a/1.png', 'b/1.png')
    with pytest.raises(FileNotFoundError) as caught:
        ImageFolders(str(root), classes=['a', 'sad', 'b', 'glad'])
    assert 'class(es) sad, glad;' in str(caught.value)


def test_evaluation_split_that_lacks_a_class(folders):
    """With classes=, its labels are those of the training split."""
    root = folders('a/1.png', 'c/1.png')
    (root / 'd').mkdir()
    classes = ['a', 'b', 'c', 'd']
    dataset = ImageFolders(str(root), classes=classes, test_mode=True)
    assert dataset.get_gt_labels().tolist() == [0, 2]
    assert dataset.num_classes == 4
    with pytest.raises(FileNotFoundError, match='x, y;'):
        ImageFolders(str(root), classes=['x', 'y'], test_mode=True)
    with pytest.raises(ValueError, match='no images in 1 of 3'):
        ImageFolders(str(root), test_mode=True)


def test_empty_class_folders_are_named(folders):
    root = folders('a/1.png', 'b/1.png')
    (root / 'glad').mkdir()
    (root / 'sad/deep').mkdir(parents=True)
    (root / 'sad/deep/x.tar').write_text('x')
    with pytest.raises(ValueError) as caught:
        ImageFolders(str(root))
    message = str(caught.value)
    assert 'no images in 2 of 4 class folders' in message
    assert ': glad, sad. Looked for .jpg' in message
    assert len(ImageFolders(str(root), classes=['a', 'b'])) == 2


@pytest.mark.parametrize('extensions', ['png', ['.PNG'], ('.png',)])
def test_extensions(folders, extensions):
    root = folders('a/1.png', 'a/2.jpg', 'b/1.png')
    dataset = ImageFolders(str(root), extensions=extensions)
    assert paths(dataset) == ['a/1.png', 'b/1.png']


def test_files_with_other_endings_are_counted_in_one_warning(folders, monkeypatch):
    said = []
    monkeypatch.setattr(
        custom_module, 'print_log', lambda text, *_, **__: said.append(text)
    )
    root = folders('a/1.png', 'b/1.png')
    for name in ('a/2.heic', 'b/x.svg', 'b/y.svg', 'a/Thumbs.db', 'b/.x.svg'):
        (root / name).write_bytes(b'')
    assert paths(ImageFolders(str(root))) == ['a/1.png', 'b/1.png']
    (text,) = said
    assert '3 file(s) ignored' in text and '2.heic' in text
    said.clear()
    assert len(ImageFolders(str(folders('a/1.png')), classes=['b'])) == 1
    assert not any('Thumbs' in text for text in said)


def test_hidden_names_are_no_classes_and_no_images(folders):
    root = folders('a/1.png', '.cache/1.png', 'a/._1.png', 'a/.thumbs/1.png')
    assert paths(ImageFolders(str(root))) == ['a/1.png']


def test_linked_folders(folders, tmp_path):
    root = folders('a/1.png')
    (tmp_path / 'b').mkdir()
    (root / 'a/1.png').rename(tmp_path / 'b/2.png')
    folders('a/1.png')
    (root / 'b').symlink_to(tmp_path / 'b')
    assert paths(ImageFolders(str(root))) == ['a/1.png', 'b/2.png']


def test_no_folder(tmp_path, write_image):
    with pytest.raises(FileNotFoundError, match="no folder '.*gone'"):
        ImageFolders(str(tmp_path / 'gone'))
    write_image(tmp_path / 'flat/a.png')
    with pytest.raises(ValueError, match='has no folders.*ImageList'):
        ImageFolders(str(tmp_path / 'flat'))


def test_lazy_folders_know_their_classes_when_loaded(folders):
    root = folders('a/1.png', 'b/1.png')
    dataset = ImageFolders(str(root), lazy_init=True)
    assert dataset.CLASSES is None
    assert len(dataset) == 2 and dataset.CLASSES == ('a', 'b')


@pytest.mark.parametrize('test_mode', [False, True])
def test_published_noisy_rows_are_not_evaluated_on(tmp_path, write_image, test_mode):
    rows = []
    for split in ('train', 'test'):
        for i in range(7):
            name = f'{split}_{i + 1:05d}.jpg'
            write_image(tmp_path / name, i)
            rows.append(f'{name} {i + 1}')
    (tmp_path / 'noise30.txt').write_text('\n'.join(rows))
    kwargs = dict(
        ann_file='noise30.txt',
        data_root=str(tmp_path),
        num_classes=7,
        test_mode=test_mode,
    )
    if test_mode:
        with pytest.raises(ValueError, match='RAFDB'):
            ImageList(**kwargs)
    else:
        assert len(ImageList(**kwargs)) == 14
