"""Images of every kind become the same pixels."""

import io
import multiprocessing
import struct
import tempfile
import zlib

import cv2
import numpy as np
import pytest
from made_images import KINDS, saved
from PIL import Image

from mmfer.datasets import ImageFolders, ImageList, LoadFERImage, images
from mmfer.datasets.images import (
    IMAGE_EXTENSIONS,
    UnreadableImageError,
    find_images,
    read_image,
)
from mmfer.datasets.jpeg_damage import find_damage, read_structure


@pytest.fixture
def picture():
    """BGR, smooth, so that JPEG changes little."""
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
        buffer, format='JPEG', quality=98
    )
    data = buffer.getvalue()
    for source in (data, Image.open(io.BytesIO(data))):
        image = read_image(source)
        assert np.abs(image.astype(int) - picture).mean() < 6


def huge_png():
    """A head that promises 40,000 x 40,000 pixels."""

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
        (np.full((4, 4), 200.0), ValueError, 'divide by 255'),
        (np.full((4, 4), np.nan), ValueError, r'in \[0, 1\]'),
        (np.zeros((4, 4), np.int64), ValueError, 'got int64'),
    ],
)
def test_refusals(source, error, word):
    with pytest.raises(error, match=word):
        read_image(source)


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
    broken = Image.open(io.BytesIO(data[: len(data) // 2]))
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


# -- kinds of files ----------------------------------------------------------
@pytest.mark.parametrize('name', KINDS)
def test_kinds_of_files(name, tmp_path):
    """What the file shows is seen, everywhere the same."""
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
    """Results were measured with these pixels."""
    data = KINDS[name].data
    np.testing.assert_array_equal(
        read_image(data, color_type), cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    )


@pytest.mark.parametrize('name', ['WebP alpha', 'GIF', 'BMP'])
def test_opencv_may_lack_a_format(name, monkeypatch):
    """Builds differ; what OpenCV cannot read, Pillow reads."""
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: None)
    kind = KINDS[name]
    np.testing.assert_allclose(read_image(kind.data).astype(int), kind.expected, atol=1)


@pytest.mark.skipif(not cv2.haveImageWriter('x.avif'), reason='needs AVIF')
def test_pillow_may_lack_a_format(monkeypatch):
    if 'AVIF' not in KINDS:
        pytest.skip('needs a file')
    monkeypatch.setattr(images, '_pillow_formats', lambda: ('BMP',))
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
            # Again, as when results are drawn on it.
            np.testing.assert_array_equal(read_image(source), picture)

    class Stream:
        """Like the answer of a server: in pieces, cannot be rewound."""

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


# -- damage inside -----------------------------------------------------------
JPEGS = {
    'baseline': {},
    'fine': dict(quality=97, subsampling=0),
    'optimised': dict(optimize=True),
    'progressive': dict(progressive=True),
    'restart': dict(restart_marker_rows=1),
    'many restarts': dict(restart_marker_blocks=3),
}


@pytest.fixture(scope='module')
def busy():
    """A picture of 160 x 128 pixels that has detail everywhere."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (16, 20, 3), np.uint8)
    smooth = cv2.resize(coarse, (160, 128), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 12, smooth.shape)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def scan_of(data):
    """Where the compressed data of a JPEG begins and ends."""
    start = data.index(b'\xff\xda')
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], 'big'), len(data) - 2


def with_hole(data, share, kind):
    """A JPEG whose both ends are whole."""
    start, end = scan_of(data)
    middle = int(start + share * (end - start))
    size = (end - start) // 6
    rest = data[middle + size :] if middle + size < end else data[end:]
    return {
        'zeros': data[:middle] + bytes(size) + rest,
        'ones': data[:middle] + b'\xff' * size + rest,
        'lost': data[:middle] + rest,
        'cut': data[:middle] + b'\xff\xd9',
    }[kind]


@pytest.mark.parametrize('options', JPEGS)
@pytest.mark.parametrize('kind', ['zeros', 'ones', 'lost', 'cut'])
def test_holes_in_jpeg_files_are_found(busy, options, kind):
    data = saved(busy, 'JPEG', **JPEGS[options])
    read_image(data)
    for share in (0.05, 0.3, 0.5, 0.75):
        damaged = with_hole(data, share, kind)
        assert damaged[-2:] == b'\xff\xd9'
        with pytest.raises(UnreadableImageError, match='JPEG'):
            read_image(damaged)


@pytest.mark.parametrize('options', JPEGS)
@pytest.mark.parametrize('content', ['busy', 'flat', 'half', 'tiny', 'row'])
def test_intact_jpeg_files_are_not_refused(busy, options, content):
    pixels = np.asarray(busy).copy()
    if content == 'flat':
        pixels[:] = 128  # What decoders put into holes.
    elif content == 'half':
        pixels[40:] = 128
    pixels = {'tiny': pixels[:1, :1], 'row': pixels[:3]}.get(content, pixels)
    for mode in ('RGB', 'L', 'CMYK'):
        for quality in (10, 100):
            data = saved(
                Image.fromarray(pixels).convert(mode),
                'JPEG',
                **dict(dict(quality=quality), **JPEGS[options]),
            )
            end = data[-2:]
            for file in (
                data,
                data[:-2] + bytes(100) + end,  # Some cameras pad,
                data[:-2] + b'\x12\x34' + end,  # or leave some bytes.
                data + bytes(3000),
                data + data[: -len(data) // 3],
            ):  # As a film behind it.
                assert find_damage(read_structure(file)) is None


def test_structure_around_the_image_does_not_matter(busy):
    exif = Image.Exif()
    exif[0x010E] = 'with a marker \xff\xd9 inside'
    data = saved(
        busy,
        'JPEG',
        exif=exif,
        icc_profile=bytes(range(256)) * 300,
        comment=b'\xff\xda\xff\xd9',
    )
    assert find_damage(read_structure(data)) is None
    # Fill bytes before markers are legal.
    start = data.index(b'\xff\xda')
    filled = data[:start] + b'\xff\xff' + data[start:-2] + b'\xff\xff\xd9'
    assert find_damage(read_structure(filled)) is None
    # Further tables may stand between scans, those of arithmetic codes, too.
    several = saved(busy, 'JPEG', progressive=True)
    second = several.index(b'\xff\xda', several.index(b'\xff\xda') + 2)
    between = several[:second] + b'\xff\xcc\0\4\0\x10' + several[second:]
    assert find_damage(read_structure(between)) is None
    assert find_damage(read_structure(data[:-900] + bytes(400) + data[-500:]))


def test_one_scan_for_each_component(busy):
    """As some scanners write them: not progressive, but several scans."""
    planes = [saved(plane, 'JPEG') for plane in busy.convert('YCbCr').split()]
    parts = [data[slice(*scan_of(data))] for data in planes]
    head = planes[0][: planes[0].index(b'\xff\xda')]
    frame = head.index(b'\xff\xc0')
    # Three components of one block each, all with the same tables.
    head = (
        head[:frame]
        + b'\xff\xc0\0\x11'
        + head[frame + 4 : frame + 9]
        + b'\3'
        + b''.join(bytes([i, 0x11, 0]) for i in (1, 2, 3))
        + head[frame + 13 :]
    )

    def joined(parts):
        return (
            head
            + b''.join(
                b'\xff\xda\0\x08\1' + bytes([i + 1, 0, 0, 63, 0]) + part
                for i, part in enumerate(parts)
            )
            + b'\xff\xd9'
        )

    expected = np.asarray(busy)[..., ::-1].astype(int)
    assert np.abs(read_image(joined(parts)) - expected).mean() < 8
    for i in range(3):
        damaged = list(parts)
        damaged[i] = parts[i][: len(parts[i]) // 2]
        assert find_damage(read_structure(joined(damaged)))


def test_check_without_a_pillow_that_decodes_while_it_reads(busy, monkeypatch):
    """The slower way finds the same."""
    monkeypatch.setattr('mmfer.datasets.jpeg_damage._pillow_streams', lambda: False)
    for name in ('baseline', 'many restarts'):
        data = saved(busy, 'JPEG', **JPEGS[name])
        assert find_damage(read_structure(data)) is None
        for kind in ('zeros', 'cut'):
            assert find_damage(read_structure(with_hole(data, 0.4, kind)))


def test_damage_is_found_again(busy, monkeypatch):
    """Only intact files are remembered, by their contents."""
    calls = []

    def counted(jpeg):
        calls.append(jpeg)
        return find_damage(jpeg)

    monkeypatch.setattr(images, 'find_damage', counted)
    data = saved(busy, 'JPEG', quality=83)
    for _ in range(3):
        read_image(data)
    assert len(calls) == 1
    damaged = with_hole(data, 0.5, 'zeros')
    for _ in range(2):
        with pytest.raises(UnreadableImageError, match='damaged JPEG'):
            read_image(damaged)
    assert len(calls) == 3


@pytest.mark.skipif(
    'fork' not in multiprocessing.get_all_start_methods(), reason='needs fork'
)
def test_what_a_worker_checked_is_known_to_the_others(busy):
    data = saved(busy, 'JPEG', quality=84)
    assert data not in images._intact
    worker = multiprocessing.get_context('fork').Process(
        target=read_image, args=(data,)
    )
    worker.start()
    worker.join()
    assert data in images._intact


def test_damaged_png_files_are_refused(busy):
    data = saved(busy, 'PNG')
    transparent = saved(busy.convert('RGBA'), 'PNG')
    for file in (data, transparent):
        start = file.index(b'IDAT') + 4
        for position in (start + 10, len(file) // 2, len(file) - 17):
            damaged = bytearray(file)
            damaged[position] ^= 4
            with pytest.raises(UnreadableImageError, match='PNG'):
                read_image(bytes(damaged))


@pytest.mark.parametrize(
    'name',
    [
        'WebP lossy',
        'WebP alpha',
        'GIF',
        'BMP',
        'TIFF LZW',
        'TIFF RGB 16',
        'PPM',
        'TGA alpha',
        *(n for n in ('AVIF', 'JPEG 2000') if n in KINDS),
    ],
)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_truncated_files_of_other_kinds(name):
    data = KINDS[name].data
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(UnreadableImageError):
            read_image(data[: int(share * len(data))])


def test_training_refuses_and_skips_damaged_files(busy, tmp_path):
    data = saved(busy, 'JPEG')
    for i in range(4):
        (tmp_path / f'{i}.jpg').write_bytes(data)
    (tmp_path / '2.jpg').write_bytes(with_hole(data, 0.5, 'zeros'))
    (tmp_path / 'list.txt').write_text(''.join(f'{i}.jpg {i % 2}\n' for i in range(4)))
    args = dict(
        ann_file='list.txt',
        data_root=str(tmp_path),
        num_classes=2,
        pipeline=[dict(type='LoadFERImage'), dict(type='PackFERInputs')],
    )
    with pytest.raises(
        UnreadableImageError, match=r'2\.jpg.*damaged JPEG.*on_bad_image=skip'
    ):
        ImageList(**args)[2]
    with pytest.raises(UnreadableImageError, match=r'2\.jpg'):
        ImageList(cache_images=True, **args)
    kept = ImageList(on_bad_image='skip', **args)
    assert kept.sample_ids.tolist() == [0, 1, 3]
    assert '2.jpg' in kept.skipped[0]


# -- endings -----------------------------------------------------------------
def test_there_is_one_list_of_endings():
    """Every ending is that of a format that the decoder may open."""
    assert ImageFolders.__init__.__defaults__[-1] is IMAGE_EXTENSIONS
    Image.init()
    known = Image.registered_extensions()
    aliases = {'.pjpeg': 'JPEG', '.pjp': 'JPEG', '.mpo': 'JPEG'}
    for ending in IMAGE_EXTENSIONS:
        if ending != '.avif' or ending in known:
            assert aliases.get(ending, known.get(ending)) in images._PILLOW_FORMATS, (
                ending
            )
    for kind in KINDS.values():
        assert kind.ending.lower() in IMAGE_EXTENSIONS


def test_images_of_a_folder_and_what_is_left_out(tmp_path):
    names = [
        'b.GIF',
        'a.jfif',
        'c/d.avif',
        'c/notes.txt',
        'e.heic',
        'Thumbs.db',
        'c/desktop.ini',
        '.DS_Store',
        '._a.jfif',
        '__MACOSX/a.png',
        '.git/x.png',
        'noending',
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    found, others = find_images(str(tmp_path))
    assert found == [str(tmp_path / name) for name in ('a.jfif', 'b.GIF', 'c/d.avif')]
    assert others == [
        str(tmp_path / name) for name in ('c/notes.txt', 'e.heic', 'noending')
    ]
