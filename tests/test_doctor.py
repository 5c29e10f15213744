"""The doctor finds what is wrong, where nothing else works."""

import subprocess
import sys
import venv
from importlib import metadata

import pytest
from helpers import ROOT, environment

from mmfer.utils.cache import cache_folder
from mmfer_command import doctor, probes
from mmfer_command.main import main
from mmfer_command.probes import FAIL, OK, WARN

FOUND = dict(cuda='13.0', hip=None, names=[], reason='driver too old', threads=2)


def levels(lines):
    return [line.level for line in lines]


def distribution(folder, name, version, *requires):
    """Metadata of a package that is not there."""
    path = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    path.mkdir(parents=True)
    lines = ['Metadata-Version: 2.1', f'Name: {name}', f'Version: {version}']
    lines += [f'Requires-Dist: {text}' for text in requires]
    (path / 'METADATA').write_text('\n'.join(lines) + '\n')


def examine(python, *paths, flags=()):
    """Run the doctor of this checkout with another interpreter or other packages."""
    done = subprocess.run(
        [str(python), '-m', 'mmfer_command', 'doctor', *flags],
        capture_output=True,
        text=True,
        env=environment() | dict(PYTHONPATH=':'.join([*map(str, paths), ROOT])),
    )
    assert 'Traceback' not in done.stdout + done.stderr
    return done.returncode, done.stdout


def test_this_installation_is_whole(capsys):
    assert metadata.version('torch')
    with pytest.raises(SystemExit) as error:
        main(['doctor', '--fast'])
    said = capsys.readouterr().out
    assert error.value.code == 0, said
    assert f'configs in {ROOT}/configs' in said and 'torchvision' in said


def test_extras(monkeypatch):
    """Any extra of the metadata has a line, with what installs it."""
    requirements = [
        'numpy>=1.24',
        'timm>=1.0; extra == "timm"',
        'no-such-package[x]>=2,<3 ; extra == "onnx"',
        'timm (>=1.0) ; extra == "onnx"',
        "pytest; extra == 'tests' and python_version < '4'",
        'mmcv-lite>=2.0.0; extra == "lite"',
    ]
    monkeypatch.setattr(doctor.metadata, 'requires', lambda name: requirements)
    here, missing = doctor.check_extras()
    assert here.text == f'extra [timm]: timm {metadata.version("timm")}'
    assert here.advice == '' and here.level == missing.level == OK
    assert missing.text == 'extra [onnx] is not installed: no-such-package'
    assert missing.advice.endswith('-m pip install "no-such-package[x]>=2,<3"`.')


def test_extras_without_metadata(monkeypatch):
    def fail(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, 'requires', fail)
    assert list(doctor.check_extras()) == []


def test_weights_and_a_training_step():
    assert levels(probes.check_model()) == [OK, OK]


def test_nothing_is_installed(tmp_path):
    """A new environment has neither torch nor mmcv."""
    venv.create(tmp_path / 'env', with_pip=False, symlinks=True)
    code, said = examine(tmp_path / 'env/bin/python')
    assert code == 1
    assert 'mmfer needs numpy, torch, torchvision' in said
    assert 'FAIL  import torch, torchvision: ModuleNotFoundError: No module' in said
    assert 'FAIL  import mmfer, load alum_tiny_ferplus, train a step: ' in said
    assert f'configs in {ROOT}/configs' in said


@pytest.mark.parametrize(
    'code, reason',
    [
        ("raise OSError('libcudart.so.13: cannot open')", 'OSError: libcudart.so.13'),
        ('import os; os.kill(os.getpid(), 11)', 'the process crashed (SIGSEGV)'),
        ('import os; os._exit(3)', 'no message'),
    ],
)
def test_torch_is_broken(tmp_path, code, reason):
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'torch/__init__.py').write_text(code)
    code, said = examine(sys.executable, tmp_path)
    assert code == 1
    assert f'FAIL  import torch, torchvision: {reason}' in said
    assert '--force-reinstall torch torchvision' in said


def test_torchvision_is_broken(tmp_path):
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision/__init__.py').write_text("raise RuntimeError('no nms')")
    code, said = examine(sys.executable, tmp_path)
    assert code == 1 and 'RuntimeError: no nms' in said


def test_packages_that_do_not_fit(tmp_path):
    distribution(tmp_path, 'torchvision', '0.20.0', 'numpy', 'torch==2.5.0')
    distribution(tmp_path, 'mmengine', '0.10.7')
    distribution(tmp_path, 'onedl-mmengine', '0.10.12')
    distribution(tmp_path, 'opencv-python', '4.9')
    distribution(tmp_path, 'opencv-python-headless', '4.9')
    code, said = examine(sys.executable, tmp_path, flags=['--fast'])
    assert code == 1
    assert 'FAIL  torchvision 0.20.0 is built for torch 2.5.0, not for' in said
    assert 'mmengine 0.10.7 and onedl-mmengine 0.10.12' in said
    assert 'WARN  opencv-python, opencv-python-headless overwrite the files' in said
    assert 'uninstall -y opencv-python opencv-python-headless' in said


