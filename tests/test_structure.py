"""The floors of the house: who imports whom, and how long files may be.

``CONTRIBUTING.md`` says what lies where.
"""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

from helpers import ROOT

# From the ground up. A package imports its own floor and those below it.
FLOORS = (
    ('version', 'registry', 'compat', 'utils'),
    ('score_table',),
    ('datasets',),
    ('models',),
    ('evaluation',),
    ('engine',),
    ('methods',),
    ('scan', 'analysis', 'apis'),
    ('cli',),
)
LEVELS = {name: level for level, floor in enumerate(FLOORS) for name in floor}
MAX_FILE = 450
MAX_TOOL = 120
MAX_FUNCTION = 80
PACKAGE = sorted(Path(ROOT, 'mmfer').rglob('*.py'))
COMMAND = sorted(Path(ROOT, 'mmfer_command').rglob('*.py'))
TOOLS = sorted(Path(ROOT, 'tools').rglob('*.py'))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_name(path): path for path in PACKAGE}


def imports(name: str, lazy: bool) -> set:
    """Modules of mmfer that a module imports, also inside functions if ``lazy``."""
    path = MODULES[name]
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    tree = ast.parse(path.read_text(encoding='utf-8'))
    found = set()
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                above = package.split('.')[: len(package.split('.')) - node.level + 1]
                base = '.'.join([*above, *filter(None, [base])])
            found |= {
                f'{base}.{alias.name}' if f'{base}.{alias.name}' in MODULES else base
                for alias in node.names
            }
    return {module for module in found if module in MODULES and module != name}


def test_no_arrow_goes_up():
    wrong = [
        f'{name} imports {other}'
        for name in MODULES
        for other in imports(name, lazy=True) - {'mmfer'}
        if name != 'mmfer' and LEVELS[other.split('.')[1]] > LEVELS[name.split('.')[1]]
    ]
    assert not wrong


def test_no_import_circle():
    """A module may import its package's other modules, never one that imports it."""
    graph = {
        name: {
            other
            for other in imports(name, lazy=False)
            # `from . import x` in a module of a package reads the package first.
            if not name.startswith(f'{other}.')
        }
        for name in MODULES
    }
    # Raises a CycleError that names the circle.
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_command_imports_the_standard_library_only():
    """At the top of a module; functions may import what a command needs."""
    for path in COMMAND:
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            names = [alias.name for alias in getattr(node, 'names', ())]
            if isinstance(node, ast.ImportFrom):
                names = [] if node.level else [node.module]
            elif not isinstance(node, ast.Import):
                continue
            for name in names:
                assert name.partition('.')[0] in sys.stdlib_module_names, path


def test_methods_import_no_other_method():
    for name in MODULES:
        if name.startswith('mmfer.methods.'):
            method = name.split('.')[2]
            others = {
                other.split('.')[2]
                for other in imports(name, lazy=True)
                if other.startswith('mmfer.methods.')
            }
            assert others <= {method}, f'{name} imports {others - {method}}'


def test_files_and_functions_are_short():
    long = []
    for path in PACKAGE + COMMAND + TOOLS:
        text = path.read_text(encoding='utf-8')
        if text.count('\n') > (MAX_TOOL if path in TOOLS else MAX_FILE):
            long.append(str(path))
        long += [
            f'{path}: {node.name}'
            for node in ast.walk(ast.parse(text))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node.end_lineno - node.lineno >= MAX_FUNCTION
        ]
    assert not long
