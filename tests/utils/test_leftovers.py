"""Temporary files of killed processes are removed, those of living ones are kept."""

import os
import subprocess
import sys
import time

import pytest
from helpers import environment

from mmfer.utils import files, leftovers
from mmfer.utils.files import write_atomic
from mmfer.utils.leftovers import create_temporary, remove_leftovers

WRITER = """
import os, sys
from mmfer.utils.leftovers import create_temporary
handle, path = create_temporary(sys.argv[1])
os.write(handle, b'half')
print(path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is writing ``file`` and can be killed."""
    process = subprocess.Popen(
        [sys.executable, '-c', WRITER, str(tmp_path / 'file')],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_killed_writer(writer, tmp_path, monkeypatch):
    process, temporary = writer
    assert os.path.dirname(temporary) == str(tmp_path)
    # The writer lives.
    assert remove_leftovers(str(tmp_path)) == []
    write_atomic(str(tmp_path / 'other'), b'x')
    assert os.path.exists(temporary)
    process.kill()
    process.wait()
    # The next process that writes into the folder removes the file.
    monkeypatch.setattr(files, '_SWEPT', set())
    write_atomic(str(tmp_path / 'other'), b'y')
    assert sorted(os.listdir(tmp_path)) == ['other']


def test_names(tmp_path):
    """Only names that mmfer gives are touched, and old ones only if they are old."""
    old = time.time() - 7200
    others = ['.vimrc.settings', '.a.b', 'x.abcd1234.tmp', '.tmp', 'file.tmp']
    recent = '.epoch_4.pth.abcd_123'
    gone = ['.epoch_3.pth.abcd_123', '.history.json.zzzzzzzz', '.list.txt.a1b2c3d4.tmp']
    for name in [*others, *gone, recent]:
        (tmp_path / name).write_text('')
        os.utime(tmp_path / name, (old, old))
    os.utime(tmp_path / recent)
    (tmp_path / '.link.abcdefgh.tmp').symlink_to(tmp_path / 'x.abcd1234.tmp')
    assert sorted(remove_leftovers(str(tmp_path))) == sorted(gone)
    assert sorted(os.listdir(tmp_path)) == sorted(
        [*others, recent, '.link.abcdefgh.tmp']
    )
    assert remove_leftovers(str(tmp_path / 'missing')) == []


def test_without_locks(tmp_path, monkeypatch):
    """Then only age tells that nobody writes any more."""
    monkeypatch.setattr(leftovers, 'fcntl', None)
    handle, path = create_temporary(str(tmp_path / 'file'))
    os.close(handle)
    assert remove_leftovers(str(tmp_path)) == []
    old = time.time() - 25 * 3600
    os.utime(path, (old, old))
    assert len(remove_leftovers(str(tmp_path))) == 1


def test_long_names(tmp_path):
    """The name of the temporary file may not be longer than the system allows."""
    path = tmp_path / ('ä' * 120)
    write_atomic(str(path), b'x')
    assert path.read_bytes() == b'x' and len(os.listdir(tmp_path)) == 1


def test_a_file_that_a_clean_up_took_is_created_again(tmp_path, monkeypatch):
    """The clean-up of another process may come between creating and locking."""
    try_lock, calls = leftovers.try_lock, []

    def slow(handle):
        calls.append(handle)
        if len(calls) == 1:
            (name,) = os.listdir(tmp_path)
            os.remove(tmp_path / name)
        return try_lock(handle)

    monkeypatch.setattr(leftovers, 'try_lock', slow)
    write_atomic(str(tmp_path / 'file'), b'x')
    assert len(calls) == 2 and os.listdir(tmp_path) == ['file']
