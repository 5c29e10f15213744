"""Pickles and torch files: what is read, and what is refused."""

import functools
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict

import made_hostile
import numpy as np
import pytest
import torch
from helpers import ROOT, environment

from mmfer.utils.safe_pickle import (
    ForeignObject,
    Limits,
    PickleError,
    check_torch_file,
    integers,
    load_arrays,
    load_checkpoint_file,
    load_torch,
    read_arrays,
    read_bytes,
    write_arrays,
)

# They reach the limit of instructions, which takes a second or more for each.
SLOW = (
    'many_dicts',
    'many_instructions',
    'many_references',
    'many_entries',
    'deep_dicts',
)


def content() -> dict:
    """All that a file may hold."""
    return dict(
        plain=np.arange(6).reshape(2, 3),
        columns=np.asfortranarray(np.ones((2, 3), '>f4')),
        part=np.arange(12, dtype='u1').reshape(3, 4)[:, ::2],
        nothing=np.zeros((0, 3), 'i2'),
        point=np.array(5.0),
        flags=np.array([True, False]),
        half=np.array([1.5, -2], 'f2'),
        number=np.float32(3),
        values=[1, -1, 2**40, -(2**70), 'x', b'y', b'', None, True, 1.5, -70000],
        nested=(1, (2, [3, dict(a=())])),
        ordered=OrderedDict(z=1, a=2),
        text='\'"\n\\ \u20ac \U0001f600',
    )


