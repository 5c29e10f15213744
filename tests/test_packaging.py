"""An archive of the package holds all that an installation needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import ROOT


@pytest.mark.slow
def test_sdist_makes_a_whole_wheel(tmp_path):
    """Configs, index, weights and the review page travel with the package."""
    copy = tmp_path / 'copy'
    subprocess.run(
        ['git', 'clone', '-q', '--depth', '1', f'file://{ROOT}', str(copy)], check=True
    )

    def build(kind, folder):
        subprocess.run(
            [
                sys.executable,
                '-c',
                f'import setuptools.build_meta as b; b.build_{kind}("..")',
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )

    build('sdist', copy)
    (archive,) = tmp_path.glob('*.tar.gz')
    subprocess.run(['tar', 'xzf', archive.name], cwd=tmp_path, check=True)
    build('wheel', tmp_path / archive.name.removesuffix('.tar.gz'))
    (wheel,) = tmp_path.glob('*.whl')
    found = set(zipfile.ZipFile(wheel).namelist())
    assert {
        'mmfer/analysis/review.html',
        'mmfer/.mim/model-index.yml',
        'mmfer/weights/alum_tiny_ferplus.pth',
        'mmfer/weights/alum_tiny_ferplus.json',
    } <= found
    configs = {
        str(path.relative_to(ROOT))
        for path in (Path(ROOT) / 'configs').rglob('*.*')
        if path.suffix in ('.py', '.yml')
    }
    assert {f'mmfer/.mim/{name}' for name in configs} <= found
    for name in ('LICENSE', 'NOTICE'):
        assert any('.dist-info/' in path and path.endswith(name) for path in found)
    assert not any(name.startswith(('tests', 'tools')) for name in found)
