"""The demo says what it sees, and what is wrong."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, call_tool, environment, load_tool, tiny_config, train
from PIL import Image


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp('work_dir')
    train(tiny_config(folder, image_size=(36, 36), train_cfg__max_epochs=1))
    return folder


def demo(monkeypatch, *arguments):
    monkeypatch.setattr('sys.argv', ['x', *map(str, arguments)])
    load_tool('demo.py').main()


def test_image(work_dir, tmp_path, monkeypatch, capsys):
    face = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    )
    face.save(tmp_path / 'face.png')
    demo(
        monkeypatch,
        tmp_path / 'face.png',
        '--model',
        work_dir,
        '--out',
        tmp_path / 'out',
    )
    line = capsys.readouterr().out.splitlines()[-2]
    assert line.startswith(str(tmp_path / 'face.png'))
    assert 'uncertainty' in line and '%' in line
    assert len(list((tmp_path / 'out').glob('*_face.png'))) == 1


def test_folder_with_a_broken_image(work_dir, tmp_path, monkeypatch, capsys):
    """The others are looked at all the same."""
    Image.new('L', (40, 40), 90).save(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes(b'')
    with pytest.raises(SystemExit) as error:
        demo(monkeypatch, tmp_path, '--model', work_dir, '--out', tmp_path / 'out')
    assert error.value.code == 3
    said = capsys.readouterr().out
    a, b = (line for line in said.splitlines() if '.png' in line)
    assert 'uncertainty' in a and 'b.png' in b and 'uncertainty' not in b


@pytest.mark.parametrize(
    'content, message', [(None, 'there is no such file'), (b'', 'is empty')]
)
def test_no_image(work_dir, tmp_path, content, message):
    path = tmp_path / 'x.png'
    if content is not None:
        path.write_bytes(content)
    said = call_tool(
        'demo.py', path, '--model', work_dir, '--out', tmp_path / 'out', code=1
    )
    assert str(path) in said and message in said


def test_errors_come_without_a_traceback(work_dir, tmp_path):
    path = tmp_path / 'x.png'
    path.write_bytes(b'hello')
    done = subprocess.run(
        [
            sys.executable,
            'tools/demo.py',
            str(path),
            '--model',
            str(work_dir),
            '--out',
            str(tmp_path / 'out'),
        ],
        cwd=ROOT,
        text=True,
        env=environment(),
        capture_output=True,
    )
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert str(path) in last and 'not a readable image' in last
