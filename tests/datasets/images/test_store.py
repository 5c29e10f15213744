"""A store gives the pixels of the files, or says why it cannot."""

import copy
import errno
import functools
import json
import logging
import multiprocessing
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import environment

from mmfer.datasets.images import UnreadableImageError, store_building, store_files
from mmfer.datasets.images import store as store_module
from mmfer.datasets.images.store import ImageStore, open_store
from mmfer.utils.cache import Cache

FORK = multiprocessing.get_context('fork')
SHAPE = (6, 5, 3)


def pixels_of(seed, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, image):
    with open(path, 'wb') as file:
        pickle.dump(image, file)


def load(path):
    """Unlike numpy.load, this works in threads before CPython 3.11.8 (gh-106905)."""
    with open(path, 'rb') as file:
        return pickle.load(file)


class Files:
    """Image files that hold pickled arrays, and a decoder that counts its calls."""

    def __init__(self, folder):
        self.folder = folder
        self.paths = []
        self.images = []
        # Shared with forked processes.
        self.calls = FORK.Value('i', 0)

    def __reduce__(self):
        """Copies read as well, and count for themselves."""
        return Files, (self.folder,)

    def add(self, image):
        path = str(self.folder / f'{len(self.paths):04d}.pkl')
        save(path, image)
        self.paths.append(path)
        self.images.append(image)

    def read(self, path):
        with self.calls.get_lock():
            self.calls.value += 1
        return load(path)

    def open(self, recipe='recipe', read=None):
        return open_store(self.paths, read or self.read, recipe, 'Faces')

    def check(self, store):
        """Compare each image with its file."""
        assert len(store) == len(self.images)
        for row, image in enumerate(self.images):
            got = store.image(row)
            assert got.dtype == np.uint8 and got.shape == image.shape
            assert np.array_equal(got, image)


def decoded(files, action):
    """How many images ``action`` decodes, without those for the estimate."""
    before = files.calls.value
    action()
    return files.calls.value - before - SAMPLES


SAMPLES = store_building._SAMPLES


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'cache'))
    monkeypatch.delenv('MMFER_CACHE_GB', raising=False)
    monkeypatch.setattr(store_building, '_CHUNK_IMAGES', 10)
    return tmp_path / 'cache' / 'images'


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'data').mkdir()
    files = Files(tmp_path / 'data')
    for seed in range(40):
        files.add(pixels_of(seed))
    return files


@pytest.fixture
def warnings(monkeypatch):
    """Warnings that the store logs; other messages are in ``warnings.info``."""

    class Texts(list):
        info = []
        debug = []

    texts = Texts()
    Texts.info, Texts.debug = [], []

    def print_log(text, logger, level=logging.INFO):
        assert logger == 'current'
        if level == logging.WARNING:
            texts.append(text)
        else:
            (texts.debug if level == logging.DEBUG else texts.info).append(text)

    for module in (store_module, store_building):
        monkeypatch.setattr(module, 'print_log', print_log)
    return texts


def entry(folder):
    """Path of the only entry."""
    (path,) = (path for path in folder.iterdir() if path.is_dir())
    return path


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


# -- pixels ------------------------------------------------------------------
def test_images_of_one_size(files, warnings):
    store = files.open()
    assert store.shape == SHAPE and store.nbytes == 40 * 90
    files.check(store)
    rows = np.array([3, 0, 39, 3, -1])
    got = store.read(rows)
    assert got.dtype == np.uint8 and np.array_equal(got, np.array(files.images)[rows])
    # New arrays: what the caller does with them stays with the caller.
    got[:] = 0
    store.image(3)[:] = 0
    files.check(store)
    assert np.array_equal(store.image(-1), files.images[-1])
    assert store.read(np.array([], int)).shape == (0, *SHAPE)
    assert not warnings
    for row in (40, -41):
        with pytest.raises(IndexError):
            store.read(np.array([0, row]))
        with pytest.raises(IndexError):
            store.image(row)
    with pytest.raises(ValueError, match='read-only'):
        store._pixels[0] = 1


