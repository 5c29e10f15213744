"""The command that lists and clears the cache."""

import os

import pytest
from helpers import call_tool

from mmfer.utils.cache import Cache


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Return a function that makes an entry and returns its lease."""
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'cache'))
    monkeypatch.setenv('MMFER_CACHE_GB', '2')

    def add(number, name, size=3 << 20):
        def build(partial):
            with open(os.path.join(partial.folder, 'data'), 'wb') as file:
                file.truncate(size)
            return dict(holds=f'{number} images')

        return Cache().obtain(
            'images', f'{number:x}' * 64, name, lambda *args: True, build
        )

    return add


def test_list(add, tmp_path, monkeypatch):
    said = call_tool('cache.py')
    assert said == f'Cache: {tmp_path}/cache\n0 entries, 0.0 MiB; budget 2.00 GiB\n'
    leases = [add(1, 'RAFDB'), add(2, 'FERPlus', 1 << 30)]
    leases[0].close()
    for lease, time in zip(leases, (10**9, 2 * 10**9)):
        os.utime(os.path.join(lease.folder, 'lock'), (time, time))
    head, columns, *rows, total = call_tool('cache.py').splitlines()
    assert head == f'Cache: {tmp_path}/cache'
    assert columns.split() == 'size last use kind key name holds'.split()
    assert [row.split()[:2] for row in rows] == [['1.00', 'GiB'], ['3.0', 'MiB']]
    assert rows[0].endswith('22222222  FERPlus  2 images, in use')
    assert rows[1].endswith('11111111  RAFDB    1 images')
    assert ' 2033-05-1' in rows[0] and ' 2001-09-' in rows[1]
    assert total == '2 entries, 1.00 GiB; budget 2.00 GiB'
    monkeypatch.setenv('MMFER_CACHE_GB', '0')
    assert call_tool('cache.py').endswith('budget 0, so it is switched off\n')


def test_clear(add, tmp_path):
    for number in (1, 2):
        add(number, 'RAFDB').close()
    lease = add(3, 'FERPlus')
    said = call_tool('cache.py', '--clear', 'RAFDB', 'x', code=1)
    assert "has no entry 'x'" in said and '`mmfer cache`' in said
    assert len(Cache().entries()) == 3
    said = call_tool('cache.py', '--clear', 'RAFDB')
    assert said == f'Removed 2 entries, 6.0 MiB, from {tmp_path}/cache\n'
    said = call_tool('cache.py', '--clear')
    assert 'Removed 0 entries' in said
    assert 'Kept FERPlus (33333333): a process uses it' in said
    lease.close()
    assert 'Removed 1 entry, 3.0 MiB' in call_tool('cache.py', '--clear', '333333')
    assert Cache().entries() == []


def test_a_wrong_budget_is_named(monkeypatch):
    monkeypatch.setenv('MMFER_CACHE_GB', 'all')
    assert "MMFER_CACHE_GB='all' is not a size" in call_tool('cache.py', code=1)
