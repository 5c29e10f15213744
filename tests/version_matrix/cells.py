"""Combinations of versions, and the environment of each."""

import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / 'requirements/onedl.txt'
TORCH = {
    '2.6': ['torch==2.6.*', 'torchvision==0.21.*'],
    'newest': ['torch', 'torchvision'],
}
# What `pip check` says of a correct environment. The fork provides both packages.
EXPECTED_COMPLAINTS = {
    'openmmlab': set(),
    'onedl': {
        'mmcv-lite requires mmengine',
        'mmfer requires mmengine',
        'mmfer requires mmpretrain',
    },
}
# An environment has 6 to 7 GB.
FREE_GB = 15


class NotRun(Exception):
    """Reason why a cell cannot be run here."""


@dataclass(frozen=True)
class Cell:
    """Combination of versions.

    Args:
        origin (str): ``openmmlab`` or ``onedl``, the maintained fork.
        torch (str): Key of :data:`TORCH`.
        python (str): Version of the interpreter, such as ``3.11``.
    """

    origin: str
    torch: str
    python: str

    @property
    def name(self) -> str:
        """Name in commands and in the table."""
        return f'{self.origin}-torch{self.torch}-py{self.python}'


CELLS = [
    Cell(origin, torch, '3.11')
    for origin, torch in itertools.product(('openmmlab', 'onedl'), TORCH)
] + [
    Cell(origin, 'newest', python)
    for origin, python in itertools.product(
        ('openmmlab', 'onedl'), ('3.10', '3.12', '3.13', '3.14')
    )
]


def find_interpreter(version: str) -> str:
    """Return the path of an interpreter: on the ``PATH``, or one of pyenv's.

    Args:
        version (str): Such as ``3.11``.

    Raises:
        NotRun: This machine has none.
    """
    root = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))
    found = sorted(root.glob(f'versions/{version}.*/bin/python'))
    # What pyenv puts on the PATH runs only versions that are selected.
    path = str(found[-1]) if found else shutil.which(f'python{version}')
    if path is None:
        raise NotRun(f'no Python {version} on this machine')
    return path


def requirements_of_tests() -> List[str]:
    """Return the requirements of the extra ``tests``."""
    # Python 3.10, in which this module is tested, has no tomllib.
    import tomllib

    with open(ROOT / 'pyproject.toml', 'rb') as file:
        return tomllib.load(file)['project']['optional-dependencies']['tests']


def install_commands(cell: Cell) -> List[List[str]]:
    """Return the arguments of pip, as ``docs/tasks/install.md`` has them.

    Args:
        cell (Cell): The cell to install.
    """
    commands = [['install', *TORCH[cell.torch]]]
    if cell.origin == 'openmmlab':
        commands.append(['install', '-e', f'{ROOT}[lite,tests]'])
    else:
        limits = ['install', '-c', str(CONSTRAINTS)]
        commands += [
            [*limits, 'onedl-mmengine', 'onedl-mmpretrain', 'opencv-python'],
            ['install', '--no-deps', 'mmcv-lite'],
            ['install', '--no-deps', '-e', str(ROOT)],
            [*limits, *requirements_of_tests()],
        ]
    return commands


def make_environment(cell: Cell, folder: Path, log: Path) -> str:
    """Make a virtual environment and install mmfer in it.

    Args:
        cell (Cell): What to install.
        folder (Path): New folder of the environment.
        log (Path): File for what pip says.

    Returns:
        str: Path of its interpreter.

    Raises:
        NotRun: With the reason.
    """
    interpreter = find_interpreter(cell.python)
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free / 1e9
    if free < FREE_GB:
        raise NotRun(f'{free:.0f} GB are free at {folder.parent}, {FREE_GB} needed')
    python = str(folder / 'bin/python')
    with open(log, 'w', encoding='utf-8') as file:
        for command in [
            [interpreter, '-m', 'venv', '--clear', str(folder)],
            *([python, '-m', 'pip', *args] for args in install_commands(cell)),
        ]:
            print('+', *command, file=file, flush=True)
            done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT)
            if done.returncode:
                raise NotRun(f'not installed: {pip_error(log)}')
    return python


def pip_error(log: Path) -> str:
    """Return the last error that pip has written to a log."""
    lines = log.read_text(encoding='utf-8').splitlines()
    errors = [line for line in lines if line.startswith('ERROR')]
    return (errors or lines or ['no output'])[-1]


def unexpected_complaints(origin: str, said: str) -> Optional[str]:
    """Return what ``pip check`` says beyond what it must say of such an environment.

    Args:
        origin (str): Key of :data:`EXPECTED_COMPLAINTS`.
        said (str): Output of ``pip check``.

    Returns:
        str | None: The difference; None if there is none.
    """
    complaints = set()
    for line in said.splitlines():
        words = line.split()
        if 'requires' in words and line.endswith('which is not installed.'):
            # Without the version: `mmfer 0.1.0 requires mmengine, which is ...`.
            complaints.add(f'{words[0]} requires {words[3].rstrip(",")}')
        elif line and line != 'No broken requirements found.':
            complaints.add(line)
    expected = EXPECTED_COMPLAINTS[origin]
    new, gone = sorted(complaints - expected), sorted(expected - complaints)
    parts = [f'new: {"; ".join(new)}'] * bool(new)
    parts += [f'expected, but gone: {"; ".join(gone)}'] * bool(gone)
    return ', '.join(parts) or None
