"""Damage inside JPEG files, and in files of other kinds, is found."""

import multiprocessing

import cv2
import numpy as np
import pytest
from made_images import KINDS, saved
from PIL import Image

from mmfer.datasets import ImageList
from mmfer.datasets.images import UnreadableImageError, decoder, read_image
from mmfer.datasets.images.jpeg_damage import find_damage
from mmfer.datasets.images.jpeg_structure import read_structure

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
    """Picture of 160 x 128 pixels that has detail everywhere."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (16, 20, 3), np.uint8)
    smooth = cv2.resize(coarse, (160, 128), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 12, smooth.shape)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def scan_of(data):
    """Return start and end of the compressed data of a JPEG."""
    start = data.index(b'\xff\xda')
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], 'big'), len(data) - 2


def with_hole(data, share, kind):
    """Damage a JPEG in the middle; both its ends stay intact."""
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
    # Tables may be between scans, also those of arithmetic codes.
    several = saved(busy, 'JPEG', progressive=True)
    second = several.index(b'\xff\xda', several.index(b'\xff\xda') + 2)
    between = several[:second] + b'\xff\xcc\0\4\0\x10' + several[second:]
    assert find_damage(read_structure(between)) is None
    assert find_damage(read_structure(data[:-900] + bytes(400) + data[-500:]))


def test_one_scan_for_each_component(busy):
    """Some scanners write several scans that are not progressive."""
    planes = [saved(plane, 'JPEG') for plane in busy.convert('YCbCr').split()]
    parts = [data[slice(*scan_of(data))] for data in planes]
    head = planes[0][: planes[0].index(b'\xff\xda')]
    frame = head.index(b'\xff\xc0')
    # There are three components of one block each, with the same tables.
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
    """The slower check finds the same damage."""
    monkeypatch.setattr(
        'mmfer.datasets.images.jpeg_damage._pillow_streams', lambda: False
    )
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

    monkeypatch.setattr(decoder, 'find_damage', counted)
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
    assert data not in decoder._intact
    worker = multiprocessing.get_context('fork').Process(
        target=read_image, args=(data,)
    )
    worker.start()
    worker.join()
    assert data in decoder._intact


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
        ImageList(**args).prepare_images()
    kept = ImageList(on_bad_image='skip', **args)
    assert kept.sample_ids.tolist() == [0, 1, 3]
    assert '2.jpg' in kept.skipped[0]
