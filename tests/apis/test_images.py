"""Images of every kind become the same pixels."""
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmfer.apis.images import each_source, in_chunks, list_images
from mmfer.datasets import images
from mmfer.datasets.images import UnreadableImageError, read_image


@pytest.fixture
def picture():
    """BGR, smooth, so that JPEG changes little."""
    y, x = np.mgrid[:40, :60]
    return np.stack([4 * x, 6 * y, 255 - 2 * x - 3 * y],
                    axis=2).clip(0, 255).astype(np.uint8)


def encoded(image, suffix='.png', **options):
    buffer = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(
        buffer, format=suffix, **options)
    return buffer.getvalue()


def test_kinds_of_sources(picture, tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), picture)
    data = path.read_bytes()
    rgb = Image.fromarray(picture[..., ::-1])
    sources = [
        str(path), path, data, bytearray(data), picture,
        picture[:, ::-1][:, ::-1], rgb,
        rgb.convert('RGBA'), picture.astype(np.uint16) * 256,
        picture.astype(np.float32) / 255,
        np.dstack([picture, np.full((40, 60), 255, np.uint8)])
    ]
    for source in sources:
        image = read_image(source)
        np.testing.assert_array_equal(image, picture)
        assert image.dtype == np.uint8 and image.flags.c_contiguous
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for source in [picture, rgb, grey, grey[..., None]]:
        np.testing.assert_array_equal(
            read_image(source, 'grayscale'), grey)
    np.testing.assert_array_equal(
        read_image(grey), np.repeat(grey[..., None], 3, axis=2))


def test_turned_by_exif(picture):
    """A camera held upright: the file lies on its side and says so."""
    turned = np.rot90(picture)
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees, clockwise.
    data = encoded(turned, 'JPEG', quality=98, exif=exif)
    for source in (data, Image.open(io.BytesIO(data))):
        image = read_image(source)
        assert image.shape == picture.shape
        assert np.abs(image.astype(int) - picture).mean() < 2


def test_what_is_transparent_is_white(picture):
    rgba = np.dstack([picture[..., ::-1], np.full((40, 60), 255, np.uint8)])
    rgba[:, :30] = (0, 0, 0, 0)
    image = Image.fromarray(rgba)
    buffer = io.BytesIO()
    image.save(buffer, format='PNG')
    for source in (image, buffer.getvalue()):
        seen = read_image(source)
        assert (seen[:, :30] == 255).all()
        np.testing.assert_array_equal(seen[:, 30:], picture[:, 30:])


def test_sixteen_bits(picture):
    deep = picture[..., 0].astype(np.uint16) * 257
    data = cv2.imencode('.png', deep)[1].tobytes()
    for source in (data, deep, Image.open(io.BytesIO(data))):
        grey = read_image(source, 'grayscale')
        assert np.abs(grey.astype(int) - picture[..., 0]).max() <= 1


def test_cmyk(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture[..., ::-1]).convert('CMYK').save(
        buffer, format='JPEG', quality=98)
    data = buffer.getvalue()
    for source in (data, Image.open(io.BytesIO(data))):
        image = read_image(source)
        assert np.abs(image.astype(int) - picture).mean() < 6


