"""Parts of mmfer in configs of mmpretrain, as docs/tasks/mmpretrain.md shows them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT
from PIL import Image

from mmfer_command.main import main

PAGE = Path(ROOT, 'docs/tasks/mmpretrain.md')


def run(*line):
    with pytest.raises(SystemExit) as done:
        main(list(line))
    assert done.value.code is None, done.value.code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The configs of the page, and the folder that they name."""
    rng = np.random.default_rng(0)
    for name in ('angry', 'calm', 'glad'):
        (tmp_path / 'my_faces' / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 255, (70, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'my_faces' / name / f'{i}.png')
    form = r'```python\n# (\w+\.py).*?\n(.*?)```'
    for name, text in re.findall(form, PAGE.read_text(), re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('name', ['my_mmpretrain', 'my_classifier'])
def test_configs_of_the_page(folder, name):
    safe = 'default_hooks.checkpoint.type=mmfer.SafeCheckpointHook'
    options = ['--cfg-options', safe] if name == 'my_classifier' else []
    run('train', f'{name}.py', *options)
    checkpoint = f'work_dirs/{name}/epoch_1.pth'
    if name == 'my_mmpretrain':
        with pytest.raises(SystemExit, match='--trust-checkpoint'):
            main(['test', f'{name}.py', checkpoint])
        run('test', f'{name}.py', checkpoint, '--trust-checkpoint')
    else:
        torch.load(checkpoint, weights_only=True)
        run('test', f'{name}.py', checkpoint)


def test_operations_and_activation_maps(tmp_path, monkeypatch):
    """The two scripts of the page that use other libraries."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save('face.png')
    scripts = re.findall(r'```python\n((?:import|from).*?)```', PAGE.read_text(), re.S)
    assert len(scripts) == 2
    exec(compile(scripts[0], 'flops', 'exec'), {})
    pytest.importorskip('pytorch_grad_cam')
    exec(compile(scripts[1], 'cam', 'exec'), {})
    assert np.asarray(Image.open('cam.png')).shape == (44, 44, 3)
