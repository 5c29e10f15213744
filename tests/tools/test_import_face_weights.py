import hashlib
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from helpers import environment, load_tool

from mmfer.apis import face_weights
from mmfer.registry import MODELS

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/model_converters/import_face_weights.py'


tool = load_tool('model_converters/import_face_weights.py')


@pytest.fixture(scope='module')
def networks():
    """torchvision ResNets whose every parameter and buffer is random."""
    torch.manual_seed(0)
    built = {}
    for depth in (18, 50):
        net = getattr(torchvision.models, f'resnet{depth}')(num_classes=11)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        built[depth] = net.eval()
    return built


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.manual_seed(1))


@torch.no_grad()
def trunk(net, images):
    maps = torch.nn.Sequential(*list(net.children())[:-2])
    return maps(images)


@torch.no_grad()
def imported(path, depth, images):
    backbone = MODELS.build(
        dict(
            type='ResNet',
            depth=depth,
            init_cfg=dict(type='Pretrained', checkpoint=str(path), prefix='backbone'),
        )
    )
    backbone.init_weights()
    backbone.eval()
    return backbone(images)[-1]


def arrays(net):
    return OrderedDict(
        (key, value.numpy())
        for key, value in net.state_dict().items()
        if not key.endswith('num_batches_tracked')
    )


def run(src, dst, *options):
    tool.main([str(src), str(dst), *map(str, options)])


def refused(src, dst, *options):
    with pytest.raises(SystemExit) as error:
        run(src, dst, *options)
    assert isinstance(error.value.code, str)  # exit code 1, with a message
    assert 'Nothing was written' in error.value.code
    assert not dst.exists()
    return error.value.code


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize(
    'prefix, nested',
    [('', False), ('module.', False), ('module.', True), ('module.backbone.', True)],
)
def test_round_trip(networks, images, tmp_path, capsys, depth, prefix, nested):
    net = networks[depth]
    content = {prefix + k: v for k, v in net.state_dict().items()}
    if nested:
        content = dict(epoch=3, state_dict=content)
    src, dst = tmp_path / 'source.pth', tmp_path / 'new' / 'trunk.pth'
    torch.save(content, src)
    run(src, dst, '--depth', depth)

    assert torch.equal(imported(dst, depth, images), trunk(net, images))
    count = len(net.state_dict()) - 2
    out = capsys.readouterr().out
    assert f'matched:        {count} of {count}' in out
    assert f'classifier:     2 ({prefix}fc.weight, {prefix}fc.bias)' in out
    assert 'missing:        0\n' in out

    saved = torch.load(dst, weights_only=True)
    assert set(saved) == {'state_dict', 'meta'}
    assert all(key.startswith('backbone.') for key in saved['state_dict'])
    assert saved['meta'] == dict(
        source='source.pth',
        source_sha256=hashlib.sha256(src.read_bytes()).hexdigest(),
        backbone='ResNet',
        depth=depth,
        matched=count,
    )


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 did: as byte strings."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, text):
        if isinstance(text, str):
            text = text.encode('latin1')
        self.write(b'T' + len(text).to_bytes(4, 'little') + text)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_text


def python2_pickle(content):
    buffer = io.BytesIO()
    Python2Pickler(buffer, 2).dump(content)
    return buffer.getvalue().replace(b'numpy._core', b'numpy.core')


@pytest.mark.parametrize('protocol', ['python2', 2, 5])
def test_pickle_of_arrays(networks, images, tmp_path, capsys, protocol):
    content = arrays(networks[50])
    src, dst = tmp_path / 'resnet50.pkl', tmp_path / 'trunk.pth'
    src.write_bytes(
        python2_pickle(content)
        if protocol == 'python2'
        else pickle.dumps(content, protocol)
    )
    run(src, dst, '--depth', 50)
    assert torch.equal(imported(dst, 50, images), trunk(networks[50], images))
    out = capsys.readouterr().out
    assert 'matched:        265 of 318' in out
    assert '53 counters num_batches_tracked are missing' in out
    assert "style='caffe'" in out


