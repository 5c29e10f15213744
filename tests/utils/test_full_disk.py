"""A full disk is reported, and nothing that was there is lost."""

import errno
import os
import pickle

import cv2
import numpy as np
import pytest
from helpers import mounted_disk

from mmfer.utils.files import write_atomic, write_figure, write_image
from mmfer.utils.full_disk import (
    DiskFullError,
    format_bytes,
    free_bytes,
    full_disk_explained,
)


@pytest.mark.parametrize('place', ['fsync', 'replace', 'chmod'])
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT])
def test_no_space(tmp_path, monkeypatch, place, code):
    path = tmp_path / 'file'
    path.write_bytes(b'old')

    def full(*args):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, place, full)
        with pytest.raises(DiskFullError) as error:
            write_atomic(str(path), bytes(2_500_000))
    text = str(error.value)
    assert text.startswith(f'{path} could not be written: ')
    assert 'It needs 2.5 MB.' in text and f'are free in {tmp_path}.' in text
    assert 'The file file that was there before is unchanged.' in text
    assert ('quota' in text) == (code == errno.EDQUOT)
    assert error.value.errno == code
    assert path.read_bytes() == b'old' and os.listdir(tmp_path) == ['file']
    # Errors of workers come as pickles.
    assert str(pickle.loads(pickle.dumps(error.value))) == text


def test_other_errors_stay(tmp_path):
    with pytest.raises(PermissionError), full_disk_explained('file'):
        raise PermissionError(errno.EACCES, 'no')
    with pytest.raises(DiskFullError, match='No unfinished x was left'):
        with full_disk_explained(str(tmp_path / 'x')):
            raise OSError(errno.ENOSPC, 'full')
    assert free_bytes(str(tmp_path / 'a/b/c')) > 0
    assert [format_bytes(n) for n in (0, 999, 1000, 999_960, 45_240_000, 2e15)] == [
        '0 bytes',
        '999 bytes',
        '1.0 kB',
        '1.0 MB',
        '45.2 MB',
        '2000.0 TB',
    ]


@pytest.fixture
def small_disk(tmp_path):
    with mounted_disk(tmp_path / 'disk', '64k') as folder:
        yield folder


def test_images_and_figures(small_disk):
    from matplotlib.figure import Figure

    path = small_disk / 'image.png'
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    with pytest.raises(DiskFullError, match='It needs 9.* kB'):
        write_image(str(path), noise)
    assert os.listdir(small_disk) == []
    write_image(str(path), noise[:32, :32])
    assert (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) == noise[:32, :32]).all()
    figure = Figure()
    figure.subplots().imshow(noise)
    with pytest.raises(DiskFullError):
        write_figure(figure, str(small_disk / 'figure.png'), dpi=200)
    assert os.listdir(small_disk) == ['image.png']
    write_figure(figure, str(small_disk / 'figure'), dpi=20)
    assert (small_disk / 'figure.png').read_bytes().startswith(b'\x89PNG')


def test_a_disk_that_is_full(small_disk):
    path = small_disk / 'file'
    write_atomic(str(path), b'old' * 100)
    with pytest.raises(DiskFullError) as error:
        write_atomic(str(path), bytes(100_000))
    assert 0 < error.value.free < 64 * 1024 and error.value.need == 100_000
    assert path.read_bytes() == b'old' * 100
    assert os.listdir(small_disk) == ['file']
    with pytest.raises(DiskFullError):
        write_atomic(str(small_disk / 'new'), bytes(100_000))
    assert os.listdir(small_disk) == ['file']
    write_atomic(str(path), bytes(40_000))
    assert path.stat().st_size == 40_000
