"""One pass over images: cache, broken files, killed passes."""

import os
import signal
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest
from helpers import environment

from mmfer.datasets import SyntheticFaces
from mmfer.datasets.images import read_image
from mmfer.scan import extract, feature_files, find_encoder


class Means:
    """Extractor of mean colours that counts its images."""

    name, version = 'means', '1'
    outputs = dict(means=((3,), 'float32'), first=((), 'uint8'))

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return dict(
            means=np.array([image.mean(axis=(0, 1)) for image in images]),
            first=np.array([image[0, 0, 0] for image in images]),
        )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'cache'))
    rng = np.random.default_rng(0)
    parent = tmp_path / 'Gesichter für Ünn'
    parent.mkdir()
    paths = []
    for i in range(150):
        size = rng.integers(10, 90, size=2)
        path = parent / f'Bild {i} ä.{("png", "jpg", "bmp")[i % 3]}'
        image = rng.integers(255, size=(*size, 3), dtype=np.uint8)
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        paths.append(str(path))
    return paths


def expected(paths, broken=()):
    rows = [
        np.zeros(3) if i in broken else read_image(path).mean(axis=(0, 1))
        for i, path in enumerate(paths)
    ]
    return np.array(rows, np.float32)


def test_second_call_reads_nothing(folder):
    first, second = Means(), Means()
    one = extract(folder, [first])
    two = extract(folder, [second])
    np.testing.assert_allclose(one.arrays['means'], expected(folder), rtol=1e-6)
    np.testing.assert_array_equal(one.arrays['means'], two.arrays['means'])
    assert (first.seen, second.seen) == (150, 0)
    assert (one.cached, two.cached) == (False, True)
    assert one.valid.all() and one.arrays['first'].shape == (150,)


def test_contents_decide(folder, tmp_path):
    extract(folder, [Means()])
    moved = [path.replace('Bild', 'Photo') for path in folder]
    for old, new in zip(folder, moved):
        os.rename(old, new)
    assert extract(moved, [Means()]).cached
    assert not extract(moved[::-1], [Means()]).cached
    newer = Means()
    newer.version = '2'
    assert not extract(moved, [newer]).cached
    with open(moved[3], 'ab') as file:
        file.write(b'\0')
    assert not extract(moved, [Means()]).cached


def test_broken_files_stop_nothing(folder):
    open(folder[0], 'wb').close()
    os.remove(folder[64])
    data = open(folder[99], 'rb').read()
    open(folder[99], 'wb').write(data[: len(data) // 2])
    os.remove(folder[149])
    os.mkdir(folder[149])
    for _ in range(2):
        found = extract(folder, [Means()])
        assert sorted(found.errors) == [0, 64, 99, 149]
        assert all(folder[row] in text for row, text in found.errors.items())
        np.testing.assert_allclose(
            found.arrays['means'], expected(folder, found.errors), rtol=1e-6
        )
        assert np.flatnonzero(~found.valid).tolist() == [0, 64, 99, 149]


def test_damaged_entry_is_computed_again(folder, tmp_path):
    extract(folder, [Means()])
    (path,) = (tmp_path / 'cache/features').glob('*/means.bin')
    data = bytearray(path.read_bytes())
    data[77] ^= 4
    path.write_bytes(data)
    again = extract(folder, [Means()])
    assert not again.cached
    np.testing.assert_allclose(again.arrays['means'], expected(folder), rtol=1e-6)


@pytest.mark.parametrize('setting', ['off', 'file', 'argument'])
def test_without_cache(folder, tmp_path, monkeypatch, setting):
    if setting == 'off':
        monkeypatch.setenv('MMFER_CACHE_GB', '0')
    elif setting == 'file':
        (tmp_path / 'cache').write_text('in the way')
    found = extract(folder, [Means()], cache=setting != 'argument')
    np.testing.assert_allclose(found.arrays['means'], expected(folder), rtol=1e-6)
    assert not (tmp_path / 'cache/features').exists()


def test_killed_pass_goes_on(folder, tmp_path):
    """Killed in the middle of a batch, also in the middle of a write."""
    os.remove(folder[2])
    program = textwrap.dedent("""
        import os, signal, sys
        here = os.path.dirname(sys.argv[1])
        sys.path[:0] = [here, os.path.dirname(here)]
        from test_features import Means
        from mmfer.scan import extract, feature_files
        feature_files.BATCH_IMAGES = 16
        def stop(done, total):
            if done >= 64:
                os.kill(os.getpid(), signal.SIGKILL)
        extract(sys.argv[2:], [Means()], progress=stop)
    """)
    run = subprocess.run(
        [sys.executable, '-c', program, __file__, *folder],
        env=environment(MMFER_CACHE_DIR=str(tmp_path / 'cache')),
    )
    assert run.returncode == -signal.SIGKILL
    (path,) = (tmp_path / 'cache/features').glob('*.partial/means.bin')
    with open(path, 'ab') as file:
        file.write(b'12345')
    counter, calls = Means(), []
    found = extract(folder, [counter], progress=lambda *done: calls.append(done))
    assert counter.seen == 150 - 64
    assert calls[0] == (64, 150) and calls[-1] == (150, 150)
    np.testing.assert_allclose(found.arrays['means'], expected(folder, [2]), rtol=1e-6)
    assert list(found.errors) == [2]


def test_data_set_in_memory(monkeypatch, tmp_path):
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path))
    dataset = SyntheticFaces(num_samples=20, size=32)
    found = extract(dataset, [Means()])
    image = dataset.get_data_info(7)['img']
    np.testing.assert_allclose(
        found.arrays['means'][7], read_image(image).mean(axis=(0, 1)), rtol=1e-6
    )
    assert extract(dataset, [Means()]).cached


