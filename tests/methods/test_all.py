"""A method is found by its folders, without a list that names it."""

import shutil
import subprocess
import sys
from pathlib import Path

from helpers import CONFIGS, ROOT, environment

FOLDER = Path(ROOT) / 'mmfer/methods'


def test_folders_go_together():
    """Each method has code, configs and a page under one name."""
    packages = {path.parent.name for path in FOLDER.glob('*/__init__.py')}
    assert {path.parent.name for path in Path(CONFIGS).glob('*/README.md')} == packages
    assert {path.parent.name for path in Path(CONFIGS).glob('*/metafile.yml')} == (
        packages
    )


def test_new_folder_is_registered(tmp_path):
    """Another method in the folder, in a process that has not imported mmfer."""
    shutil.copy(FOLDER / '__init__.py', tmp_path)
    (tmp_path / 'fresh').mkdir()
    (tmp_path / 'fresh/__init__.py').write_text('print("imported", __name__)')
    path = str(tmp_path.parent)
    code = f'import sys; sys.path.insert(0, {path!r}); import {tmp_path.name}'
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f'imported {tmp_path.name}.fresh\n'
