"""A wheel holds all that an installation needs, and works without a checkout."""

import functools
import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

SMALL = [
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'train_dataloader.dataset.num_samples=96',
    'train_dataloader.batch_size=32',
    'val_dataloader.dataset.num_samples=50',
    'test_dataloader.dataset.num_samples=50',
    'train_cfg.max_epochs=1',
]
NAME = 'alum_r18_synthfaces_noise30'
BUILD = 'import setuptools.build_meta as b; b.build_{}("..")'
# openmim imports pkg_resources, which setuptools 82 no longer has.
HAS_MIM = all(map(importlib.util.find_spec, ('mim', 'pkg_resources')))


def call(*command, code=0, **kwargs):
    """Run a program outside the checkout, and return what it says."""
    done = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
        | dict(OMP_NUM_THREADS='1', COLUMNS='200'),
        **kwargs,
    )
    assert done.returncode == code, done.stdout[-3000:]
    return done.stdout


def build(kind, folder):
    call(sys.executable, '-c', BUILD.format(kind), cwd=folder)


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    """The committed files, with what must not be packed beside them."""
    copy = tmp_path_factory.mktemp('packaging') / 'copy'
    call('git', 'clone', '-q', '--depth', '1', f'file://{ROOT}', copy)
    for path in (
        'build/lib/mmfer/gone.py',
        'data/face.png',
        'work_dirs/run/epoch_1.pth',
        'tools/__pycache__/train.cpython-311.pyc',
        'configs/__pycache__/x.py',
        'mmfer/__pycache__/x.cpython-311.pyc',
    ):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text('')
    return copy


@pytest.fixture(scope='module')
def wheel(copy):
    build('wheel', copy)
    (wheel,) = copy.parent.glob('*.whl')
    return wheel


@pytest.fixture(scope='module')
def python(wheel, tmp_path_factory):
    """An environment with the wheel; the other packages are those of this one.

    A full installation would take 5.6 GB. The folder comes from a line of a .pth file,
    whose own .pth files, such as that of an editable mmfer, Python does not read.
    """
    folder = tmp_path_factory.mktemp('environment')
    call(sys.executable, '-m', 'venv', folder)
    python = folder / 'bin/python'
    code = (
        'import sys; print(*(p for p in sys.path if "site-packages" in p), sep="\\n")'
    )
    others = call(sys.executable, '-c', code)
    site = Path(call(python, '-c', code).strip())
    (site / 'zz_others.pth').write_text(others)
    # Another mmfer may be seen through that file.
    options = ['-q', '--no-deps', '--no-index', '--ignore-installed']
    call(python, '-m', 'pip', 'install', *options, wheel)
    code = 'import mmfer, mmfer_command as m; print(mmfer.__file__, m.__file__)'
    for path in call(python, '-c', code, cwd=folder).split()[-2:]:
        assert Path(path).is_relative_to(site)
    return python


def shipped():
    """Files of the repository that belong into ``mmfer/.mim``."""
    files = call('git', 'ls-files', 'configs', 'tools', 'model-index.yml', cwd=ROOT)
    return {name for name in files.split() if not name.startswith('tools/docs/')}


@pytest.mark.slow
def test_wheel_has_what_it_needs_and_nothing_else(wheel):
    found = set(zipfile.ZipFile(wheel).namelist())
    packed = call('git', 'ls-files', 'mmfer', 'mmfer_command', cwd=ROOT).split()
    expected = {*packed, *(f'mmfer/.mim/{name}' for name in shipped())}
    about = {name for name in found if '.dist-info/' in name}
    for notice in ('LICENSE', 'NOTICE'):
        assert any(name.endswith(f'/{notice}') for name in about)
    assert found - about == expected
    (entry,) = (name for name in about if name.endswith('entry_points.txt'))
    text = zipfile.ZipFile(wheel).read(entry).decode()
    assert 'mmfer = mmfer_command.main:main' in text
    assert {
        'mmfer/analysis/review/web/page.html',
        'mmfer/analysis/review/web/main.js',
        'mmfer/weights/alum_tiny_ferplus.pth',
        'mmfer/weights/alum_tiny_ferplus.json',
        'mmfer/.mim/model-index.yml',
        'mmfer/.mim/tools/train.py',
    } <= found


@pytest.mark.slow
def test_sdist_makes_the_same_wheel(copy, wheel, tmp_path):
    build('sdist', copy)
    (archive,) = copy.parent.glob('*.tar.gz')
    call('tar', 'xzf', archive, cwd=tmp_path)
    folder = tmp_path / archive.name.removesuffix('.tar.gz')
    build('wheel', folder)
    (other,) = tmp_path.glob('*.whl')
    first, second = map(zipfile.ZipFile, (wheel, other))
    assert sorted(first.namelist()) == sorted(second.namelist())
    for name in first.namelist():
        if '.dist-info/' not in name:
            assert first.read(name) == second.read(name), name