@pytest.mark.parametrize(
    'shapes, common',
    [
        ([(7, 5)], (7, 5, 1)),
        ([(7, 5, 1)], (7, 5, 1)),
        ([(7, 5), (7, 5, 1)], None),
        ([(7, 5), (7, 5, 3)], None),
        ([(4, 9, 3), (9, 4, 3), (1, 1, 4), (50, 1)], None),
    ],
)
def test_grey_and_ragged_images(tmp_path, shapes, common):
    files = Files(tmp_path)
    for seed in range(23):
        files.add(pixels_of(seed, shapes[seed % len(shapes)]))
    for _ in range(2):
        store = files.open()
        assert store.shape == common
        files.check(store)
        files.check(pickle.loads(pickle.dumps(store)))
    if common is None:
        with pytest.raises(ValueError, match=r'Faces: .*different sizes.*image\(row\)'):
            store.read(np.array([0]))
    else:
        rows = np.array([2, 2, 22])
        expected = np.stack(files.images)[rows].reshape(3, *common)
        assert np.array_equal(store.read(rows), expected)


@pytest.mark.parametrize('shape', [(5, 4, 3), (5, 4, 3, 3), (5, 4, 3, 1)])
def test_images_in_memory(shape, folder):
    images = pixels_of(0, shape)
    first = ImageStore.from_array(images)
    for store in (
        first,
        pickle.loads(pickle.dumps(first)),
        copy.deepcopy(first),
        ImageStore.from_array(np.asfortranarray(images)),
    ):
        assert len(store) == 5 and store.shape == (*shape[1:], 1)[:3]
        for row in range(5):
            assert np.array_equal(store.image(row), images[row])
        got = store.read([4, 1])
        assert np.array_equal(got, images[[4, 1]].reshape(2, *store.shape))
        got[:] = 0
        assert np.array_equal(store.image(4), images[4])
    assert not folder.exists()
    for wrong in (images.astype(float), images[0, 0], images[:0]):
        with pytest.raises(TypeError, match=r'must be uint8 of shape \(N, H, W\)'):
            ImageStore.from_array(wrong)


@pytest.mark.parametrize(
    'image, message',
    [
        (np.zeros((3, 3), np.float32), 'uint8 images, got float32'),
        (None, 'uint8 images, got NoneType'),
        (np.zeros(3, np.uint8), r'has the shape \(H, W\) or .* got \(3,\)'),
        (np.zeros((0, 3), np.uint8), r'got \(0, 3\)'),
    ],
)
def test_what_is_no_image_is_refused(files, folder, image, message):
    with pytest.raises(TypeError, match=f'0000.pkl.*{message}'):
        files.open(read=lambda path: image)
    assert list(folder.iterdir()) == []


def test_views_of_larger_images(files):
    """A crop is not contiguous."""
    store = files.open(read=lambda path: load(path)[1:4, ::-1])
    assert store.shape == (3, 5, 3)
    for row, image in enumerate(files.images):
        assert np.array_equal(store.image(row), image[1:4, ::-1])


# -- what makes another store ------------------------------------------------
def test_a_store_is_built_once(files, warnings):
    assert decoded(files, files.open) == 40
    before = files.calls.value
    files.check(files.open())
    assert files.calls.value == before
    assert len(warnings.info) == 2 and not warnings


def test_other_files_and_recipes(files, folder):
    files.open()
    assert decoded(files, lambda: files.open('another recipe')) == 40
    # The same size, another time.
    status = os.stat(files.paths[7])
    os.utime(files.paths[7], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert decoded(files, files.open) == 40
    # The same time, another size.
    status = os.stat(files.paths[7])
    files.images[7] = pixels_of(100, (6, 6, 3))
    save(files.paths[7], files.images[7])
    os.utime(files.paths[7], ns=(status.st_atime_ns, status.st_mtime_ns))
    store = files.open()
    files.check(store)
    assert store.shape is None
    # Another order.
    files.paths.reverse()
    files.images.reverse()
    files.check(files.open())
    assert len(list(folder.iterdir())) == 5


def test_the_key_has_no_seams():
    """Moving a letter from one path, or from the recipe, to the next changes it."""
    stamps = np.zeros((2, 2), np.int64)
    keys = {
        store_files.store_key(paths, stamps, recipe)
        for paths in (['/a', '/b/c'], ['/a/b', '/c'], ['/a\n', '/b/c'])
        for recipe in ('', '2', '2 ', '/a')
    }
    assert len(keys) == 12
    swapped = np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]])
    assert len({store_files.store_key(['/a', '/b'], s, '') for s in swapped}) == 2


