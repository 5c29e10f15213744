"""Every folder of mmfer.methods is found, and its table of equations is right."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from helpers import CONFIGS

import mmfer
from mmfer.methods import METHODS

PACKAGE = Path(mmfer.__file__).parent
# The last two columns of a row: function and file.
ROW = re.compile(r'``([\w.]+)``\s+``([\w/]+\.py)``$', re.MULTILINE)


def test_every_method_has_its_configs():
    assert {'alum', 'ce', 'resup'} <= set(METHODS)
    for name in METHODS:
        assert list(Path(CONFIGS, name).glob('*.py')), name


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
    assert rows, 'the docstring of the folder has no table of equations'
    for function, file in rows:
        own = PACKAGE / 'methods' / name / file
        path = own if own.is_file() else PACKAGE / file
        assert function in definitions(path), (function, file)
