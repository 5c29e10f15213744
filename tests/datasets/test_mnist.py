"""MNIST as published, and files that are damaged."""

import gzip

import numpy as np
import pytest
from made_data import idx_bytes, make_mnist, mnist_arrays

from mmfer.datasets import NoisyMNIST
from mmfer.datasets.idx import read_idx

PIPELINE = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='PackFERInputs'),
]


def build(root, split='train', **options):
    return NoisyMNIST(str(root), split, pipeline=PIPELINE, **options)


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('folder', ['', 'raw', 'MNIST/raw'])
def test_published_files(tmp_path, folder, zipped):
    make_mnist(tmp_path / folder, zipped=zipped)
    for split, count, seed in (('train', 30, 0), ('test', 20, 1)):
        dataset = build(tmp_path, split)
        images, labels = mnist_arrays(count, seed)
        assert len(dataset) == count and dataset.test_mode == (split == 'test')
        assert (dataset.get_gt_labels() == labels).all()
        for i in (0, count - 1):
            assert (dataset[i]['inputs'].numpy() == images[i]).all()
        assert dataset.image_names()[7] == f'{split}_00007'


def test_a_dot_before_idx(tmp_path):
    make_mnist(tmp_path, zipped=False)
    for path in tmp_path.iterdir():
        path.rename(tmp_path / path.name.replace('-idx', '.idx'))
    assert len(build(tmp_path)) == 30


def test_noise(tmp_path):
    make_mnist(tmp_path)
    noise = dict(type='SymmetricNoise', rate=0.3)
    dataset = build(tmp_path, label_noise=noise)
    assert (dataset.get_gt_labels() != dataset.clean_labels).sum() == 9
    with pytest.raises(ValueError, match='label_noise'):
        build(tmp_path, 'test', label_noise=noise)
    dataset = build(tmp_path, label_noise=dict(type='PairNoise', rate=1 / 3))
    moved = (dataset.get_gt_labels() - dataset.clean_labels) % 10
    assert moved.sum() == 10 and set(moved) == {0, 1}


def test_a_written_list_is_read_again(tmp_path):
    make_mnist(tmp_path)
    labels = (np.arange(30) + (np.arange(30) == 4)) % 10
    options = build(tmp_path).write_list(
        str(tmp_path / 'list.txt'), np.arange(0, 30, 2), labels[::2]
    )
    dataset = build(tmp_path, **options)
    assert (dataset.get_gt_labels() == labels[::2]).all()
    assert (dataset.clean_labels == np.arange(0, 30, 2) % 10).all()
    images = mnist_arrays(30, 0)[0]
    assert (dataset[3]['inputs'].numpy() == images[6]).all()


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='train-images-idx3-ubyte.gz'):
        build(tmp_path)
    make_mnist(tmp_path)
    (tmp_path / 'train-labels-idx1-ubyte.gz').unlink()
    with pytest.raises(FileNotFoundError, match='train split: .*\n.*/raw/train-labels'):
        build(tmp_path)
    assert len(build(tmp_path, 'test')) == 20


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda data: data[:-1], '23519 bytes for an array of 30 x 28 x 28'),
        (lambda data: b'no' + data, 'begin with two zeros'),
        (lambda data: b'', 'begin with two zeros'),
        (lambda data: data[:6], 'type 8 with 3 dimensions'),
        (lambda data: data[:2] + b'\r' + data[3:], 'type 13'),
        (lambda data: gzip.compress(data)[:-9], 'Compressed file ended|end-of-stream'),
        (lambda data: idx_bytes(np.zeros((30, 28, 29), np.uint8)), '28 x 28 pixels'),
        (lambda data: idx_bytes(np.zeros((7, 28, 28), np.uint8)), 'for 7 images'),
    ],
)
def test_damaged_files(tmp_path, change, message):
    make_mnist(tmp_path, zipped=False)
    path = tmp_path / 'train-images-idx3-ubyte'
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        build(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_small_file_cannot_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(
        'mmfer.datasets.idx.LIMITS', type('L', (), dict(file_size=1000))
    )
    monkeypatch.setattr('mmfer.datasets.idx.read_bytes', lambda path, limits: DATA)
    with pytest.raises(ValueError, match='more than 1000 bytes'):
        read_idx('bomb.gz')


DATA = gzip.compress(bytes(10**6))
