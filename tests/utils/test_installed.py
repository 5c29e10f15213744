"""Packages that overwrite one another are refused, whatever else is installed."""

import itertools
import os
import subprocess
import sys
import time

import pytest
from helpers import ROOT

from mmfer.utils import installed


def install(folder, module: str = '', **versions) -> None:
    """Make metadata of distributions, and a module, as pip leaves them.

    Args:
        folder (Path): Folder for packages.
        module (str): Import package to make; none if empty.
        **versions: Version by distribution, with ``_`` for dashes.
    """
    for name, version in versions.items():
        info = folder / f'{name}-{version}.dist-info'
        info.mkdir(parents=True)
        (info / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name.replace("_", "-")}\n'
            f'Version: {version}\n'
        )
    if module:
        (folder / module).mkdir()
        (folder / module / '__init__.py').write_text('')


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Only folder on the search path; all needed modules seem to be there."""
    folder = tmp_path / 'site'
    folder.mkdir()
    monkeypatch.setattr(sys, 'path', [str(folder)])
    monkeypatch.setattr(installed, 'is_missing', lambda name: False)
    return folder


@pytest.mark.parametrize('pair', installed.FORKS)
def test_package_and_its_fork(site, pair):
    """Also if both have the same version: their files differ."""
    original, fork = pair
    install(site, **{original: '1.0', fork.replace('-', '_'): '1.0'})
    with pytest.raises(ImportError) as error:
        installed.check_installed()
    said = str(error.value)
    assert f'{original} 1.0 and {fork} 1.0' in said
    assert f'`python -m pip uninstall -y {original} {fork}`' in said
    assert f'`python -m pip install {original}`' in said
    assert f'`python -m pip install --no-deps {fork}`' in said


def test_all_mixtures_are_named_at_once(site):
    install(
        site, mmengine='1', onedl_mmengine='2', mmpretrain='3', onedl_mmpretrain='4'
    )
    install(site, mmcv_lite='5', onedl_mmcv='6')
    with pytest.raises(ImportError) as error:
        installed.check_installed()
    said = str(error.value)
    assert (
        'uninstall -y mmengine onedl-mmengine mmpretrain onedl-mmpretrain '
        'mmcv-lite onedl-mmcv`'
    ) in said
    assert 'pip install mmengine mmpretrain mmcv-lite`' in said
    assert 'pip install --no-deps onedl-mmengine onedl-mmpretrain mmcv-lite`' in said


@pytest.mark.parametrize('names', list(itertools.combinations(installed.MMCV, 2)))
def test_forms_of_mmcv(site, names):
    """One version has the same files in both forms; two versions make a mixture."""
    first, second = (name.replace('-', '_') for name in names)
    install(site, **{first: '2.2.0', second: '2.2.0'})
    installed.check_installed()
    (site / f'{second}-2.2.0.dist-info').rename(site / f'{second}-2.1.0.dist-info')
    metadata = site / f'{second}-2.1.0.dist-info/METADATA'
    metadata.write_text(metadata.read_text().replace('2.2.0', '2.1.0'))
    with pytest.raises(ImportError, match='uninstall -y') as error:
        installed.check_installed()
    assert all(name in str(error.value) for name in names)
    assert '`python -m pip install mmcv-lite`' in str(error.value)


@pytest.mark.parametrize(
    'names', list(itertools.product(*installed.FORKS, installed.MMCV))
)
def test_one_of_a_kind(site, names):
    """One mmengine, one mmpretrain and one mmcv overwrite nothing."""
    install(site, **{name.replace('-', '_'): '1.0' for name in names})
    installed.check_installed()


def test_no_metadata(site):
    """Checkouts on the search path have none."""
    installed.check_installed()


def test_other_folder_of_the_search_path(site, tmp_path, monkeypatch):
    """The first folder hides the second; no file is overwritten."""
    other = tmp_path / 'other'
    install(site, mmengine='1.0')
    install(other, onedl_mmengine='1.0')
    monkeypatch.setattr(sys, 'path', [str(other), str(site)])
    installed.check_installed()


def test_same_folder_by_two_names(site, tmp_path, monkeypatch):
    """Such as lib and lib64 of a virtual environment."""
    install(site, mmengine='1.0', onedl_mmengine='1.0')
    (tmp_path / 'link').symlink_to(site)
    monkeypatch.setattr(sys, 'path', [str(tmp_path / 'link'), str(site)])
    with pytest.raises(ImportError, match='installed together'):
        installed.check_installed()


def test_left_over_metadata_folder(site):
    """What pip leaves if a file in it was not pip's own."""
    install(site, mmengine='1.0')
    (site / 'onedl_mmengine-1.0.dist-info').mkdir()
    (site / '~nedl_mmengine-1.0.dist-info').mkdir()
    installed.check_installed()


def import_mmfer(*folders) -> str:
    """Import mmfer without site-packages; returns the last line of the error."""
    found = subprocess.run(
        [sys.executable, '-S', '-c', 'import mmfer'],
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([*map(str, folders), ROOT])),
        cwd='/',
    )
    assert found.returncode == 1
    return found.stderr.splitlines()[-1]


def test_import_of_a_mixture(tmp_path):
    """The message comes first, even if the mixture cannot be imported."""
    install(tmp_path, 'mmengine', mmengine='0.10.7', onedl_mmengine='0.10.12')
    (tmp_path / 'mmengine/__init__.py').write_text('from .gone import nothing')
    said = import_mmfer(tmp_path)
    assert said.startswith(
        'ImportError: These packages are installed together: mmengine 0.10.7 and '
        'onedl-mmengine 0.10.12.'
    )


def test_missing_packages(tmp_path):
    said = import_mmfer()
    assert said.startswith(
        'ImportError: mmfer needs numpy, torch, torchvision, cv2, PIL, mmengine, '
        'mmpretrain, mmcv, not found here: install with `python -m pip install numpy '
        'torch torchvision opencv-python pillow mmengine mmpretrain mmcv-lite`.'
    )
    assert 'mmfer[lite]' in said and 'full mmcv' in said


def test_missing_packages_beside_the_fork(tmp_path):
    for name in ('numpy', 'torch', 'torchvision', 'cv2', 'PIL'):
        install(tmp_path, name)
    install(tmp_path, 'mmengine', onedl_mmengine='0.10.12')
    said = import_mmfer(tmp_path)
    assert 'mmfer needs mmpretrain, mmcv,' in said
    assert (
        '`python -m pip install onedl-mmpretrain` and '
        '`python -m pip install --no-deps mmcv-lite`.'
    ) in said


def test_one_of_two_was_uninstalled(tmp_path):
    """Metadata is left and files are not, so pip has to install again."""
    for name in ('numpy', 'torch', 'torchvision', 'cv2', 'PIL', 'mmpretrain', 'mmcv'):
        install(tmp_path, name)
    install(tmp_path, onedl_mmengine='0.10.12')
    # Files that only the other one had keep the folder.
    (tmp_path / 'mmengine/hub').mkdir(parents=True)
    said = import_mmfer(tmp_path)
    assert 'mmfer needs mmengine,' in said
    assert 'pip install --force-reinstall --no-deps onedl-mmengine`' in said


def test_the_check_takes_no_time():
    """It takes under 10 ms; the import of mmfer takes 1.7 s."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        installed.check_installed()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
