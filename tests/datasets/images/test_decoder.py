"""Images of every kind become the same pixels."""

import io
import struct
import tempfile
import time
import zlib

import cv2
import numpy as np
import pytest
from made_images import KINDS
from PIL import Image

from mmfer.datasets import LoadFERImage
from mmfer.datasets.images import (
    UnreadableImageError,
    decode_image,
    decoder,
    limits,
    read_image,
)


@pytest.fixture
def picture():
    """Smooth picture in BGR, which JPEG hardly changes."""
    y, x = np.mgrid[:40, :60]
    return (
        np.stack([4 * x, 6 * y, 255 - 2 * x - 3 * y], axis=2)
        .clip(0, 255)
        .astype(np.uint8)
    )


def encoded(image, suffix='.png', **options):
    buffer = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(buffer, format=suffix, **options)
    return buffer.getvalue()


def test_kinds_of_sources(picture, tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), picture)
    data = path.read_bytes()
    rgb = Image.fromarray(picture[..., ::-1])
    sources = [
        str(path),
        path,
        data,
        bytearray(data),
        picture,
        picture[:, ::-1][:, ::-1],
        rgb,
        rgb.convert('RGBA'),
        picture.astype(np.uint16) * 256,
        picture.astype(np.float32) / 255,
        np.dstack([picture, np.full((40, 60), 255, np.uint8)]),
    ]
    for source in sources:
        image = read_image(source)
        np.testing.assert_array_equal(image, picture)
        assert image.dtype == np.uint8 and image.flags.c_contiguous
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for source in [picture, rgb, grey, grey[..., None]]:
        np.testing.assert_array_equal(read_image(source, 'grayscale'), grey)
    np.testing.assert_array_equal(
        read_image(grey), np.repeat(grey[..., None], 3, axis=2)
    )


def test_turned_by_exif(picture):
    """A file of a turned camera lies on its side and states it."""
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
        buffer, format='JPEG', quality=98
    )
    data = buffer.getvalue()
    for source in (data, Image.open(io.BytesIO(data))):
        image = read_image(source)
        assert np.abs(image.astype(int) - picture).mean() < 6


def huge_png():
    """Return a PNG whose header states 40,000 x 40,000 pixels."""

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data))
            + kind
            + data
            + struct.pack('>I', zlib.crc32(kind + data))
        )

    head = struct.pack('>IIBBBBB', 40000, 40000, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + chunk(b'IDAT', zlib.compress(b''))
        + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize(
    'data, word',
    [
        (b'', 'is empty'),
        (b'no image', 'not a readable image'),
        (huge_png(), '1600 million pixels'),
    ],
)
def test_no_image(tmp_path, data, word):
    path = tmp_path / 'x.png'
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError, match=word) as error:
        read_image(path)
    assert 'x.png' in str(error.value)


