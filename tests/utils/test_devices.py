"""The best device is the default; unknown ones are refused."""

import argparse
import importlib
from pathlib import Path

import pytest
import torch
from helpers import load_tool

from mmfer.utils import devices
from mmfer.utils.devices import add_device_argument, choose_device, synchronize

TOOLS = [
    'benchmarks/train_speed.py',
    'benchmarks/attack_speed.py',
    'benchmarks/inference_speed.py',
]


def test_the_best_one_is_the_default(monkeypatch):
    monkeypatch.setattr(devices, 'get_device', lambda: 'cuda')
    assert choose_device() == torch.device('cuda')
    assert (
        choose_device('cpu')
        == choose_device(torch.device('cpu'))
        == torch.device('cpu')
    )
    parser = argparse.ArgumentParser()
    add_device_argument(parser)
    assert parser.parse_args([]).device == torch.device('cuda')
    assert parser.parse_args(['--device', 'cpu']).device.type == 'cpu'


@pytest.mark.parametrize('name', ['gpu', 'meta', '', 'cuda:99', 'xla'])
def test_what_cannot_compute_is_named(name, capsys):
    with pytest.raises(ValueError) as error:
        choose_device(name)
    text = str(error.value)
    assert text.startswith(f'device {name!r} cannot be used: ')
    assert 'Leave it out' in text and '\n' not in text
    parser = argparse.ArgumentParser()
    add_device_argument(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f'--device={name}'])
    assert 'cannot be used' in capsys.readouterr().err


def test_clocks_wait_for_devices_that_run_behind(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, 'synchronize', waited.append)
    synchronize('cpu')
    assert not waited
    synchronize('cuda:1')
    assert waited == [torch.device('cuda:1')]


@pytest.mark.parametrize('path', TOOLS)
def test_tools_ask_for_no_cpu(path):
    tool = load_tool(path)
    assert tool.add_device_argument is add_device_argument
    assert "device='cpu'" not in Path(tool.__file__).read_text()


def test_models_of_figures_are_on_the_best_device(monkeypatch, tmp_path):
    runs = importlib.import_module('mmfer.analysis.runs')
    model = torch.nn.Linear(1, 1)
    config = tmp_path / 'config.py'
    config.write_text('')
    monkeypatch.setattr(runs, 'get_model', lambda cfg: model)
    monkeypatch.setattr(runs, 'load_weights', lambda *args: None)
    monkeypatch.setattr(devices, 'get_device', lambda: 'meta')
    assert runs.open_model(str(config), '')[1].weight.device.type == 'meta'


@pytest.mark.parametrize('bf16, amx', [(True, False), (False, True), (False, False)])
def test_native_bfloat16(monkeypatch, bf16, amx):
    monkeypatch.setattr(
        torch.cpu, '_is_avx512_bf16_supported', lambda: bf16, raising=False
    )
    monkeypatch.setattr(torch.cpu, '_is_amx_tile_supported', lambda: amx, raising=False)
    assert devices.bf16_is_fast('cpu') == (bf16 or amx)
    assert not devices.bf16_is_fast('mps')