def test_caffe_style_differs(networks, images, tmp_path):
    # The note of the tool matters: same names, another function.
    src, dst = tmp_path / 'a.pkl', tmp_path / 'b.pth'
    src.write_bytes(pickle.dumps(arrays(networks[50])))
    run(src, dst, '--depth', 50)
    caffe = MODELS.build(dict(type='ResNet', depth=50, style='caffe'))
    loaded = caffe.load_state_dict(
        {
            key.removeprefix('backbone.'): value
            for key, value in torch.load(dst)['state_dict'].items()
        },
        strict=False,
    )
    assert not loaded.unexpected_keys
    caffe.eval()
    with torch.no_grad():
        assert not torch.allclose(
            caffe(images)[-1], trunk(networks[50], images), rtol=0.1
        )


def test_old_byte_order(networks, tmp_path):
    content = arrays(networks[18])
    swapped = {k: v.astype(v.dtype.newbyteorder('>')) for k, v in content.items()}
    src, dst = tmp_path / 'a.pkl', tmp_path / 'b.pth'
    src.write_bytes(pickle.dumps(swapped))
    run(src, dst)
    saved = torch.load(dst)['state_dict']
    for key, value in saved.items():
        assert np.array_equal(value, content[key.removeprefix('backbone.')])


def test_head_only_is_refused(networks, tmp_path, capsys):
    src, dst = tmp_path / 'head.pth', tmp_path / 'trunk.pth'
    torch.save({'module.fc.weight': torch.zeros(7, 512)}, src)
    message = refused(src, dst)
    assert '100 entries are missing' in message
    assert '--prefix' in message
    out = capsys.readouterr().out
    assert 'missing:        100 (conv1.weight, ' in out
    assert '... and 94 more)' in out
    assert 'classifier:     1 (module.fc.weight)' in out


@pytest.mark.parametrize(
    'source, asked', [(50, 18), (18, 50), (34, 18), (18, 34), (101, 50)]
)
def test_wrong_depth_is_refused(tmp_path, source, asked):
    # A shallower network of the same blocks finds all it wants in the file.
    with torch.device('meta'):
        net = getattr(torchvision.models, f'resnet{source}')()
    reference = face_weights.reference_shapes('ResNet', asked)
    report = face_weights.convert(net.state_dict(), reference)
    assert not report.ok
    assert f'--depth {source}' in face_weights.explain_mismatch(
        report, net.state_dict(), asked
    )


def test_deeper_file_is_not_written(tmp_path):
    src, dst = tmp_path / 'r34.pth', tmp_path / 'trunk.pth'
    torch.save(torchvision.models.resnet34(num_classes=2).state_dict(), src)
    message = refused(src, dst)
    assert '--depth 34' in message
    assert '0 entries are missing' in message


def test_missing_statistics_are_refused(networks, tmp_path, capsys):
    state = dict(networks[18].state_dict())
    del state['layer3.1.bn2.running_var']
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save(state, src)
    assert '1 entries are missing' in refused(src, dst)
    assert 'missing:        1 (layer3.1.bn2.running_var)' in capsys.readouterr().out


def test_wrong_shape_is_refused(networks, tmp_path, capsys):
    state = dict(networks[18].state_dict())
    state['conv1.weight'] = state['conv1.weight'][:, :1]
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save(state, src)
    refused(src, dst)
    assert (
        'conv1.weight: (64, 1, 7, 7) instead of (64, 3, 7, 7)'
        in capsys.readouterr().out
    )


def test_two_trunks_are_refused(networks, images, tmp_path, capsys):
    state = networks[18].state_dict()
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save(
        {
            **{f'model.{k}': v for k, v in state.items()},
            **{f'module.{k}': torch.zeros_like(v) for k, v in state.items()},
        },
        src,
    )
    message = refused(src, dst)
    assert "'model.' (120 keys), 'module.' (120 keys)" in message
    assert '--prefix' in message

    run(src, dst, '--prefix', 'model.')
    assert torch.equal(imported(dst, 18, images), trunk(networks[18], images))
    assert 'unexpected:     120 (module.conv1.weight, ' in capsys.readouterr().out


