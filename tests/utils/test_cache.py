"""Entries of the cache are whole or absent, private, and within a budget."""

import errno
import fcntl
import multiprocessing
import os
import pickle
import stat
import time
from collections import namedtuple
from functools import partial

import numpy as np
import pytest

from mmfer.utils.cache import (
    GIB,
    Cache,
    CacheUnavailableError,
    cache_budget,
    cache_folder,
    entries,
    format_size,
    locks,
)
from mmfer.utils.cache.files import read_json

FORK = multiprocessing.get_context('fork')
Usage = namedtuple('Usage', 'total used free')


def key_of(number):
    return f'{number:064x}'


def always(folder, header):
    return True


def builder(size=1000, calls=None, stop=None):
    """A build function that writes ``size`` bytes.

    Args:
        size (int): Bytes.
        calls (list, optional): Gets the bytes that each call finds.
        stop (BaseException, optional): Raised after half of the bytes.
    """

    def build(partial):
        partial.reserve(size)
        with open(os.path.join(partial.folder, 'data'), 'ab') as file:
            if calls is not None:
                calls.append(file.tell())
            if stop is not None:
                file.write(bytes(size // 2))
                raise stop
            file.write(bytes(size - file.tell()))
        return dict(holds=f'{size} zeros')

    return build


def add(cache, number, size=1000, last_use=None, name='zeros'):
    """Build an entry and end its lease; returns its folder."""
    lease = cache.obtain('kind', key_of(number), name, always, builder(size))
    lease.close()
    if last_use is not None:
        os.utime(os.path.join(lease.folder, 'lock'), (last_use, last_use))
    return lease.folder


def numbers(cache):
    return sorted(int(entry.key, 16) for entry in cache.entries())


@pytest.fixture
def cache(tmp_path):
    return Cache(str(tmp_path / 'cache'), 10**6)


# -- settings ----------------------------------------------------------------
def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('XDG_CACHE_HOME', '/xdg')
    monkeypatch.setenv('MMFER_CACHE_DIR', '~/mine')
    assert cache_folder() == str(tmp_path / 'mine')
    monkeypatch.setenv('MMFER_CACHE_DIR', '')
    assert cache_folder() == '/xdg/mmfer'
    # The standard ignores relative paths.
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    assert cache_folder() == str(tmp_path / '.cache/mmfer')
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.delenv('MMFER_CACHE_DIR')
    assert cache_folder() == str(tmp_path / '.cache/mmfer')


def test_budget(monkeypatch):
    for text, expected in (
        ('', 20 * GIB),
        ('0', 0),
        ('0.5', GIB // 2),
        (' 3 ', 3 * GIB),
    ):
        monkeypatch.setenv('MMFER_CACHE_GB', text)
        assert cache_budget() == expected
    for text in ('much', '-1', 'nan', 'inf', '1_0', '\uff11'):
        monkeypatch.setenv('MMFER_CACHE_GB', text)
        with pytest.raises(ValueError, match=f"MMFER_CACHE_GB='{text}'.*GiB"):
            cache_budget()


def test_sizes_have_units():
    assert format_size(1.5 * GIB) == '1.50 GiB'
    assert format_size(3 << 19) == '1.5 MiB'
    assert format_size(2000) == '2.0 KiB' and format_size(0) == '0.0 MiB'


# -- whole or absent ---------------------------------------------------------
def test_an_entry_is_built_once(cache):
    calls = []
    for _ in range(2):
        lease = cache.obtain('kind', key_of(1), 'zeros', always, builder(calls=calls))
        assert os.path.getsize(os.path.join(lease.folder, 'data')) == 1000
        lease.close()
        lease.close()
    assert calls == [0]
    (entry,) = cache.entries()
    assert (entry.name, entry.holds, entry.kind) == ('zeros', '1000 zeros', 'kind')
    assert entry.finished and not entry.in_use and entry.size > 1000
    assert abs(entry.last_use - time.time()) < 100
    # Neither a lock nor a reservation is left.
    assert os.listdir(os.path.join(cache.folder, 'kind')) == [key_of(1)]
    assert sorted(os.listdir(entry.folder)) == ['data', 'header.json', 'lock']


def test_a_failed_build_leaves_nothing(cache):
    with pytest.raises(ZeroDivisionError):
        cache.obtain(
            'kind', key_of(1), 'zeros', always, builder(stop=ZeroDivisionError())
        )
    assert os.listdir(os.path.join(cache.folder, 'kind')) == []


def test_an_interrupted_build_is_continued(cache):
    calls = []
    half = builder(stop=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        cache.obtain('kind', key_of(1), 'zeros', always, half)
    (entry,) = cache.entries()
    os.utime(os.path.join(entry.folder, 'lock'), (100, 100))
    os.truncate(os.path.join(entry.folder, 'data'), 0)
    with pytest.raises(KeyboardInterrupt):
        cache.obtain('kind', key_of(1), 'zeros', always, half)
    (entry,) = cache.entries()
    # It was used now, although it was made earlier.
    assert abs(entry.last_use - time.time()) < 100
    assert (entry.name, entry.holds, entry.finished) == ('zeros', 'unfinished', False)
    assert not entry.in_use and entry.reserved == 1000 > entry.size > 500
    cache.obtain('kind', key_of(1), 'zeros', always, builder(calls=calls))
    assert calls == [500]
    assert [entry.finished for entry in cache.entries()] == [True]


@pytest.mark.parametrize('fault', ['layout', 'key', 'garbage', 'missing', 'invalid'])
def test_an_invalid_entry_is_built_again(cache, fault):
    folder = add(cache, 1)
    path = os.path.join(folder, 'header.json')
    text = open(path).read()
    if fault == 'missing':
        os.remove(path)
    else:
        changed = dict(
            layout=text.replace('"layout": 1', '"layout": 0'),
            key=text.replace(key_of(1), key_of(2)),
            garbage=text[:-5],
            invalid=text.replace('1000 zeros', 'nothing'),
        )[fault]
        assert changed != text
        open(path, 'w').write(changed)

    def is_valid(folder, header):
        return header['holds'] == '1000 zeros'

    calls = []
    lease = cache.obtain('kind', key_of(1), 'zeros', is_valid, builder(calls=calls))
    assert calls == [0] and read_json(path)['holds'] == '1000 zeros'
    assert lease.folder == folder


def test_an_entry_that_never_gets_valid_ends(cache):
    with pytest.raises(CacheUnavailableError, match='cannot be read back'):
        cache.obtain('kind', key_of(1), 'zeros', lambda *args: False, builder())


def test_an_invalid_entry_in_use_stays_until_the_new_one_is_there(cache):
    """A process that reads it is neither waited for nor disturbed."""
    folder = add(cache, 1)
    old = cache.obtain('kind', key_of(1), 'zeros', always, builder())
    data = np.memmap(os.path.join(folder, 'data'), np.uint8, 'r')
    valid = []

    def build(partial):
        # The old entry can still be opened, as by a worker that starts.
        pickle.loads(pickle.dumps(old)).close()
        valid.append(True)
        return builder()(partial)

    new = cache.obtain('kind', key_of(1), 'zeros', lambda *args: bool(valid), build)
    assert valid and not data.any() and len(data) == 1000
    old.close()
    new.close()
    assert numbers(cache) == [1]
    assert os.listdir(os.path.join(cache.folder, 'kind')) == [key_of(1)]


def test_a_copy_of_a_removed_entry_says_so(cache, monkeypatch):
    monkeypatch.setattr(locks, '_PATIENCE', 0.1)
    lease = cache.obtain('kind', key_of(1), 'zeros', always, builder())
    data = pickle.dumps(lease)
    lease.close()
    assert [len(part) for part in cache.clear()] == [1, 0]
    with pytest.raises(FileNotFoundError, match='was removed'):
        pickle.loads(data)


# -- who may read, and where it cannot work ----------------------------------
def test_only_the_owner_can_read(cache):
    mask = os.umask(0)
    try:
        add(cache, 1)
        with pytest.raises(KeyboardInterrupt):
            cache.obtain(
                'kind', key_of(2), 'zeros', always, builder(stop=KeyboardInterrupt())
            )
    finally:
        os.umask(mask)
    folders = [folder for folder, _, _ in os.walk(cache.folder)]
    assert len(folders) == 4
    for folder in folders:
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            # This test wrote the data without open_private.
            if os.path.isfile(path) and name != 'data':
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path


@pytest.mark.parametrize('built', [False, True])
def test_a_folder_of_another_user_is_refused(cache, monkeypatch, built):
    if built:
        add(cache, 1)
    else:
        os.mkdir(cache.folder)
    user = os.geteuid() + 1
    monkeypatch.setattr(os, 'geteuid', lambda: user)
    with pytest.raises(CacheUnavailableError, match='belongs to another user'):
        add(cache, 1)


def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    """It may be one that others use, too, such as /tmp."""
    folder = tmp_path / 'shared'
    folder.mkdir()
    folder.chmod(0o755)
    add(Cache(str(folder), 10**6), 1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / 'kind').stat().st_mode) == 0o700


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / 'cache').write_text('a file')
    with pytest.raises(
        CacheUnavailableError, match='cannot be written.*MMFER_CACHE_DIR'
    ):
        add(Cache(str(tmp_path / 'cache'), 10**6), 1)
    with pytest.raises(
        CacheUnavailableError, match='cannot be written.*MMFER_CACHE_DIR'
    ):
        add(Cache(str(tmp_path / 'cache/deeper'), 10**6), 1)
    assert (tmp_path / 'cache').read_text() == 'a file'


def test_an_entry_in_a_read_only_folder_is_used(cache, monkeypatch):
    """Root writes where it wants, so the system calls refuse here."""
    add(cache, 1)
    opened = os.open

    def read_only(path, flags, *args, **kwargs):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(errno.EROFS, 'Read-only file system', path)
        return opened(path, flags, *args, **kwargs)

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, 'Read-only file system')

    monkeypatch.setattr(os, 'open', read_only)
    monkeypatch.setattr(os, 'utime', refuse)
    cache.obtain('kind', key_of(1), 'zeros', always, builder()).close()
    with pytest.raises(CacheUnavailableError, match='Read-only file system'):
        add(cache, 2)
    assert numbers(cache) == [1]


@pytest.mark.parametrize('built', [False, True])
def test_no_file_locks(cache, monkeypatch, built):
    if built:
        add(cache, 1)

    def flock(*args):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'flock', flock)
    with pytest.raises(CacheUnavailableError, match='No locks available.*local disk'):
        add(cache, 1)
    monkeypatch.setattr(locks, 'fcntl', None)
    with pytest.raises(
        CacheUnavailableError, match='operating system has no file locks'
    ):
        add(cache, 1)