def test_relative_paths(files, monkeypatch, tmp_path):
    """They mean other files in another folder."""
    monkeypatch.chdir(files.folder)
    paths = [os.path.basename(path) for path in files.paths]
    store = open_store(paths, files.read, '', 'Faces')
    other = Files(tmp_path / 'other')
    other.folder.mkdir()
    for row, path in enumerate(files.paths):
        status = os.stat(path)
        other.add(pixels_of(1000 + row))
        os.utime(other.paths[row], ns=(status.st_atime_ns, status.st_mtime_ns))
    monkeypatch.chdir(other.folder)
    other.check(open_store(paths, other.read, '', 'Faces'))
    # A damaged image is read from the first folder, even from here.
    flip(Path(store._lease.folder, 'pixels.bin'), 95)
    files.check(store)


# -- faults of files ---------------------------------------------------------
def test_an_unreadable_image_is_passed_on(files, folder, warnings):
    def read(path):
        if path == files.paths[33]:
            raise UnreadableImageError('33 is bad')
        return files.read(path)

    with pytest.raises(UnreadableImageError, match='^33 is bad$'):
        files.open(read=read)
    assert list(folder.iterdir()) == [] and not warnings
    files.check(files.open())


def test_a_missing_image_gives_the_error_of_the_reader(files, folder):
    os.remove(files.paths[12])
    with pytest.raises(FileNotFoundError) as error:
        files.open()
    assert error.value.filename == files.paths[12]
    assert not folder.exists()


def test_files_that_only_the_reader_can_find(files, warnings):
    """Such as ``s3://...``: their time is unknown."""
    files.paths[3] = 's3://faces/3.pkl'
    assert files.open(read=lambda path: pixels_of(0)) is None
    (text,) = warnings
    assert 'is not a file whose time can be read' in text and 's3:' in text


def test_a_file_that_changes_meanwhile(files, folder, warnings):
    """Its pixels would be stored under the key of the old file."""

    def read(path):
        image = files.read(path)
        if path == files.paths[35]:
            os.utime(path, ns=(1, 1))
        return image

    assert files.open(read=read) is None
    (text,) = warnings
    assert files.paths[35] in text and 'was changed while' in text
    assert list(folder.iterdir()) == []
    files.check(files.open())


# -- faults of the cache -----------------------------------------------------
def test_progress_of_any_process_is_seen(files, warnings, monkeypatch, capsys):
    """Another process than the main one builds: its log is not shown."""
    monkeypatch.setattr(store_building, 'is_main_process', lambda: False)
    files.open()
    assert not warnings.info
    first, last = capsys.readouterr().out.splitlines()
    assert 'decoding' in first and 'decoded' in last


def test_switched_off(files, folder, warnings, monkeypatch):
    files.open()
    monkeypatch.setenv('MMFER_CACHE_GB', '0')
    assert files.open() is None
    assert not warnings and 'MMFER_CACHE_GB=0' in warnings.debug[0]


def test_read_only(files, warnings, monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'file'))
    assert files.open() is None
    (text,) = warnings
    assert text.startswith('Faces: decoded images are not stored, and each image is')
    assert 'cannot be written' in text and 'Set MMFER_CACHE_DIR to a folder' in text
    assert 'a file is in the place of a folder' in text


def test_no_file_locks(files, warnings, monkeypatch):
    def flock(*args):
        raise OSError(errno.EOPNOTSUPP, 'Operation not supported')

    monkeypatch.setattr('fcntl.flock', flock)
    assert files.open() is None
    (text,) = warnings
    assert 'no file locks (Operation not supported)' in text


def test_larger_than_the_budget(files, folder, warnings, monkeypatch):
    """It is known after a few images."""
    monkeypatch.setenv('MMFER_CACHE_GB', '0.000001')
    before = files.calls.value
    assert files.open() is None
    assert files.calls.value - before == SAMPLES
    (text,) = warnings
    assert 'Set MMFER_CACHE_GB to 1 or more' in text
    assert list(folder.iterdir()) == []