def test_prefix_for_other_wrappers(networks, tmp_path):
    state = {f'encoder.{k}': v for k, v in networks[18].state_dict().items()}
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save(state, src)
    assert '--prefix' in refused(src, dst)
    run(src, dst, '--prefix', 'encoder.')
    assert dst.exists()


class Trap:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('options', [(), ('--trust-checkpoint',)])
def test_malicious_pickle_is_not_executed(networks, tmp_path, options):
    trap = tmp_path / 'trap'
    src, dst = tmp_path / 'a.pkl', tmp_path / 'trunk.pth'
    src.write_bytes(pickle.dumps(dict(arrays(networks[18]), x=Trap(trap))))
    message = refused(src, dst, *options)
    assert 'mkdir' in message
    assert not trap.exists()


@pytest.mark.parametrize(
    'attack',
    [
        b'\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.',
        b'cbuiltins\neval\n(S"1"\ntR.',
        b'c_codecs\nencode\n(S"a"\nS"zlib"\ntR.',
    ],
)
def test_unpickler_allows_listed_names_only(attack):
    with pytest.raises(ValueError, match='it asks for'):
        face_weights.load_arrays(attack)


def test_torch_objects_need_trust(networks, images, tmp_path):
    trap = tmp_path / 'trap'
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save(dict(state_dict=networks[18].state_dict(), best=Trap(trap)), src)
    message = refused(src, dst)
    assert '--trust-checkpoint' in message
    assert not trap.exists()
    with pytest.warns(UserWarning, match='may run code'):
        run(src, dst, '--trust-checkpoint')
    assert trap.exists()
    assert torch.equal(imported(dst, 18, images), trunk(networks[18], images))


def test_trust_does_not_warn_without_need(networks, tmp_path, recwarn):
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save(networks[18].state_dict(), src)
    run(src, dst, '--trust-checkpoint')
    assert not [w for w in recwarn if 'may run code' in str(w.message)]


def test_whole_network_of_old_torch(networks, tmp_path):
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save(networks[18].state_dict(), src, _use_new_zipfile_serialization=False)
    run(src, dst)
    assert dst.exists()


@pytest.mark.parametrize(
    'content, word',
    [
        (b'<!DOCTYPE html>', 'web page'),
        (b'PK\x03\x04 cut', 'incomplete'),
        (b'', 'complete'),
        (pickle.dumps([1]), 'without tensors'),
    ],
)
def test_other_files(tmp_path, content, word):
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    src.write_bytes(content)
    message = refused(src, dst)
    assert str(src) in message
    assert word in message


def test_unusable_arguments(networks, tmp_path):
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    assert 'no such file' in refused(src, dst)
    torch.save(networks[18].state_dict(), src)
    assert '--depth' in refused(src, dst, '--depth', 19)
    assert '--backbone-type' in refused(src, dst, '--backbone-type', 'Rest')
    assert 'do not match' in refused(src, dst, '--backbone-type', 'ResNetSmallStem')
    with pytest.raises(SystemExit, match='overwrite itself'):
        run(src, src)
    assert set(torch.load(src)) == set(networks[18].state_dict())


def test_refusal_keeps_an_earlier_import(tmp_path):
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    dst.write_bytes(b'earlier')
    torch.save({'fc.weight': torch.zeros(7, 512)}, src)
    with pytest.raises(SystemExit):
        run(src, dst)
    assert dst.read_bytes() == b'earlier'
    assert sorted(os.listdir(tmp_path)) == ['a.pth', 'trunk.pth']


def test_exit_code(tmp_path):
    src, dst = tmp_path / 'a.pth', tmp_path / 'trunk.pth'
    torch.save({'fc.weight': torch.zeros(7, 512)}, src)
    done = subprocess.run(
        [sys.executable, str(TOOL), str(src), str(dst)],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert 'missing:        100' in done.stdout
    assert 'Nothing was written.' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not dst.exists()