# -- several processes -------------------------------------------------------
def run_forked(function, *args):
    process = FORK.Process(target=function, args=args)
    process.start()
    return process


def test_the_second_builder_waits(cache, monkeypatch):
    said = []
    monkeypatch.setattr(locks, 'print_log', lambda text, *_, **__: said.append(text))
    begun, go_on = FORK.Event(), FORK.Event()

    def slow(partial):
        begun.set()
        assert go_on.wait(30)
        return builder()(partial)

    def first():
        cache.obtain('kind', key_of(1), 'zeros', always, slow)

    process = run_forked(first)
    assert begun.wait(30)
    # One message, then the entry of the other process.
    monkeypatch.setattr(
        locks, 'print_log', lambda text, *_: (said.append(text), go_on.set())
    )
    calls = []
    cache.obtain('kind', key_of(1), 'zeros', always, builder(calls=calls))
    process.join()
    assert process.exitcode == 0 and calls == []
    assert len(said) == 1 and 'zeros: waiting for another process' in said[0]


def test_many_processes_at_once(cache):
    """Each of 8 processes gets each of 3 entries, and each is built once."""
    counts = [FORK.Value('i', 0) for _ in range(3)]

    def build(number, entry):
        with counts[number].get_lock():
            counts[number].value += 1
        time.sleep(0.01)
        return builder()(entry)

    def work(order):
        for number in order:
            lease = cache.obtain(
                'kind', key_of(number), 'zeros', always, partial(build, number)
            )
            assert os.path.getsize(os.path.join(lease.folder, 'data')) == 1000
            lease.close()

    rng = np.random.default_rng(0)
    processes = [run_forked(work, rng.permutation(3).tolist()) for _ in range(8)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert [count.value for count in counts] == [1, 1, 1]
    assert sorted(os.listdir(os.path.join(cache.folder, 'kind'))) == [
        key_of(number) for number in range(3)
    ]


def test_builders_and_removers_at_once(cache):
    """A lease is never on an entry that was removed."""

    def use():
        for _ in range(40):
            lease = cache.obtain('kind', key_of(1), 'zeros', always, builder())
            assert os.path.getsize(os.path.join(lease.folder, 'data')) == 1000
            lease.close()

    def remove():
        for _ in range(150):
            cache.clear()

    processes = [run_forked(use) for _ in range(3)] + [run_forked(remove)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert set(os.listdir(os.path.join(cache.folder, 'kind'))) <= {key_of(1)}


def test_a_forked_process_keeps_the_lease(cache):
    lease = cache.obtain('kind', key_of(1), 'zeros', always, builder())
    end = FORK.Event()
    process = run_forked(end.wait, 30)
    lease.close()
    assert [entry.in_use for entry in cache.entries()] == [True]
    end.set()
    process.join()
    assert [entry.in_use for entry in cache.entries()] == [False]


def test_the_lock_of_a_removed_file_is_not_enough(tmp_path):
    """The file at this path is another one by the time the lock is there."""
    path = str(tmp_path / 'lock')
    first = locks.take_lock(path)
    flock, seen = locks._flock, []

    def replaced(handle, *args):
        if not seen:
            os.remove(path)
            os.close(first)
        seen.append(handle)
        return flock(handle, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, '_flock', replaced)
        handle = locks.take_lock(path)
    assert len(seen) == 2
    assert locks.take_lock(path, wait=False) is None
    os.close(handle)


# -- room --------------------------------------------------------------------
def sizes(folder):
    return sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))


