"""Every folder of mmfer.methods is found, and its table of equations is right."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import CONFIGS, environment

import mmfer
from mmfer.methods import METHODS

PACKAGE = Path(mmfer.__file__).parent
METHODS_FOLDER = PACKAGE / 'methods'
# The last two columns of a row: function and file.
ROW = re.compile(r'``([\w.]+)``\s+``([\w/]+\.py)``$', re.MULTILINE)


def test_folders_go_together():
    """Each method has code, configs and a page under one name."""
    assert {'alum', 'ce', 'resup'} <= set(METHODS)
    for file in ('README.md', 'metafile.yml'):
        found = {path.parent.name for path in Path(CONFIGS).glob(f'*/{file}')}
        assert found == set(METHODS), file
    for name in METHODS:
        assert list(Path(CONFIGS, name).glob('*.py')), name


def test_new_folder_is_registered(tmp_path):
    """Another method in the folder, in a process that has not imported mmfer."""
    shutil.copy(METHODS_FOLDER / '__init__.py', tmp_path)
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


def definitions(path):
    """Names that a file defines, those of classes with their members."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
            names.update(
                f'{node.name}.{member.name}'
                for member in node.body
                if isinstance(member, ast.FunctionDef)
            )
    return names


@pytest.mark.parametrize('name', METHODS)
def test_rows_of_the_table_of_equations_exist(name):
    """A row of a function that was renamed would mislead its readers."""
    rows = ROW.findall(importlib.import_module(f'mmfer.methods.{name}').__doc__ or '')
    assert rows, (
        f'the docstring of mmfer/methods/{name}/__init__.py has no table of '
        'equations; copy the form of mmfer/methods/rul/__init__.py'
    )
    for function, file in rows:
        own = PACKAGE / 'methods' / name / file
        path = own if own.is_file() else PACKAGE / file
        assert function in definitions(path), (function, file)
