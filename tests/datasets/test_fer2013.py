"""FER2013 from its table and from folders."""

import os

import numpy as np
import pytest
from made_data import fer2013_images, make_fer2013, write_image

from mmfer.datasets import FER2013
from mmfer.datasets.fer2013 import EMOTIONS, FOLDER_NAMES

PIPELINE = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='PackFERInputs'),
]
FIRST = dict(train=0, valid=21, test=35)
COUNT = dict(train=21, valid=14, test=14)


def build(root, split='train', **options):
    return FER2013(str(root), split, pipeline=PIPELINE, **options)


@pytest.mark.parametrize('split', FIRST)
def test_table(tmp_path, split):
    dataset = build(make_fer2013(tmp_path), split)
    rows = np.arange(FIRST[split], FIRST[split] + COUNT[split])
    assert (dataset.get_gt_labels() == rows % 7).all()
    assert dataset.test_mode == (split != 'train')
    images = fer2013_images(49)
    for i in (0, 13):
        assert (dataset[i]['inputs'].numpy() == images[rows[i]]).all()
    # The names of FERPlus, which counts all rows.
    assert dataset.image_names()[2] == f'fer{rows[2]:07d}.png'
    assert dataset.metainfo['classes'] == EMOTIONS
    assert EMOTIONS[3] == 'happiness' and EMOTIONS[6] == 'neutral'


def test_table_of_kaggles_other_page(tmp_path):
    """Other order of the columns, a blank before each name."""
    text = (make_fer2013(tmp_path) / 'fer2013.csv').read_text()
    rows = [line.split(',') for line in text.splitlines()]
    other = tmp_path / 'other'
    other.mkdir()
    lines = [f'{a}, {c}, {b}' for a, b, c in rows]
    (other / 'icml_face_data.csv').write_text('\n'.join(lines))
    first, second = build(tmp_path, 'test'), build(other, 'test')
    assert (first.get_gt_labels() == second.get_gt_labels()).all()
    assert (first[3]['inputs'] == second[3]['inputs']).all()


def test_a_changed_table_is_read_again(tmp_path):
    path = make_fer2013(tmp_path) / 'fer2013.csv'
    assert build(tmp_path).get_gt_labels()[0] == 0
    path.write_text(path.read_text().replace('\n0,', '\n5,', 1))
    os.utime(path, ns=(1, 1))
    assert build(tmp_path).get_gt_labels()[0] == 5


def test_one_data_set_cannot_change_another(tmp_path):
    first, second = (build(make_fer2013(tmp_path)) for _ in range(2))
    first._images[0] = 0
    assert second._images[0].any()


def make_folders(root, test_names=('PublicTest', 'PrivateTest'), which=0):
    number = 0
    for split, usages in (('train', ['Training']), ('test', test_names)):
        for names in FOLDER_NAMES:
            for usage in usages:
                folder = root / split / names[min(which, len(names) - 1)]
                write_image(folder / f'{usage}_{number}.jpg', 48, number, grey=True)
                number += 1
    return root


@pytest.mark.parametrize('which', [0, 1])
def test_folders_of_kaggle(tmp_path, which):
    make_folders(tmp_path, which=which)
    found = {split: build(tmp_path, split) for split in FIRST}
    for split, usage in (
        ('train', 'Training'),
        ('valid', 'PublicTest'),
        ('test', 'PrivateTest'),
    ):
        assert found[split].get_gt_labels().tolist() == list(range(7))
        assert all(usage in name for name in found[split].image_names())
    assert found['train'][0]['inputs'].shape == (1, 48, 48)


def test_folder_without_names_of_splits_is_the_test_split(tmp_path):
    make_folders(tmp_path, test_names=['im'])
    assert len(build(tmp_path, 'test')) == 7
    with pytest.raises(ValueError, match='split is empty.*PublicTest'):
        build(tmp_path, 'valid')
    (tmp_path / 'test').rename(tmp_path / 'validation')
    assert len(build(tmp_path, 'valid')) == 7
    with pytest.raises(FileNotFoundError, match='or a folder test'):
        build(tmp_path, 'test')


def test_other_folders(tmp_path):
    make_folders(tmp_path)
    write_image(tmp_path / 'train/contempt/a.jpg', 48, 0)
    with pytest.raises(ValueError, match="'contempt' is no further class"):
        build(tmp_path)
    (tmp_path / 'train/contempt').rename(tmp_path / 'train/Anger')
    with pytest.raises(ValueError, match='is no further class'):
        build(tmp_path)


def test_noise_and_written_lists(tmp_path):
    make_fer2013(tmp_path)
    dataset = build(tmp_path, label_noise=dict(type='SymmetricNoise', rate=1 / 3))
    assert (dataset.get_gt_labels() != dataset.clean_labels).sum() == 7
    options = dataset.write_list(
        str(tmp_path / 'list.txt'), np.arange(5, 21), dataset.get_gt_labels()[5:]
    )
    again = build(tmp_path, **options)
    assert (again.get_gt_labels() == dataset.get_gt_labels()[5:]).all()
    assert (again.clean_labels == dataset.clean_labels[5:]).all()
    assert (again[0]['inputs'] == dataset[5]['inputs']).all()


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='fer2013.csv'):
        build(tmp_path)
    make_fer2013(tmp_path, valid=0, test=3)
    with pytest.raises(
        ValueError, match='3 of PrivateTest, 21 of Training.*split=SPLIT'
    ):
        build(tmp_path, 'valid')


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('\n0,', '\n7,', 'line 2: .*: the emotion 7 is not in 0 to 6'),
        ('\n0,', '\nx,', "emotion is 'x'"),
        (',Training', ',Train', "usage 'Train' is none of Training, PublicTest"),
        ('\n0,', '\n0,3 ', '2304 numbers from 0 to 255'),
        ('\n0,', '\n0,a ', '2304 numbers from 0 to 255'),
        (' ', ' 256 ', '2304 numbers from 0 to 255'),
        ('emotion,pixels,Usage', 'emotion,pixels', 'usage'),
        ('emotion,', 'class,', 'emotion'),
    ],
)
def test_damaged_rows(tmp_path, old, new, message):
    path = make_fer2013(tmp_path, train=2, valid=0, test=0) / 'fer2013.csv'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        build(tmp_path)
    assert 'fer2013.csv' in str(caught.value) and len(str(caught.value)) < 800


@pytest.mark.parametrize('value', ['256', '-1', '1.5', '1e2', '99999999999999999999'])
def test_pixels_out_of_range(tmp_path, value):
    path = tmp_path / 'fer2013.csv'
    pixels = ' '.join([value] + ['3'] * (48 * 48 - 1))
    path.write_text(f'emotion,pixels,Usage\n0,{pixels},Training\n')
    with pytest.raises(ValueError, match='2304 numbers from 0 to 255'):
        build(tmp_path)