def test_the_entry_that_was_not_used_longest_is_evicted(cache):
    for number, last_use in ((1, 300), (2, 100), (3, 200)):
        add(cache, number, 300_000, last_use)
    assert numbers(cache) == [1, 2, 3]
    add(cache, 4, 300_000, 400)
    assert numbers(cache) == [1, 3, 4]
    # A use counts, not the time of the build.
    cache.obtain('kind', key_of(3), 'zeros', always, builder()).close()
    add(cache, 5, 300_000)
    assert numbers(cache) == [3, 4, 5]
    assert sum(sizes(entry.folder) for entry in cache.entries()) < 10**6


def test_an_entry_in_use_is_not_evicted(cache):
    add(cache, 1, 400_000, 100)
    add(cache, 2, 400_000, 200)
    lease = cache.obtain('kind', key_of(1), 'zeros', always, builder())
    os.utime(os.path.join(lease.folder, 'lock'), (100, 100))
    add(cache, 3, 400_000, 300)
    assert numbers(cache) == [1, 3]
    # Nothing is evicted where this does not make enough room.
    with pytest.raises(CacheUnavailableError, match='MMFER_CACHE_GB to 1 or more'):
        add(cache, 4, 700_000)
    assert numbers(cache) == [1, 3]
    lease.close()
    add(cache, 4, 700_000)
    assert numbers(cache) == [4]