def test_larger_than_the_first_images(tmp_path, folder, warnings, monkeypatch):
    """The estimate is wrong if the images between the samples are larger."""
    files = Files(tmp_path)
    for row in range(160):
        files.add(np.zeros((5, 5) if row % 10 == 0 else (50, 50), np.uint8))
    monkeypatch.setenv('MMFER_CACHE_GB', str(100_000 / 2**30))
    assert files.open() is None
    (text,) = warnings
    assert 'MMFER_CACHE_GB' in text
    assert SAMPLES < files.calls.value < 160
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize('name', ['pixels.bin', 'index.bin', 'paths.bin'])
@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(files, folder, warnings, monkeypatch, name, number):
    append = store_building._append

    def full(file, data):
        if file.name.endswith(name) and (file.tell() > 500 or name == 'paths.bin'):
            raise OSError(number, os.strerror(number))
        append(file, data)

    monkeypatch.setattr(store_building, '_append', full)
    assert files.open() is None
    (text,) = warnings
    assert 'is full. Free some space' in text
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(store_building, '_append', append)
    files.check(files.open())


def test_a_device_that_is_really_full(files, folder, warnings, monkeypatch):
    """The buffer of a file reports a full disk late, also when it is closed."""
    opened = store_building.open_private

    def open_private(path, mode):
        return open('/dev/full', mode) if 'pixels' in path else opened(path, mode)

    monkeypatch.setattr(store_building, 'open_private', open_private)
    monkeypatch.setattr(store_building._Writer, 'resume', lambda self: 0)
    assert files.open() is None
    (text,) = warnings
    assert 'is full' in text and list(folder.iterdir()) == []


FAULTS = {
    'truncated pixels': lambda path: os.truncate(path / 'pixels.bin', 3000),
    'longer pixels': lambda path: os.truncate(path / 'pixels.bin', 4000),
    'no pixels': lambda path: os.remove(path / 'pixels.bin'),
    'truncated index': lambda path: os.truncate(path / 'index.bin', 24 * 39),
    'changed index': lambda path: flip(path / 'index.bin', 100),
    'no index': lambda path: os.remove(path / 'index.bin'),
    'truncated paths': lambda path: os.truncate(path / 'paths.bin', 100),
    'no header': lambda path: os.remove(path / 'header.json'),
    'empty header': lambda path: (path / 'header.json').write_text(''),
    'other version': lambda path: change_header(path, format=0),
    'other number': lambda path: change_header(path, images=41),
}


def change_header(path, **values):
    header = json.loads((path / 'header.json').read_text())
    (path / 'header.json').write_text(json.dumps({**header, **values}))


@pytest.mark.parametrize('fault', FAULTS)
def test_an_entry_that_is_not_whole_is_built_again(files, folder, warnings, fault):
    files.open()
    FAULTS[fault](entry(folder))
    assert decoded(files, lambda: files.check(files.open())) == 40
    assert not warnings
    files.open()


def test_another_version_of_mmfer(files, folder, monkeypatch):
    files.open()
    monkeypatch.setattr(store_files, 'FORMAT', 2)
    monkeypatch.setattr(store_building, 'FORMAT', 2)
    assert decoded(files, lambda: files.check(files.open())) == 40
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize('how', ['image', 'read'])
def test_a_flipped_bit(files, folder, warnings, how):
    """The image is read from its file, and the next start builds a new store."""
    files.open()
    for position in (90 * 7, 90 * 8 + 89, 90 * 30 + 44):
        flip(entry(folder) / 'pixels.bin', position)
    store = files.open()
    before = files.calls.value
    for _ in range(2):
        if how == 'image':
            files.check(store)
        else:
            assert np.array_equal(store.read(np.arange(40)), np.array(files.images))
            rows = np.array([7, -33, 9])
            assert np.array_equal(store.read(rows), np.array(files.images)[rows])
    (text,) = warnings
    assert 'Faces: the stored image 7 is damaged' in text and files.paths[7] in text
    assert files.calls.value - before == (6 if how == 'image' else 10)
    assert decoded(files, lambda: files.check(files.open())) == 40
    # The first one still reads its own files.
    files.check(store)
    assert len(warnings) == 1
    assert decoded(files, files.open) == -SAMPLES


