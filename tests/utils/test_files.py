"""Files are written whole or not at all."""

import os
import stat

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


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no such permissions')
@pytest.mark.parametrize('umask', [0, 0o077])
def test_permissions(tmp_path, umask):
    """Those that are asked for, whatever the umask and the file before."""
    before = os.umask(umask)
    try:
        for old in (None, 0o666, 0o600):
            for name, mode in (('usual', None), ('private', 0o600), ('open', 0o644)):
                path = tmp_path / name
                if old is not None:
                    path.chmod(old)
                write_atomic(str(path), b'x', mode)
                expected = 0o666 & ~umask if mode is None else mode
                assert stat.S_IMODE(path.stat().st_mode) == expected
    finally:
        os.umask(before)