def same(found, wanted) -> bool:
    """Equal in value, type and, for arrays, in element type and shape."""
    if isinstance(wanted, (np.ndarray, np.generic)):
        return (
            type(found) is type(wanted)
            # numpy itself swaps the bytes of some files.
            and found.dtype.newbyteorder('=') == wanted.dtype.newbyteorder('=')
            and found.shape == wanted.shape
            and np.array_equal(found, wanted)
        )
    if isinstance(wanted, torch.Tensor):
        return found.dtype == wanted.dtype and torch.equal(found, wanted)
    if isinstance(wanted, dict):
        return list(found) == list(wanted) and all(
            same(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return (
            type(found) is type(wanted)
            and len(found) == len(wanted)
            and all(map(same, found, wanted))
        )
    return type(found) is type(wanted) and found == wanted


@pytest.mark.parametrize('protocol', range(6))
def test_pickles_are_read_as_by_python(protocol):
    data = pickle.dumps(content(), protocol)
    found = load_arrays(data)
    assert same(found, {**pickle.loads(data), 'ordered': dict(z=1, a=2)})


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_pickle_cut_anywhere_is_refused(protocol):
    data = pickle.dumps(content(), protocol)
    for end in range(0, len(data), 3):
        with pytest.raises(PickleError):
            load_arrays(data[:end])


def checkpoint() -> dict:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    base = torch.arange(12.0)
    return dict(
        state_dict=dict(model.state_dict()),
        optimizer=optimizer.state_dict(),
        transposed=base.view(3, 4).t(),
        shared=[base[:3], base[2:]],
        parameter=model[0].weight,
        half=torch.ones(3).half(),
        brain=torch.ones(2).bfloat16(),
        bytes=torch.arange(3, dtype=torch.uint8),
        flags=torch.tensor([True, False]),
        nothing=torch.empty(0, 3),
        point=torch.tensor(3),
    )


@pytest.mark.parametrize('zipped', [True, False])
def test_torch_files_are_read_as_by_torch(tmp_path, zipped):
    path = tmp_path / 'x.pth'
    torch.save(checkpoint(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    wanted = torch.load(path, weights_only=True)
    assert same(load_torch(data), wanted)
    assert same(load_checkpoint_file(str(path)), wanted)
    named = dict(
        size=torch.Size([1, 2]), dtype=torch.float16, device=torch.device('cuda:1')
    )
    torch.save(
        dict(named, arrays=content()), path, _use_new_zipfile_serialization=zipped
    )
    found = load_torch(path.read_bytes())
    assert same(found.pop('arrays'), {**content(), 'ordered': dict(z=1, a=2)})
    assert found == dict(size=(1, 2), dtype='torch.float16', device='cuda:1')
    for end in [*range(0, len(data), 97), *range(len(data) - 30, len(data))]:
        path.write_bytes(data[:end])
        with pytest.raises(PickleError):
            load_torch(data[:end])
        with pytest.raises(PickleError):
            check_torch_file(str(path))


def test_a_compiled_model_leaves_attributes(tmp_path):
    """``torch.compile`` marks tensors of the optimizer with an attribute."""
    tensor = torch.arange(3.0)
    tensor._dynamo_static_input_type = 'guarded'
    torch.save(dict(step=tensor), tmp_path / 'x.pth')
    data = (tmp_path / 'x.pth').read_bytes()
    assert b'_rebuild_from_type_v2' in data
    assert torch.equal(load_torch(data)['step'], tensor)
    assert torch.equal(load_checkpoint_file(str(tmp_path / 'x.pth'))['step'], tensor)


def test_a_flipped_bit_in_a_tensor_is_found(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(dict(a=torch.full((4,), 3.0)), path)
    data = bytearray(path.read_bytes())
    data[data.index(torch.full((4,), 3.0).numpy().tobytes())] ^= 1
    path.write_bytes(data)
    for read in (lambda: load_torch(bytes(data)), lambda: check_torch_file(str(path))):
        with pytest.raises(PickleError, match='CRC'):
            read()


@functools.lru_cache(maxsize=None)
def hostile_files() -> dict:
    # Making them takes seconds.
    return made_hostile.hostile_files('/nonexistent/ran')


def hostile(kind: str) -> list:
    return [
        pytest.param(data, id=name)
        for name, data in hostile_files().items()
        if name.startswith(kind) and not name.endswith(SLOW)
    ]


@pytest.mark.parametrize('data', hostile('pickle/'))
def test_hostile_pickles(data):
    with pytest.raises(PickleError) as caught:
        # A reader also checks the kind of the value; here it must only be bounded.
        value = load_arrays(data)
        raise PickleError(f'accepted {type(value)}')
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize('data', hostile('zip') + hostile('old'))
def test_hostile_torch_files(data, tmp_path):
    with pytest.raises(PickleError):
        load_torch(data)
    (tmp_path / 'x.pth').write_bytes(data)
    with pytest.raises(PickleError):
        check_torch_file(str(tmp_path / 'x.pth'))


def test_code_is_named_and_damage_is_not_called_code():
    for name, data in made_hostile.code_values('/nonexistent/ran').items():
        with pytest.raises(PickleError) as caught:
            load_arrays(made_hostile.pickled(data))
        if isinstance(caught.value, ForeignObject):
            assert 'it asks for' in str(caught.value), name
            assert isinstance(caught.value, pickle.UnpicklingError)
    with pytest.raises(PickleError) as caught:
        load_arrays(pickle.dumps(content())[:-9])
    assert not isinstance(caught.value, ForeignObject)


def test_limits(tmp_path):
    few = Limits(steps=20)
    assert load_arrays(pickle.dumps([1] * 3), few) == [1] * 3
    with pytest.raises(PickleError, match='more than 20 instructions'):
        load_arrays(pickle.dumps(list(range(50))), few)
    with pytest.raises(PickleError, match='more than 5 lists'):
        load_arrays(pickle.dumps([[] for _ in range(6)]), Limits(containers=5))
    deep = [[[[1]]]]
    assert load_arrays(pickle.dumps(deep), Limits(depth=4)) == deep
    with pytest.raises(PickleError, match='nested more than 3 deep'):
        load_arrays(pickle.dumps(deep), Limits(depth=3))
    # A shared part counts as often as it is reached, also for the depth.
    one = [1]
    assert load_arrays(pickle.dumps([one, one])) == [one, one]
    with pytest.raises(PickleError, match='nested more than 3 deep'):
        inner = [[1]]
        load_arrays(pickle.dumps([inner, [[inner]]]), Limits(depth=3))
    big = np.zeros(1000, 'u1')
    with pytest.raises(PickleError, match='far more than the file has room for'):
        load_arrays(pickle.dumps([big] * 10), Limits(copies=4, slack=0))
    path = tmp_path / 'x'
    path.write_bytes(b'12345')
    assert read_bytes(str(path), Limits(file_size=5)) == b'12345'
    with pytest.raises(PickleError, match='at most 4 are read'):
        read_bytes(str(path), Limits(file_size=4))


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='there are no named pipes')
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(PickleError, match='is not a file'):
        read_bytes(str(tmp_path / 'pipe'))


def test_integers():
    for value in ([1, 2], np.array([1, 2], 'u1'), np.array([1, 2], '>i4')):
        found = integers(value)
        assert found.dtype == np.int64 and found.tolist() == [1, 2]
    shared = [1]
    for value in (
        [1.0], ['1'], [True], [[1]], [shared, shared], [], (1, 2), 'ab', None, [2**63],
        np.array([1.0]), np.array([True]), np.array([2**63], 'u8'),
    ):  # fmt: skip
        assert integers(value) is None


@pytest.mark.parametrize('compress', [False, True])
def test_arrays_round_trip(tmp_path, compress):
    path = str(tmp_path / 'x.npz')
    arrays = dict(
        f=np.random.rand(3, 4).astype('f4'), i=np.arange(3), b=np.array([True, False]),
        t=np.array(['a', 'b\u20ac', '']), e=np.zeros((0, 3)), s=np.array(1.5),
        o=np.asfortranarray(np.arange(6).reshape(2, 3)), g=np.arange(3, dtype='>i2'),
    )  # fmt: skip
    if compress:
        np.savez_compressed(path, **arrays)
        with pytest.raises(PickleError, match='compressed'):
            read_arrays(path)
        return
    write_arrays(path, arrays)
    assert same(read_arrays(path), arrays)
    # numpy reads the file, too.
    with np.load(path, allow_pickle=False) as found:
        assert same({name: found[name] for name in found.files}, arrays)
    with pytest.raises(ValueError, match="field 'x' has elements of type object"):
        write_arrays(path, dict(x=np.array([{}])))
    data = (tmp_path / 'x.npz').read_bytes()
    for end in range(0, len(data), 13):
        (tmp_path / 'x.npz').write_bytes(data[:end])
        with pytest.raises(PickleError):
            read_arrays(path)


def test_archives_that_torch_would_read_differently(tmp_path):
    """Something before or behind the archive, and names that differ in their case."""
    path = tmp_path / 'x.pth'
    torch.save(dict(a=torch.ones(2)), path)
    data = path.read_bytes()
    with pytest.raises(PickleError, match='follows the archive'):
        load_torch(data + b'x')
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('X/DATA.PKL', b'')
    with pytest.raises(PickleError):
        check_torch_file(str(path))
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, 'a') as archive:
        archive.writestr(archive.namelist()[0].upper(), b'')
    with pytest.raises(PickleError, match='same name'):
        load_torch(buffer.getvalue())


@pytest.mark.slow
def test_every_reader_in_a_process_of_its_own():
    """With limits of time and memory; see ``try_hostile.py`` for the results."""
    subprocess.run(
        [sys.executable, f'{ROOT}/tests/try_hostile.py'], env=environment(), check=True
    )
