"""A file that is no whole checkpoint is called what it is."""

import os
import pickle
import shutil
import zipfile

import pytest
import torch

from mmfer.utils.checkpoint_content import (
    DamagedCheckpointError,
    inspect_checkpoint,
    require_whole,
)


def content():
    generator = torch.Generator().manual_seed(0)
    weights = {f'layer{k}': torch.rand(9, 5, generator=generator) for k in range(3)}
    return dict(state_dict=weights, meta=dict(epoch=2, iter=6, cfg='text ' * 40))


def same(first, second) -> bool:
    weights = first['state_dict']
    return (
        first['meta'] == second['meta']
        and weights.keys() == second['state_dict'].keys()
        and all(torch.equal(weights[k], second['state_dict'][k]) for k in weights)
    )


class Evil:
    """An object that runs code when it is unpickled."""

    def __reduce__(self):
        return (open, ('evil_ran', 'w'))


@pytest.fixture(params=[True, False], ids=['zip', 'old'])
def saved(request, tmp_path):
    path = tmp_path / 'whole.pth'
    torch.save(content(), path, _use_new_zipfile_serialization=request.param)
    return path


def test_whole_files(saved):
    found, problem = inspect_checkpoint(str(saved))
    assert problem is None and same(found, content())
    require_whole(str(saved))


def test_every_truncation_is_found(saved, tmp_path):
    """A part of a file is never taken for a checkpoint."""
    data, part = saved.read_bytes(), str(tmp_path / 'part.pth')
    kinds = set()
    for length in range(0, len(data), 41):
        with open(part, 'wb') as file:
            file.write(data[:length])
        kinds.add(inspect_checkpoint(part).problem.kind)
    # The first bytes of an old file may look like another pickle.
    assert (
        {'empty', 'truncated'}
        <= kinds
        <= {'empty', 'truncated', 'damaged'}
        | (set() if data.startswith(b'PK') else {'foreign', 'objects'})
    )


def test_no_flipped_bit_becomes_a_wrong_weight(tmp_path):
    """torch itself loads many of these files without an error."""
    path = str(tmp_path / 'whole.pth')
    torch.save(content(), path)
    data = open(path, 'rb').read()
    unnoticed = found = 0
    for position in range(0, len(data), 19):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with open(path, 'wb') as file:
            file.write(flipped)
        values, problem = inspect_checkpoint(path)
        found += problem is not None
        # A bit between the parts changes nothing.
        assert problem is not None or same(values, content()), position
        try:
            unnoticed += not same(torch.load(path, weights_only=True), content())
        except Exception:
            continue
    assert found > 20 and unnoticed > 5


def test_other_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def kind(data=None):
        if data is not None:
            (tmp_path / 'file').write_bytes(data)
        return inspect_checkpoint('file').problem.kind

    assert kind() == 'missing'
    assert kind(b'') == 'empty'
    assert kind(bytes(4000)) == 'damaged'
    assert kind(b'# text\n') == 'foreign'
    assert kind(b'version https://git-lfs.github.com/spec/v1\noid') == 'foreign'
    assert kind(pickle.dumps(dict(epoch=1), protocol=2)) == 'foreign'
    with zipfile.ZipFile('file', 'w') as archive:
        archive.writestr('archive/image.png', b'x')
    assert kind() == 'foreign'
    with zipfile.ZipFile('file', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', bytes(10**6))
    assert kind() == 'foreign'
    for new in (True, False):
        torch.save(Evil(), 'file', _use_new_zipfile_serialization=new)
        assert kind() == 'objects'
        # Whoever loads it decides.
        require_whole('file')
    os.remove('file')
    os.mkdir('file')
    assert kind() == 'foreign'
    with pytest.raises(DamagedCheckpointError, match='file is a folder.*Take another'):
        require_whole('file', 'Take another.')
    assert not (tmp_path / 'evil_ran').exists()


def test_files_without_checksums(tmp_path, monkeypatch):
    """A user may have switched checksums off; torch then writes wrong ones."""
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('this torch always writes checksums')
    path = tmp_path / 'file.pth'
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(content(), path)
        assert inspect_checkpoint(str(path)).problem is None
    finally:
        torch.serialization.set_crc32_options(True)


def test_metadata_is_read_without_the_tensors(tmp_path):
    """A damaged tensor is found only if checksums are compared."""
    path = tmp_path / 'file.pth'
    torch.save(dict(meta=dict(epoch=1), tensor=torch.zeros(1000)), path)
    data = bytearray(path.read_bytes())
    start = data.index(bytes(4000))
    data[start + 100] = 1
    shutil.copy(path, tmp_path / 'copy.pth')
    path.write_bytes(data)
    assert inspect_checkpoint(str(path), checksums=False).content['meta']['epoch'] == 1
    assert inspect_checkpoint(str(path)).problem.kind == 'damaged'