def test_outputs_must_differ(folder):
    with pytest.raises(ValueError, match="output 'means' of the extractor 'means'"):
        extract(folder, [Means(), Means()])
    with pytest.raises(ValueError, match='faces: there is no image'):
        extract([], [Means()], name='faces')


def test_batches_end_by_bytes(folder, monkeypatch):
    """Large images do not add up in memory."""
    sizes = []

    class Watching(Means):
        def __call__(self, images):
            sizes.append(sum(image.nbytes for image in images))
            return super().__call__(images)

    monkeypatch.setattr(feature_files, 'BATCH_BYTES', 30_000)
    extract(folder, [Watching()], cache=False)
    assert max(sizes) < 30_000 + 90 * 90 * 3


def test_hog_against_a_loop():
    encoder = find_encoder('hog')
    rng = np.random.default_rng(0)
    images = [
        rng.integers(255, size=(64, 64, 3), dtype=np.uint8),
        np.zeros((5, 9, 3), np.uint8),
    ]
    found = encoder(images)
    assert {k: v.shape[1:] for k, v in found.items()} == {
        k: shape for k, (shape, _) in encoder.outputs.items()
    }
    grey = cv2.cvtColor(images[0], cv2.COLOR_BGR2GRAY).astype(float)
    padded = np.pad(grey, 1, mode='edge')
    cells = np.zeros((8, 8, 9))
    for y in range(64):
        for x in range(64):
            dx = padded[y + 1, x + 2] - padded[y + 1, x]
            dy = padded[y + 2, x + 1] - padded[y, x + 1]
            angle = np.arctan2(dy, dx) % np.pi / np.pi * 9 - 0.5
            low = int(np.floor(angle))
            share = angle - low
            size = np.hypot(dx, dy) / 64
            cells[y // 8, x // 8, low % 9] += size * (1 - share)
            cells[y // 8, x // 8, (low + 1) % 9] += size * share
    block = cells[2:4, 3:5].transpose(2, 0, 1).ravel()
    block = np.minimum(block / np.linalg.norm(block), 0.2)
    block /= np.linalg.norm(block)
    ours = found['hog'][0].reshape(49, 36)[2 * 7 + 3]
    np.testing.assert_allclose(ours, block, atol=1e-4)
    assert not np.isnan(found['hog']).any() and not found['hog'][1].any()