def huge_png():
    """A head that promises 40,000 x 40,000 pixels."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))

    head = struct.pack('>IIBBBBB', 40000, 40000, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(
        b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')


@pytest.mark.parametrize('data, word', [
    (b'', 'is empty'), (b'no image', 'not a readable image'),
    (huge_png(), '1600 million pixels')])
def test_no_image(tmp_path, data, word):
    path = tmp_path / 'x.png'
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError, match=word) as error:
        read_image(path)
    assert 'x.png' in str(error.value)


def test_truncated(picture, tmp_path):
    data = encoded(picture, 'JPEG')
    with pytest.raises(UnreadableImageError, match='truncated JPEG'):
        read_image(data[:len(data) // 2])


@pytest.mark.parametrize('source, error, word', [
    ('missing.png', UnreadableImageError, 'no such file'),
    (7, TypeError, 'got int'),
    (np.zeros((4, 4, 2), np.uint8), ValueError, r'got \(4, 4, 2\)'),
    (np.zeros((0, 4), np.uint8), ValueError, r'got \(0, 4\)'),
    (np.full((4, 4), 200.), ValueError, 'divide by 255'),
    (np.full((4, 4), np.nan), ValueError, r'in \[0, 1\]'),
    (np.zeros((4, 4), np.int64), ValueError, 'got int64')])
def test_refusals(source, error, word):
    with pytest.raises(error, match=word):
        read_image(source)


def test_sources_of_a_folder(picture, tmp_path):
    for name in ('b.png', 'a.JPG', 'below/c.bmp', 'notes.txt'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'')
    expected = [str(tmp_path / n) for n in ('a.JPG', 'b.png', 'below/c.bmp')]
    assert list(each_source(tmp_path)) == expected == list_images(tmp_path)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image in this folder'):
        each_source(str(tmp_path / 'empty'))
    with pytest.raises(UnreadableImageError, match='is no file'):
        read_image(tmp_path)


def test_arrays_of_several_images(picture):
    assert len(each_source(picture)) == 1
    assert len(each_source(picture[..., 0])) == 1
    assert len(each_source(np.stack([picture] * 5))) == 5
    assert len(each_source(np.zeros((7, 48, 48), np.uint8))) == 7
    frames = iter([picture])
    assert each_source(frames) is frames


def test_chunks_wait_for_no_more_than_they_need():
    taken = []

    def frames():
        for i in range(7):
            taken.append(i)
            yield i

    chunks = in_chunks(frames(), 3)
    assert next(chunks) == [0, 1, 2] and taken == [0, 1, 2]
    assert list(chunks) == [[3, 4, 5], [6]]


@pytest.fixture
def hidden():
    """Red left, transparent right with black below, RGBA."""
    pixels = np.zeros((20, 40, 4), np.uint8)
    pixels[:, :20] = 255, 0, 0, 255
    return Image.fromarray(pixels)


def palette(image):
    converted = Image.new('P', image.size, 1)
    converted.putpalette([255, 0, 0, 0, 0, 0])
    converted.paste(0, (0, 0, 20, 20))
    converted.info['transparency'] = 1
    return converted


@pytest.mark.parametrize('suffix, convert, options', [
    ('PNG', None, {}), ('PNG', palette, dict(transparency=1)),
    ('TIFF', None, {}), ('WEBP', None, dict(lossless=True)),
    ('GIF', palette, dict(transparency=1))])
def test_what_is_hidden_stays_hidden(hidden, tmp_path, suffix, convert,
                                     options):
    """However the image comes."""
    image = convert(hidden) if convert else hidden
    path = tmp_path / f'a.{suffix.lower()}'
    image.save(path, suffix, **options)
    with Image.open(path) as opened:
        for source in (path, path.read_bytes(), opened):
            found = read_image(source)
            assert found[10, 10].tolist() == [0, 0, 255]
            assert found[10, 30].tolist() == [255, 255, 255]


def test_alpha_and_orientation(hidden, tmp_path):
    path = tmp_path / 'a.png'
    exif = Image.Exif()
    exif[0x0112] = 6
    hidden.save(path, exif=exif)
    found = read_image(path)
    assert found.shape == (40, 20, 3)
    # Turned to the right, left is up.
    assert found[5, 10].tolist() == [0, 0, 255]
    np.testing.assert_array_equal(read_image(Image.open(path)), found)


def test_integers_of_pil():
    small = Image.fromarray(np.full((4, 4), 200, np.int32))
    large = Image.fromarray(np.full((4, 4), 200 * 256, np.int32))
    for image in (small, large):
        assert image.mode == 'I'
        assert (read_image(image, 'grayscale') == 200).all()


def test_the_limit_of_pil_stays(picture):
    before = Image.MAX_IMAGE_PIXELS
    read_image(encoded(picture, 'png'))
    with pytest.raises(UnreadableImageError):
        read_image(b'\x89PNG\r\n\x1a\nxxxx')
    assert Image.MAX_IMAGE_PIXELS == before


def test_lazy_images_are_checked_too(picture, monkeypatch):
    """PIL opens what it cannot decode, and what is too large."""
    data = encoded(picture, 'png')
    broken = Image.open(io.BytesIO(data[:len(data) // 2]))
    with pytest.raises(UnreadableImageError, match='of PIL.* not a readable'):
        read_image(broken)
    monkeypatch.setattr(images, 'MAX_PIXELS', 100)
    with pytest.raises(UnreadableImageError, match='million pixels'):
        read_image(Image.open(io.BytesIO(data)))


def test_files_that_are_none(tmp_path):
    path = tmp_path / 'large.png'
    with open(path, 'wb') as file:
        # Sparse: nothing of it is on the disk, nor must be in memory.
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(UnreadableImageError, match='more than 500'):
        read_image(path)
    with pytest.raises(UnreadableImageError, match='/dev/zero'):
        read_image('/dev/zero')
    # OpenCV raises its own error of a head as this.
    head = b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 40000 +X 40000\n'
    with pytest.raises(UnreadableImageError, match='bytes'):
        read_image(head)


@pytest.mark.parametrize('inputs', [7, None, 2.5])
def test_no_source_of_images(inputs):
    with pytest.raises(TypeError, match='generator of them, got'):
        each_source(inputs)