def test_larger_than_the_budget(tmp_path):
    cache = Cache(str(tmp_path / 'cache'), 3 * GIB // 2)
    add(cache, 1)

    def build(partial):
        partial.reserve(5 * GIB)

    with pytest.raises(CacheUnavailableError) as error:
        cache.obtain('kind', key_of(2), 'zeros', always, build)
    assert 'takes 5.00 GiB' in str(error.value)
    # The budget must hold the new entry and those that are there.
    assert 'MMFER_CACHE_GB to 5 or more' in str(error.value)
    assert numbers(cache) == [1]
    assert os.listdir(os.path.join(cache.folder, 'kind')) == [key_of(1)]


def test_what_a_running_build_has_reserved_is_taken(cache):
    def outer(partial):
        partial.reserve(700_000)
        with pytest.raises(CacheUnavailableError, match='more than the cache'):
            add(cache, 2, 400_000)
        add(cache, 3, 200_000)
        return builder(700_000)(partial)

    cache.obtain('kind', key_of(1), 'zeros', always, outer)
    assert numbers(cache) == [1, 3]


def test_it_is_taken_from_the_disk_too(cache, monkeypatch):
    # Of these, 500_000 bytes stay free.
    monkeypatch.setattr(
        entries.shutil, 'disk_usage', lambda path: Usage(10**7, 0, 10**6)
    )

    def outer(partial):
        partial.reserve(300_000)
        with pytest.raises(CacheUnavailableError, match='the disk'):
            add(cache, 2, 250_000)
        add(cache, 3, 150_000)
        assert [len(part) for part in cache.clear()] == [1, 1]
        # What was written already is not needed once more.
        with open(os.path.join(partial.folder, 'data'), 'wb') as file:
            file.write(bytes(200_000))
        partial.reserve(690_000)
        with pytest.raises(CacheUnavailableError, match='the disk'):
            partial.reserve(710_000)
        return builder(300_000)(partial)

    cache.obtain('kind', key_of(1), 'zeros', always, outer)
    assert numbers(cache) == [1]


def test_a_killed_build_is_evicted_first_if_it_is_old(cache):
    add(cache, 1, 400_000, 200)
    with pytest.raises(KeyboardInterrupt):
        cache.obtain(
            'kind', key_of(2), 'x', always, builder(500_000, stop=KeyboardInterrupt())
        )
    (unfinished,) = (e for e in cache.entries() if not e.finished)
    os.utime(os.path.join(unfinished.folder, 'lock'), (100, 100))
    add(cache, 3, 500_000)
    assert numbers(cache) == [1, 3]
    assert len(os.listdir(os.path.join(cache.folder, 'kind'))) == 2


def test_some_of_the_disk_stays_free(cache, monkeypatch):
    """At most 1 GiB or 5 % of the disk, whichever is less."""
    free = [0]

    def usage(total):
        monkeypatch.setattr(
            entries.shutil, 'disk_usage', lambda path: Usage(total, 0, free[0])
        )

    add(cache, 1, 300_000, 100)
    usage(10**7)
    free[0] = 500_000 + 400_000
    add(cache, 2, 400_000, 200)
    assert numbers(cache) == [1, 2]
    free[0] -= 1
    add(cache, 3, 400_000, 300)
    # What is evicted becomes free.
    assert numbers(cache) == [2, 3]
    with pytest.raises(CacheUnavailableError, match='the disk of .* to spare'):
        free[0] = 500_000
        lease = cache.obtain('kind', key_of(3), 'zeros', always, builder())
        other = cache.obtain('kind', key_of(2), 'zeros', always, builder())
        add(cache, 4, 1000)
    lease.close()
    other.close()
    usage(10**13)
    free[0] = GIB + 100_000
    add(cache, 4, 1000)
    assert numbers(cache) == [2, 3, 4]


# -- list and clear ----------------------------------------------------------
def test_clear(cache):
    assert cache.entries() == [] and cache.clear() == ([], [])
    for number, name in ((1, 'a'), (2, 'b'), (3, 'b'), (0xABCDEF << 232, 'c')):
        add(cache, number, name=name)
    assert [entry.name for entry in cache.clear(['a'])[0]] == ['a']
    assert [entry.name for entry in cache.clear(['abcdef'])[0]] == ['c']
    # The beginning of a key that is too short may be meant for a name.
    assert cache.clear(['0000']) == ([], [])
    lease = cache.obtain('kind', key_of(2), 'b', always, builder())
    removed, kept = cache.clear(['kind'])
    assert [int(e.key, 16) for e in removed] == [3]
    assert [int(e.key, 16) for e in kept] == [2] and kept[0].in_use
    lease.close()
    assert len(cache.clear()[0]) == 1
    assert os.listdir(os.path.join(cache.folder, 'kind')) == []


def test_clear_touches_nothing_else(cache):
    """Someone may have set MMFER_CACHE_DIR to a folder of data."""
    add(cache, 1)
    os.makedirs(os.path.join(cache.folder, 'photos/2020'))
    for path in ('photos/2020/a.jpg', 'photos/lock', 'kind/notes', 'b.txt'):
        open(os.path.join(cache.folder, path), 'w').close()
    cache.clear()
    left = {
        os.path.relpath(os.path.join(folder, name), cache.folder)
        for folder, _, names in os.walk(cache.folder)
        for name in names
    }
    assert left == {
        'CACHEDIR.TAG', 'lock', 'b.txt', 'kind/notes', 'photos/2020/a.jpg',
        'photos/lock',
    }  # fmt: skip


def test_what_a_killed_removal_left_is_swept(cache):
    folder = add(cache, 1)
    os.rename(folder, folder + '.trash-0123abcd')
    assert cache.entries() == []
    add(cache, 2)
    assert os.listdir(os.path.join(cache.folder, 'kind')) == [key_of(2)]