def test_a_damaged_image_whose_file_has_changed(files, folder, warnings):
    files.open()
    flip(entry(folder) / 'pixels.bin', 90 * 7)
    store = files.open()
    save(files.paths[7], pixels_of(0, (9, 9, 3)))
    with pytest.raises(ValueError, match='0007.pkl.* has changed since it was stored'):
        store.read(np.array([7]))


def test_checksums_are_compared_once(files, monkeypatch):
    store = files.open()
    compared = []
    crc32_of = store_module.crc32_of
    monkeypatch.setattr(
        store_module, 'crc32_of', lambda data: (compared.append(1), crc32_of(data))[1]
    )
    rows = np.array([5, 5, 6])
    for _ in range(3):
        store.read(rows)
        store.image(5)
    assert len(compared) == 2
    # Forked workers share what is known.
    process = FORK.Process(target=store.read, args=(np.arange(10),))
    process.start()
    process.join()
    assert process.exitcode == 0
    store.read(np.arange(11))
    assert len(compared) == 3


# -- several processes -------------------------------------------------------
def kill_at(files, count):
    """Build in a process that kills itself at the n-th image of the build."""

    def read(path):
        image = files.read(path)
        if files.calls.value == count + SAMPLES:
            os.kill(os.getpid(), signal.SIGKILL)
        return image

    process = FORK.Process(target=files.open, kwargs=dict(read=read))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture
def one_thread(monkeypatch):
    monkeypatch.setattr(store_building, 'number_of_cpus', lambda: 1)


def test_a_killed_build_is_continued(files, folder, warnings, one_thread):
    kill_at(files, 24)
    path = entry(folder)
    assert path.name.endswith('.partial')
    written = (path / 'index.bin').stat().st_size // 24
    assert written == (path / 'pixels.bin').stat().st_size // 90 and 10 <= written <= 20
    assert decoded(files, lambda: files.check(files.open())) == 40 - written
    assert f'{written} are there from an earlier start' in warnings.info[0]
    assert not warnings and not entry(folder).name.endswith('.partial')


@pytest.mark.parametrize(
    'kept, harm',
    [
        (20, lambda path: (path / 'pixels.bin').open('ab').write(bytes(50))),
        (20, lambda path: (path / 'index.bin').open('ab').write(bytes(23))),
        # Records of images that never reached the disk.
        (20, lambda path: (path / 'index.bin').open('ab').write(bytes(24 * 3))),
        (13, lambda path: flip(path / 'pixels.bin', 13 * 90 + 5)),
        (13, lambda path: flip(path / 'index.bin', 13 * 24 + 5)),
        (12, lambda path: os.truncate(path / 'pixels.bin', 13 * 90 - 1)),
        (0, lambda path: os.truncate(path / 'pixels.bin', 0)),
        (0, lambda path: os.remove(path / 'index.bin')),
    ],
)
def test_whole_images_of_a_killed_build_are_kept(
    files, folder, warnings, one_thread, kept, harm
):
    kill_at(files, 30)
    path = entry(folder)
    os.truncate(path / 'index.bin', 20 * 24)
    os.truncate(path / 'pixels.bin', 20 * 90)
    harm(path)
    assert decoded(files, lambda: files.check(files.open())) == 40 - kept
    assert not warnings


def test_a_build_that_was_killed_after_the_last_image(files, folder, monkeypatch):
    def finish(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_building._Writer, 'finish', finish)
        process = FORK.Process(target=files.open)
        process.start()
        process.join()
    assert entry(folder).name.endswith('.partial')
    assert decoded(files, lambda: files.check(files.open())) == -SAMPLES