def test_old_torch(monkeypatch):
    versions = dict(torch='2.5.1+cpu', torchvision='0.20.1')
    monkeypatch.setattr(doctor, 'version_of', versions.get)
    monkeypatch.setattr(metadata, 'requires', lambda name: ['torch (==2.5.1)'])
    first, second = doctor.check_torch_pair()
    assert first.level == FAIL and '2.6' in first.advice
    # The local part of a version, such as +cpu, says nothing about fitting.
    assert second.level == OK


@pytest.mark.parametrize(
    'changes, machine, visible, level, text',
    [
        ({}, [], None, OK, 'no GPU in this machine'),
        (dict(names=['H100']), ['H100'], None, OK, 'GPUs for torch: H100'),
        ({}, ['H100'], '', WARN, 'CUDA_VISIBLE_DEVICES= hides 1 GPUs'),
        ({}, ['H100'], '-1', WARN, 'CUDA_VISIBLE_DEVICES=-1 hides'),
        (dict(cuda=None), ['H100'], None, WARN, 'torch is built for CPUs'),
        ({}, ['H100'], '0', WARN, 'does not see H100: driver too old'),
    ],
)
def test_why_there_is_no_gpu(changes, machine, visible, level, text, monkeypatch):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    (line,) = probes.gpu_lines(FOUND | changes, machine)
    assert line.level == level and text in line.text
    assert bool(line.advice) == (level != OK)


def test_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'cache'))
    (line,) = doctor.check_cache()
    assert line.level == OK and '0.00 of 20 GiB' in line.text
    assert not (tmp_path / 'cache').exists()
    (tmp_path / 'cache/images/x.partial').mkdir(parents=True)
    (tmp_path / 'cache/images/x.partial/data').write_bytes(bytes(1 << 25))
    (line,) = doctor.check_cache()
    assert '0.03 of' in line.text and '1 unfinished' in line.text
    monkeypatch.setattr(doctor, 'can_lock', lambda folder: False)
    (line,) = doctor.check_cache()
    assert line.level == WARN and 'MMFER_CACHE_DIR' in line.advice
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MMFER_CACHE_DIR', str(tmp_path / 'file/cache'))
    (line,) = doctor.check_cache()
    assert line.level == WARN and 'cannot be written' in line.text
    monkeypatch.setenv('MMFER_CACHE_GB', 'much')
    (line,) = doctor.check_cache()
    assert line.level == FAIL and "MMFER_CACHE_GB='much'" in line.text
    monkeypatch.setenv('MMFER_CACHE_GB', '0')
    assert levels(doctor.check_cache()) == [OK]


@pytest.mark.parametrize(
    'values',
    [
        {},
        dict(MMFER_CACHE_DIR='~/x'),
        dict(XDG_CACHE_HOME='/c'),
        dict(XDG_CACHE_HOME='c'),
    ],
)
def test_folder_of_the_cache_is_that_of_mmfer(values, monkeypatch):
    for name in ('MMFER_CACHE_DIR', 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert str(doctor.cache_folder()) == cache_folder()


@pytest.mark.parametrize(
    'free, level', [(100 << 20, FAIL), (2 << 30, WARN), (50 << 30, OK)]
)
def test_disk(free, level, monkeypatch):
    usage = type('Usage', (), dict(free=free, total=64 << 20))
    monkeypatch.setattr(doctor.shutil, 'disk_usage', lambda folder: usage)
    lines = list(doctor.check_disk())
    assert lines[0].level == level
    assert doctor.numbers('2.14.1+cpu') == (2, 14)


def test_threads(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '4096')
    (line,) = doctor.check_cores()
    assert line.level == WARN and 'OMP_NUM_THREADS' in line.advice
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    assert levels(doctor.check_cores()) == [OK]


def test_another_mmfer_in_this_folder(tmp_path, monkeypatch):
    (tmp_path / 'mmfer').mkdir()
    (tmp_path / 'mmfer/__init__.py').write_text('')
    monkeypatch.chdir(tmp_path)
    assert WARN in levels(doctor.check_mmfer())


def test_a_check_that_fails_is_a_line():
    def check_nothing():
        yield doctor.Line(OK, 'fine')
        raise KeyError('x')

    first, second = doctor.results_of(check_nothing)
    assert first.level == OK
    assert second.level == FAIL and "nothing: KeyError: 'x'" in second.text