def test_truncated(picture, tmp_path):
    data = encoded(picture, 'JPEG')
    with pytest.raises(UnreadableImageError, match='truncated JPEG'):
        read_image(data[: len(data) // 2])


@pytest.mark.parametrize(
    'source, error, word',
    [
        ('missing.png', UnreadableImageError, 'no such file'),
        (7, TypeError, 'got int'),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r'got \(4, 4, 2\)'),
        (np.zeros((0, 4), np.uint8), ValueError, r'got \(0, 4\)'),
        (np.full((4, 4), 200.0), ValueError, 'Divide it by 255'),
        (np.full((4, 4), np.nan), ValueError, r'in \[0, 1\]'),
        (np.zeros((4, 4), np.int64), ValueError, 'got int64'),
    ],
)
def test_refusals(source, error, word):
    with pytest.raises(error, match=word):
        read_image(source)


@pytest.fixture
def hidden():
    """RGBA picture: red on the left, transparent black on the right."""
    pixels = np.zeros((20, 40, 4), np.uint8)
    pixels[:, :20] = 255, 0, 0, 255
    return Image.fromarray(pixels)


def palette(image):
    converted = Image.new('P', image.size, 1)
    converted.putpalette([255, 0, 0, 0, 0, 0])
    converted.paste(0, (0, 0, 20, 20))
    converted.info['transparency'] = 1
    return converted


@pytest.mark.parametrize(
    'suffix, convert, options',
    [
        ('PNG', None, {}),
        ('PNG', palette, dict(transparency=1)),
        ('TIFF', None, {}),
        ('WEBP', None, dict(lossless=True)),
        ('GIF', palette, dict(transparency=1)),
    ],
)
def test_what_is_hidden_stays_hidden(hidden, tmp_path, suffix, convert, options):
    """Hidden pixels become white in every format and as PIL image."""
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
    # After a turn to the right, the left side is up.
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
    """PIL opens images that are damaged or too large without an error."""
    data = encoded(picture, 'png')
    broken = Image.open(io.BytesIO(data[: len(data) // 2]))
    with pytest.raises(UnreadableImageError, match='the PIL image.* not a readable'):
        read_image(broken)
    monkeypatch.setattr(limits, 'MAX_PIXELS', 100)
    with pytest.raises(UnreadableImageError, match='million pixels'):
        read_image(Image.open(io.BytesIO(data)))


def test_files_that_are_none(tmp_path):
    path = tmp_path / 'large.png'
    with open(path, 'wb') as file:
        # The file is sparse: it takes no disk, and must not take memory.
        file.truncate(limits.MAX_BYTES + 1)
    with pytest.raises(UnreadableImageError, match='more than 500'):
        read_image(path)
    with pytest.raises(UnreadableImageError, match='/dev/zero'):
        read_image('/dev/zero')
    # OpenCV raises its own error for such a header.
    head = b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 40000 +X 40000\n'
    with pytest.raises(UnreadableImageError, match='bytes'):
        read_image(head)


# -- kinds of files ----------------------------------------------------------
@pytest.mark.parametrize('name', KINDS)
def test_kinds_of_files(name, tmp_path):
    """Every kind of file gives the right picture, from every source."""
    kind = KINDS[name]
    path = tmp_path / f'x{kind.ending}'
    path.write_bytes(kind.data)
    found = read_image(path)
    assert found.dtype == np.uint8 and found.shape == kind.expected.shape
    difference = np.abs(found.astype(int) - kind.expected).max()
    assert difference <= kind.tolerance + (kind.tolerance == 0) * (
        'alpha' in name or 'A' in name
    )
    np.testing.assert_array_equal(
        LoadFERImage()(dict(img_path=str(path)))['img'], found
    )
    grey = read_image(path, 'grayscale')
    np.testing.assert_array_equal(
        LoadFERImage('grayscale')(dict(img_path=str(path)))['img'], grey
    )
    np.testing.assert_allclose(
        grey.astype(int), cv2.cvtColor(found, cv2.COLOR_BGR2GRAY), atol=2
    )


@pytest.mark.parametrize(
    'name',
    [
        'PNG 1',
        'PNG L',
        'PNG P',
        'PNG RGB',
        'PNG RGBA opaque',
        'PNG 16',
        'PNG RGB 16',
        'PNG EXIF 6',
        'JPEG L',
        'JPEG RGB',
        'JPEG progressive',
        'JPEG restart',
        'JPEG CMYK',
        'JPEG EXIF 7',
        'BMP',
        'PPM',
        'PGM',
        'TIFF LZW',
    ],
)
@pytest.mark.parametrize(
    'color_type, flag',
    [('color', cv2.IMREAD_COLOR), ('grayscale', cv2.IMREAD_GRAYSCALE)],
)
def test_ordinary_files_are_what_opencv_makes_of_them(name, color_type, flag):
    """Published results were measured with these pixels."""
    data = KINDS[name].data
    np.testing.assert_array_equal(
        read_image(data, color_type), cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    )


@pytest.mark.parametrize('name', ['WebP alpha', 'GIF', 'BMP'])
def test_opencv_may_lack_a_format(name, monkeypatch):
    """Builds of OpenCV differ; Pillow reads what OpenCV cannot."""
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: None)
    kind = KINDS[name]
    np.testing.assert_allclose(read_image(kind.data).astype(int), kind.expected, atol=1)


@pytest.mark.skipif(not cv2.haveImageWriter('x.avif'), reason='needs AVIF')
def test_pillow_may_lack_a_format(monkeypatch):
    if 'AVIF' not in KINDS:
        pytest.skip('needs a file')
    monkeypatch.setattr(decoder, '_pillow_formats', lambda: ('BMP',))
    kind = KINDS['AVIF']
    np.testing.assert_allclose(
        read_image(kind.data).astype(int), kind.expected, atol=kind.tolerance
    )


def test_a_format_that_nobody_reads_is_named(tmp_path):
    path = tmp_path / 'phone.heic'
    path.write_bytes(b'\0\0\0\x18ftypheic' + bytes(100))
    with pytest.raises(
        UnreadableImageError, match='phone.heic.*HEIC.*OpenCV.*Pillow.*Convert'
    ):
        read_image(path)


def test_no_program_is_started_for_postscript():
    """Pillow would call Ghostscript."""
    data = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n'
    with pytest.raises(UnreadableImageError, match='not a readable image'):
        read_image(data)


def test_floats_out_of_range_name_the_file(tmp_path):
    path = tmp_path / 'x.tif'
    Image.fromarray(np.full((4, 4), 300, np.float32)).save(path)
    with pytest.raises(UnreadableImageError, match=r'x\.tif.*\[0, 1\]'):
        read_image(path)


# -- open files --------------------------------------------------------------
def test_open_files(tmp_path):
    data, picture = KINDS['PNG RGB'].data, KINDS['PNG RGB'].expected
    path = tmp_path / 'a.png'
    path.write_bytes(data)
    written = io.BytesIO()
    written.write(data)  # Stands at its end.
    spooled = tempfile.SpooledTemporaryFile()
    spooled.write(data)
    with open(path, 'rb') as file, spooled:
        for source in (io.BytesIO(data), written, file, spooled):
            np.testing.assert_array_equal(read_image(source), picture)
            # It is read again, as when results are drawn on it.
            np.testing.assert_array_equal(read_image(source), picture)

    class Stream:
        """Stream like a server's answer: it comes in parts, without rewind."""

        def __init__(self):
            self.file = io.BytesIO(data)

        def read(self, size=-1):
            return self.file.read(min(size, 100))

    np.testing.assert_array_equal(read_image(Stream()), picture)
    for encoding in ('latin-1', 'utf-8'):
        with open(path, encoding=encoding) as file:
            with pytest.raises(TypeError, match="'rb'"):
                read_image(file)
    path.write_bytes(b'no image')
    with open(path, 'rb') as file:
        with pytest.raises(UnreadableImageError, match=r'a\.png'):
            read_image(file)


@pytest.mark.parametrize('form', ['JPEG', 'PNG'])
def test_small_files_that_claim_large_images(picture, form):
    """Their decoders would write 600 MB of grey before they notice."""
    data = bytearray(encoded(picture, form))
    if form == 'PNG':
        data[16:24] = struct.pack('>II', 14_000, 14_000)
    else:
        frame = data.index(b'\xff\xc0')
        data[frame + 5 : frame + 9] = struct.pack('>HH', 14_000, 14_000)
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match="'x.img' is a damaged"):
        decode_image(bytes(data), 'x.img')
    assert time.process_time() - start < 0.5


def test_plain_images_are_not_too_short():
    """Nothing compresses better than one colour."""
    plain = Image.new('L', (3000, 3000))
    for form, options in (
        ('PNG', dict(compress_level=9)),
        ('JPEG', dict(quality=1, optimize=True)),
        ('JPEG', dict(quality=1, progressive=True)),
    ):
        buffer = io.BytesIO()
        plain.save(buffer, form, **options)
        assert decode_image(buffer.getvalue(), 'x').shape == (3000, 3000, 3)


def test_erased_parts_take_no_time(picture):
    """The search for markers once took minutes in a run of FF, as flash memory has."""
    data = encoded(picture, 'JPEG')
    start = data.index(b'\xff\xda')
    for place in (2, start, start + 20, len(data) - 2):
        begin = time.process_time()
        try:
            decode_image(data[:place] + b'\xff' * 300_000 + data[place:], 'x')
        except UnreadableImageError:
            pass
        assert time.process_time() - begin < 1
    with pytest.raises(UnreadableImageError):
        decode_image(data[:start] + b'\xff' * 300_000, 'x')


def test_fill_bytes_are_no_damage(picture):
    """Any number of FF may stand before a marker."""
    buffer = io.BytesIO()
    image = Image.fromarray(picture[..., ::-1])
    image.save(buffer, 'JPEG', restart_marker_blocks=1)
    data = buffer.getvalue()
    filled = data.replace(b'\xff\xd1', b'\xff\xff\xd1').replace(
        b'\xff\xd9', b'\xff\xff\xff\xd9'
    )
    assert len(filled) > len(data)
    assert (decode_image(filled, 'x') == decode_image(data, 'x')).all()


@pytest.mark.parametrize('kind', [b'IDAT', b'IHDR', b'IEND'])
def test_part_of_a_png_that_claims_gigabytes(picture, kind):
    data = bytearray(encoded(picture, 'PNG'))
    place = data.index(kind) - 4
    data[place : place + 4] = b'\xff\0\0\xc8'
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match="'x' is a damaged PNG: its part"):
        decode_image(bytes(data), 'x')
    assert time.process_time() - start < 0.5
