"""The header of a file tells the size that decoding gives."""

import io

import numpy as np
import pytest
from made_images import ORIENTATION, RGB, saved
from PIL import Image

from mmfer.datasets.images import decode_image, upright_size

PICTURE = Image.fromarray(RGB)


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def check(path, data, known=True):
    path.write_bytes(data)
    shape = decode_image(data, 'x').shape[:2]
    assert upright_size(str(path)) == (shape if known else None)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation(tmp_path, orientation):
    data = saved(PICTURE, 'JPEG', exif=exif(orientation))
    check(tmp_path / 'x.jpg', data)
    assert (upright_size(str(tmp_path / 'x.jpg')) == (60, 40)) == (orientation > 4)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'CMYK'])
@pytest.mark.parametrize('progressive', [False, True])
def test_kinds_of_jpeg(tmp_path, mode, progressive):
    # The ending of the name does not matter.
    data = saved(PICTURE.convert(mode), 'JPEG', progressive=progressive)
    check(tmp_path / 'x.png', data)


def test_several_pictures_in_a_file(tmp_path):
    data = saved(
        PICTURE, 'MPO', save_all=True, append_images=[PICTURE.resize((20, 20))]
    )
    check(tmp_path / 'x.mpo', data)


@pytest.mark.parametrize('orientation', [0, 9])
def test_odd_orientation_is_left_to_the_decoder(tmp_path, orientation):
    data = saved(PICTURE, 'JPEG', exif=exif(orientation))
    check(tmp_path / 'x.jpg', data, known=False)


def test_xmp_is_left_to_the_decoder(tmp_path):
    """Pillow turns an image by it, OpenCV does not."""
    xmp = b'http://ns.adobe.com/xap/1.0/\x00<x tiff:Orientation="6"/>'
    data = saved(PICTURE, 'JPEG')
    segment = b'\xff\xe1' + (len(xmp) + 2).to_bytes(2, 'big') + xmp
    data = data[:2] + segment + data[2:]
    with Image.open(io.BytesIO(data)) as image:
        assert b'Orientation' in image.info['xmp']
    check(tmp_path / 'x.jpg', data, known=False)


def test_other_files(tmp_path):
    path = tmp_path / 'x'
    for data in (b'', b'text', saved(PICTURE, 'PNG'), np.zeros(9).tobytes()):
        path.write_bytes(data)
        assert upright_size(str(path)) is None
    assert upright_size(str(tmp_path / 'missing.jpg')) is None
    assert upright_size(str(tmp_path)) is None


@pytest.mark.parametrize(
    'change',
    [
        (b'\0\3\0\0\0\1\0\6', b'\0\x80\0\0\0\1\0\6'),
        (b'\0\3\0\0\0\1\0\6', b'\0\3\0\0\0\2\0\6'),
        (b'MM\0*', b'MM\0+'),
    ],
)
def test_damaged_entry_is_left_to_the_decoder(tmp_path, change):
    """Pillow ignores an entry of another type, OpenCV does not."""
    data = saved(PICTURE, 'JPEG', exif=exif(6))
    assert change[0] in data
    check(tmp_path / 'x.jpg', data.replace(*change), known=False)
