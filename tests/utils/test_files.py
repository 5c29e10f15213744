"""Files are written whole or not at all."""

import os

import pytest

from mmfer.compat import AtomicLocalBackend
from mmfer.utils.files import write_atomic


def test_atomic_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    write_atomic(str(path), b'old')
    monkeypatch.setattr(os, 'replace', lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        AtomicLocalBackend().put(b'new', path)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']
