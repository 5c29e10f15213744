"""Errors about checkpoints and work dirs that do not fit."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

import mmfer
from mmfer import FERInferencer


def test_bad_checkpoints(work_dir, tmp_path):
    path = tmp_path / 'bad.pth'

    def refused(match):
        with pytest.raises(ValueError, match=match):
            FERInferencer(str(work_dir), str(path))
        (config,) = work_dir.glob('*.py')
        with pytest.raises(ValueError, match=match):
            mmfer.get_model(str(config), pretrained=str(path))

    path.write_bytes(b'not a checkpoint')
    refused('is not a checkpoint')
    path.write_bytes(b'')
    refused('is empty')
    *_, good = sorted(work_dir.glob('*.pth'))
    data = good.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused('is truncated')
    path.unlink()
    refused('no such checkpoint')
    for content in ([1], dict(state_dict=None), 7):
        torch.save(content, path)
        refused('has no weights')

    def changed(**tensors):
        state = torch.load(good, weights_only=True)['state_dict']
        state.update(tensors)
        torch.save(dict(state_dict=state, meta=[1]), path)

    changed()
    assert FERInferencer(str(work_dir), str(path)).model.rejection is None
    state = torch.load(good, weights_only=True)['state_dict']
    key = next(iter(state))
    changed(**{key: state[key][:-1]})
    refused(f'another model.*do not fit: {key}')
    changed(other=torch.ones(2))
    refused(r'other \(not in this model\)')
    changed(**{key: state[key] * float('nan')})
    refused(f'{key} has values that are not finite')


class Evil:
    """An object that runs code when it is unpickled."""

    def __reduce__(self):
        return (open, ('evil_ran', 'w'))


def test_checkpoints_run_no_code(work_dir, tmp_path, monkeypatch):
    """Neither local files nor downloads may run code."""
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, meta=Evil()), 'evil.pth')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(SimpleHTTPRequestHandler, 'log_message', lambda *args: None)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}/evil.pth'
    (config,) = work_dir.glob('*.py')
    try:
        with pytest.raises(ValueError, match='contains Python objects'):
            mmfer.get_model('resnet18_8xb32_in1k', pretrained=address)
        for path in ('evil.pth', address):
            with pytest.raises(ValueError, match='contains Python objects'):
                FERInferencer(str(work_dir), path)
            with pytest.raises(ValueError, match='contains Python objects'):
                mmfer.get_model(str(config), pretrained=path)
    finally:
        server.shutdown()
        server.server_close()
    assert not (tmp_path / 'evil_ran').exists()
    with pytest.raises(ValueError, match='only http and https'):
        FERInferencer(str(work_dir), 'ftp://127.0.0.1/evil.pth')


def test_a_checkpoint_of_another_number_of_classes(work_dir):
    cfg = Config.fromfile(next(work_dir.glob('*.py')))
    cfg.data_preprocessor.num_classes = 8
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    with pytest.raises(
        ValueError, match=(r'head.fc.weight \(7, 64\) instead of \(8, 64\)')
    ):
        FERInferencer(cfg, checkpoint)


def test_bad_work_dirs(work_dir, tmp_path):
    with pytest.raises(ValueError, match='found none'):
        FERInferencer(str(tmp_path))
    (config,) = work_dir.glob('*.py')
    (tmp_path / config.name).write_text(config.read_text())
    with pytest.raises(ValueError, match='no last_checkpoint'):
        FERInferencer(str(tmp_path))


def test_checkpoint_of_another_project(work_dir, tmp_path):
    """mmengine's own hook stores objects of mmengine."""
    path = tmp_path / 'mm.pth'
    *_, good = sorted(work_dir.glob('*.pth'))
    state = torch.load(good, weights_only=True)['state_dict']
    torch.save(dict(state_dict=state, message_hub=HistoryBuffer([1.0], [1])), path)
    with pytest.raises(ValueError) as error:
        FERInferencer(str(work_dir), str(path))
    text = str(error.value)
    assert (
        text.startswith(f'{path} contains Python objects') and text.count('.pth') == 1
    )
    assert 'SafeCheckpointHook' in text and '\n' not in text