def test_two_builders_at_once(files, folder):
    """One decodes, and both have the images."""

    def work():
        files.check(files.open())

    processes = [FORK.Process(target=work) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert files.calls.value == 40 + SAMPLES
    assert len(list(folder.iterdir())) == 1


def test_the_builder_is_killed_while_another_waits(files, folder, one_thread):
    """The other one goes on with the rest."""
    stuck, waits = FORK.Event(), FORK.Event()

    def read(path):
        image = files.read(path)
        if files.calls.value == 24 + SAMPLES:
            stuck.set()
            signal.pause()
        return image

    first = FORK.Process(target=files.open, kwargs=dict(read=read))
    first.start()
    assert stuck.wait(30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            'mmfer.utils.cache.locks.print_log',
            lambda text, *_: (waits.set(), os.kill(first.pid, signal.SIGKILL)),
        )
        rest = decoded(files, lambda: files.check(files.open()))
    assert waits.is_set() and 20 <= rest <= 30
    first.join()


def test_it_is_not_evicted_under_a_reader(files, folder, warnings, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE_GB', str(12_000 / 2**30))
    store = files.open('first')
    # A copy in a worker keeps it, too.
    worker = pickle.loads(pickle.dumps(store))
    del store
    assert files.open('second') is None
    (text,) = warnings
    assert 'what running processes use is not evicted' in text
    assert [len(part) for part in Cache().clear()] == [0, 1]
    files.check(worker)
    del worker
    assert files.open('second') is not None
    assert len(list(folder.iterdir())) == 1


def test_copies(files, folder):
    store = files.open()
    for other in (pickle.loads(pickle.dumps(store)), copy.deepcopy(store)):
        assert other.shape == store.shape
        files.check(other)
        assert np.array_equal(other.read([1, 2]), store.read([1, 2]))
    assert len(pickle.dumps(ImageStore.from_lease(store._lease, len, 'x'))) < 500


def test_threads_of_one_process(files):
    stores = []
    threads = [
        threading.Thread(target=lambda: stores.append(files.open())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files.calls.value == 40 + SAMPLES and len(stores) == 4
    for store in stores:
        files.check(store)


def test_only_the_owner_can_read(files, folder):
    mask = os.umask(0)
    try:
        files.open()
    finally:
        os.umask(mask)
    found = list(folder.parent.rglob('*'))
    assert len(found) == 9
    for path in found:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


# -- the rest ----------------------------------------------------------------
def test_no_images():
    with pytest.raises(ValueError, match='Faces: .* at least one image'):
        open_store([], load, '', 'Faces')


def test_progress_in_a_log(files, warnings, monkeypatch):
    monkeypatch.setattr(store_building, '_LOG_SECONDS', 0)
    files.open()
    begin, *lines, end = warnings.info
    assert 'decoding 40 images into the cache' in begin
    assert [line[:44] for line in lines] == [
        f'Faces: {n} of 40 images are decoded, 0:00:00 left'[:44]
        for n in (10, 20, 30, 40)
    ]
    assert 'decoded 40 images in' in end


def test_progress_on_a_terminal(files, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True)
    files.open()
    said = capsys.readouterr().out
    assert '10/40' in said and '40/40' in said and 'ETA' in said


def test_images_that_wait_are_few(tmp_path, monkeypatch):
    """If decoding is faster than writing, it must not fill the memory."""
    files = Files(tmp_path)
    for _ in range(200):
        files.add(np.zeros((1, 1), np.uint8))
    alive, most = [0], [0]
    add = store_building._Writer.add

    class Image(np.ndarray):
        # Views would count, too; there are none of this class.
        def __del__(self):
            alive[0] -= 1

    def read(path):
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        image = Image((100, 100), np.uint8)
        image.fill(3)
        return image

    def slow_add(*args):
        time.sleep(0.002)
        return add(*args)

    monkeypatch.setattr(store_building._Writer, 'add', slow_add)
    monkeypatch.setattr(store_building, 'number_of_cpus', lambda: 2)
    assert len(files.open(read=read)) == 200
    assert 10 < most[0] < 60


@pytest.mark.slow
def test_a_spawned_worker(files, tmp_path):
    # The other process cannot import a decoder of this module.
    for path, image in zip(files.paths, files.images):
        image.tofile(path)
    read = functools.partial(np.memmap, dtype=np.uint8, mode='r', shape=SHAPE)
    store = open_store(files.paths, read, '', 'Faces')
    (tmp_path / 'store.pkl').write_bytes(pickle.dumps(store))
    script = (
        'import pickle, sys; '
        'store = pickle.load(open(sys.argv[1], "rb")); '
        'sys.stdout.buffer.write(store.read(range(40)).tobytes())'
    )
    done = subprocess.run(
        [sys.executable, '-c', script, tmp_path / 'store.pkl'],
        capture_output=True,
        env=environment(),
        check=True,
    )
    assert done.stdout.endswith(np.array(files.images).tobytes())