@pytest.mark.slow
def test_editable_installation_links_to_the_checkout(copy):
    """Git sees no new file."""
    before = call('git', 'status', '--short', cwd=copy)
    for _ in range(2):
        build('editable', copy)
    folder = copy / 'mmfer/.mim'
    assert {path.name for path in folder.iterdir()} == {
        'configs',
        'tools',
        'model-index.yml',
    }
    for path in folder.iterdir():
        assert path.is_symlink() and path.samefile(copy / path.name)
    assert call('git', 'status', '--short', cwd=copy) == before
    # Links are relative, so a moved checkout keeps them.
    assert not os.path.isabs(os.readlink(folder / 'configs'))


@pytest.mark.slow
def test_wheel_works_without_a_checkout(python, tmp_path):
    """Train, test, clean, predict, and a config that inherits from the package."""
    mmfer = python.parent / 'mmfer'
    run = functools.partial(call, cwd=tmp_path)
    run(mmfer, 'train', NAME, '--cfg-options', *SMALL)
    folder = tmp_path / 'work_dirs' / NAME
    summary = json.loads((folder / 'summary.json').read_text())
    checkpoint = folder / 'epoch_1.pth'
    out = ['--out', 'metrics.json', '--out-item', 'metrics']
    options = ['--work-dir', 'test', '--cfg-options', *SMALL]
    run(mmfer, 'test', f'alum/{NAME}.py', checkpoint, *out, *options)
    tested = json.loads((tmp_path / 'metrics.json').read_text())
    for name, value in summary['metrics'].items():
        assert tested[name] == pytest.approx(value['last']), name
    own = f"_base_ = 'mmfer::alum/{NAME}.py'\ntrain_cfg = dict(max_epochs=7)\n"
    (tmp_path / 'own.py').write_text(own)
    run(mmfer, 'train', 'own.py', '--cfg-options', *SMALL)
    assert (tmp_path / 'work_dirs/own/epoch_1.pth').exists()
    tool = python.parent.parent.glob('lib/*/site-packages/mmfer/.mim/tools/train.py')
    run(python, *tool, 'own.py', '--work-dir', 'tool', '--cfg-options', *SMALL)
    code = (
        'import mmfer; from mmengine.config import Config;'
        'print(Config.fromfile("own.py").train_cfg.max_epochs)'
    )
    assert run(python, '-c', code).split()[-1] == '7'
    run(mmfer, 'clean', 'own.py', '--out', 'cleaned', '--cfg-options', *SMALL[:-1])
    assert (tmp_path / 'cleaned/sample_scores.csv').exists()
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(tmp_path / 'face.png')
    assert 'face.png: ' in run(mmfer, 'predict', 'face.png', '--out', 'faces.csv')
    assert (tmp_path / 'faces.csv').read_text().count('\n') == 2
    said = run(mmfer, 'doctor')
    assert ' 0 failures' in f' {said.splitlines()[-1]}' and '.mim/configs' in said


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MIM, reason='needs openmim and setuptools<82')
def test_openmim(python, tmp_path):
    """OpenMMLab's program lists, searches, trains, tests and runs mmfer."""

    def mim(*line, code=0):
        start = [python, '-c', 'from mim.cli import cli; cli()']
        return call(*start, *line, cwd=tmp_path, code=code)

    assert any(
        line.split()[:2] == ['mmfer', metadata.version('mmfer')]
        for line in mim('list').splitlines()
    )
    assert 'config id: alum_tiny_ferplus' in mim('search', 'mmfer')
    options = ['--cfg-options', *SMALL]
    mim('train', 'mmfer', f'{NAME}.py', '--work-dir', 'run', *options)
    said = mim(
        *('test', 'mmfer', f'{NAME}.py', '--checkpoint', 'run/epoch_1.pth'),
        *('--work-dir', 'tested', *options),
    )
    assert 'accuracy/top1' in said
    assert 'entries' in mim('run', 'mmfer', 'cache')
    search = ['--search-args', '--optim_wrapper.optimizer.lr 0.001 0.002']
    work_dir = ['--gpus', '0', '--work-dir', 'grid']
    mim('gridsearch', 'mmfer', f'{NAME}.py', *work_dir, *search, *options)
    assert len(list(tmp_path.glob('grid*/summary.json'))) == 2


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MIM, reason='needs openmim and setuptools<82')
def test_openmim_downloads_once_the_weights_have_an_address(python, tmp_path):
    """Today they are a file of the package; a server stands in for a host."""
    (site,) = python.parent.parent.glob('lib/*/site-packages/mmfer')
    weights = 'mmfer/weights/alum_tiny_ferplus.pth'
    line = ['download', 'mmfer', '--config', 'alum_tiny_ferplus', '--dest', 'here']
    start = [python, '-c', 'from mim.cli import cli; cli()']
    said = call(*start, *line, cwd=tmp_path, code=1)
    assert weights in said and 'No scheme supplied' in said
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(site / 'weights')
    )
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}/alum_tiny_ferplus.pth'
    file = site / '.mim/configs/alum/metafile.yml'
    text = file.read_text()
    try:
        file.write_text(text.replace(weights, address))
        call(*start, *line, cwd=tmp_path)
    finally:
        file.write_text(text)
        server.shutdown()
    found = (tmp_path / 'here/alum_tiny_ferplus.pth').read_bytes()
    assert found == (site / 'weights/alum_tiny_ferplus.pth').read_bytes()
    assert (tmp_path / 'here/alum_tiny_ferplus.py').exists()
