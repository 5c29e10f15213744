import os

import pytest

from mmfer.datasets.lists import read_label_list


def test_backslashes_separate_folders_too(save):
    text = 'D:\\raf\\train_00001_aligned.jpg 0\nD:\\raf\\a b.jpg 1\n'
    found = read_label_list(save(text), 2)
    assert found.names == ('train_00001_aligned.jpg', 'a b.jpg')


@pytest.mark.parametrize(
    'first, second',
    [
        ('a.jpg', './a.jpg'),
        ('a.jpg', 'd/../a.jpg'),
        ('d/a.jpg', 'd\\a.jpg'),
        ('d/a.jpg', 'd//a.jpg'),
        ('/root/a.jpg', 'a.jpg'),
    ],
)
def test_one_image_by_two_paths(save, first, second):
    path = save(f'{first} 0\n{second} 6\n')
    with pytest.raises(ValueError, match='line 2.*already has a label in line 1'):
        read_label_list(path, 7, by_path=True, root='/root')


@pytest.mark.skipif(os.name == 'nt', reason='there are drives')
def test_paths_of_windows(save):
    for name in ('C:\\x\\a.jpg', 'd:/a.jpg', '\\\\server\\a.jpg'):
        path = save(f'{name} 0\nb.jpg 6\n')
        with pytest.raises(ValueError, match='line 1.*path of Windows.*a.jpg'):
            read_label_list(path, 7, by_path=True)
