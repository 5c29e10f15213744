"""Check the installation: ``mmfer doctor``.

Each check prints lines that start with ``OK``, ``WARN`` or ``FAIL``. A line that is not
``OK`` also says what to do. The exit code is 1 if a line is ``FAIL``.

What could crash, such as importing a damaged torch, runs in another process. So the
doctor reports it and goes on.
"""

import argparse
import importlib.util
import math
import os
import platform
import re
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from .probes import FAIL, OK, WARN, Line, check_gpu, check_model
from .shipped import mmfer_version, package_folder, shipped_configs, shipped_folder

MIB, GIB = 1 << 20, 1 << 30
MINIMUM_PYTHON = (3, 10)
# Distributions that are listed with their versions, if they are installed.
LISTED = (
    'mmengine',
    'onedl-mmengine',
    'mmpretrain',
    'onedl-mmpretrain',
    'mmcv',
    'mmcv-lite',
    'onedl-mmcv',
    'numpy',
    'pillow',
    'opencv-python',
    'opencv-python-headless',
    'opencv-contrib-python',
    'opencv-contrib-python-headless',
    'setuptools',
)
MINIMUM_TORCH = (2, 6)
OTHER_EXTRAS = ('lite', 'tests', 'docs', 'dev')
OPENCV = tuple(name for name in LISTED if name.startswith('opencv'))
# A run of the quick start writes 0.3 GB.
LOW_DISK, NO_DISK = 5 * GIB, GIB // 2
# Worker processes of the data loaders pass their batches through this memory.
LOW_SHARED = 256 * MIB


def run(args: argparse.Namespace) -> int:
    """Print the results of all checks.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.doctor`.

    Returns:
        int: Exit code: 1 if a line is ``FAIL``, else 0.
    """
    levels = []
    for check in CHECKS + (() if args.fast else SLOW_CHECKS):
        for line in results_of(check):
            levels.append(line.level)
            print(f'{line.level:<5} {line.text}', flush=True)
            if line.advice:
                print(f'      -> {line.advice}', flush=True)
    print(
        f'{levels.count(FAIL)} failures, {levels.count(WARN)} warnings, '
        f'{levels.count(OK)} fine.'
    )
    return int(FAIL in levels)


def results_of(check: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """Yield the results of a check; an error of the check itself is one, too."""
    try:
        yield from check()
    # A damaged installation raises errors of any type.
    except Exception as error:
        name = check.__name__.removeprefix('check_').replace('_', ' ')
        yield Line(
            FAIL,
            f'{name}: {type(error).__name__}: {error}',
            'Install mmfer again in a new environment.',
        )


def load_alone(path: str) -> ModuleType:
    """Return a module of mmfer that needs only the standard library.

    ``import mmfer`` would import torch, and stop where an installation is damaged.

    Args:
        path (str): File below the package, such as ``utils/installed.py``.
    """
    file = package_folder() / path
    name = f'mmfer_alone_{file.stem}'
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def version_of(name: str) -> Optional[str]:
    """Return the version of an installed distribution; None if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> Tuple[int, ...]:
    """Return the first two numbers of a version, for comparisons."""
    return tuple(int(part) for part in re.findall(r'\d+', version)[:2])


# -- the installation -----------------------------------------------------------------
def check_python() -> Iterator[Line]:
    """Check the interpreter."""
    text = f'Python {platform.python_version()}, {platform.platform()}'
    if sys.version_info < MINIMUM_PYTHON:
        yield Line(FAIL, text, 'mmfer needs Python 3.10 or later.')
    else:
        yield Line(OK, f'{text}, {sys.executable}')


def check_mmfer() -> Iterator[Line]:
    """Check where mmfer is, and what is shipped with it."""
    package = package_folder()
    yield Line(OK, f'mmfer {mmfer_version()} in {package}')
    here = Path.cwd() / 'mmfer'
    if (here / '__init__.py').is_file() and here.resolve() != package:
        yield Line(
            WARN,
            f'this folder has another mmfer: {here}',
            'Python prefers it in some cases. Start mmfer in another folder.',
        )
    number = len(shipped_configs())
    folder = shipped_folder()
    if number:
        yield Line(OK, f'{number} configs in {folder / "configs"}')
    else:
        yield Line(FAIL, f'no configs in {folder}', 'Install mmfer again.')


def check_packages() -> Iterator[Line]:
    """Check which packages are installed, and whether they overwrite one another."""
    found = [f'{name} {v}' for name in LISTED if (v := version_of(name))]
    yield Line(OK, ', '.join(found) or 'none of the packages that mmfer knows')
    try:
        load_alone('utils/installed.py').check_installed()
    except ImportError as error:
        yield Line(FAIL, 'packages are missing, or overwrite one another', str(error))
    opencv = [name for name in OPENCV if version_of(name)]
    if len(opencv) > 1:
        pip = f'{sys.executable} -m pip'
        yield Line(
            WARN,
            f'{", ".join(opencv)} overwrite the files of one another',
            f'Keep one: `{pip} uninstall -y {" ".join(opencv)}`, then `{pip} install '
            f'{opencv[0]}`.',
        )


def check_extras() -> Iterator[Line]:
    """Check which extras are there; the metadata of mmfer says what they install."""
    for extra, wanted in extras().items():
        missing = [text for text in wanted if version_of(distribution_in(text)) is None]
        if not missing:
            found = [distribution_in(text) for text in wanted]
            versions = ', '.join(f'{name} {version_of(name)}' for name in found)
            yield Line(OK, f'extra [{extra}]: {versions}')
            continue
        names = ', '.join(distribution_in(text) for text in missing)
        packages = ' '.join(f'"{text}"' for text in missing)
        yield Line(
            OK,
            f'extra [{extra}] is not installed: {names}',
            f'If you need it: `{sys.executable} -m pip install {packages}`.',
        )


def extras() -> Dict[str, List[str]]:
    """Return the requirements of each extra that adds a feature.

    Those for developers are left out, and ``lite``, which :func:`check_packages`
    checks: it is one of several packages.
    """
    try:
        requirements = metadata.requires('mmfer') or []
    except metadata.PackageNotFoundError:
        return {}
    found: Dict[str, List[str]] = {}
    for text in requirements:
        requirement, _, marker = text.partition(';')
        match = re.search(r'extra\s*==\s*[\'"]([\w.-]+)', marker)
        if match and match[1] not in OTHER_EXTRAS:
            # Older tools write ``timm (>=1.0)``.
            plain = re.sub(r'[\s()]', '', requirement)
            found.setdefault(match[1], []).append(plain)
    return found


def distribution_in(requirement: str) -> str:
    """Return the name of a distribution in a requirement, such as ``timm>=1.0``."""
    match = re.match(r'[\w.-]+', requirement)
    return match[0] if match else requirement


def check_torch_pair() -> Iterator[Line]:
    """Check whether torch is new enough, and torchvision is built for it."""
    torch, vision = version_of('torch'), version_of('torchvision')
    if torch is None or vision is None:
        # check_packages tells what is missing.
        return
    if numbers(torch) < MINIMUM_TORCH:
        yield Line(FAIL, f'torch {torch}', 'mmfer needs torch 2.6 or later.')
    wanted = next(
        (
            match[1]
            for text in metadata.requires('torchvision') or ()
            if (match := re.match(r'torch\s*\(?==\s*([\w.]+)', text))
        ),
        None,
    )
    if wanted is not None and torch.partition('+')[0] != wanted.partition('+')[0]:
        yield Line(
            FAIL,
            f'torchvision {vision} is built for torch {wanted}, not for {torch}',
            f'Install both together: `{sys.executable} -m pip install -U torch '
            'torchvision`.',
        )
    else:
        yield Line(OK, f'torch {torch}, torchvision {vision}')


# -- the machine ----------------------------------------------------------------------
def check_cores() -> Iterator[Line]:
    """Check cores and threads."""
    usable = (
        len(os.sched_getaffinity(0))
        if hasattr(os, 'sched_getaffinity')
        else os.cpu_count() or 1
    )
    threads = os.environ.get('OMP_NUM_THREADS')
    text = f'{usable} cores can be used, of {os.cpu_count()}'
    text += f'; OMP_NUM_THREADS={threads}' if threads else ''
    if threads and (not threads.isdigit() or int(threads) > usable):
        yield Line(
            WARN,
            text,
            f'More threads than cores are slow: set OMP_NUM_THREADS to {usable}, or '
            'unset it.',
        )
    else:
        yield Line(OK, text)


def check_disk() -> Iterator[Line]:
    """Check the space on the disks that a run writes to."""
    folders = [('this folder', Path.cwd()), ('temporary', Path(tempfile.gettempdir()))]
    for name, folder in folders:
        free = shutil.disk_usage(folder).free
        text = f'{free / GIB:.1f} GiB free in {folder} ({name})'
        if free < NO_DISK:
            yield Line(FAIL, text, 'Free space, or work on another disk.')
        elif free < LOW_DISK:
            yield Line(WARN, text, 'Checkpoints may fill it; see --work-dir.')
        else:
            yield Line(OK, text)
        if not os.access(folder, os.W_OK):
            yield Line(
                WARN, f'{folder} is read-only', 'Give --work-dir, or set TMPDIR.'
            )
    shared = Path('/dev/shm')
    if shared.is_dir() and shutil.disk_usage(shared).total < LOW_SHARED:
        yield Line(
            WARN,
            f'{shared} has {shutil.disk_usage(shared).total / MIB:.0f} MiB, little for '
            'data loaders with several processes',
            'In a container, give more: `docker run --shm-size=2g`.',
        )


def check_cache() -> Iterator[Line]:
    """Check folder, budget, size and locks of the cache."""
    folder, text = cache_folder(), os.environ.get('MMFER_CACHE_GB', '').strip() or '20'
    try:
        budget = float(text)
    except ValueError:
        budget = math.nan
    if not (math.isfinite(budget) and budget >= 0):
        yield Line(
            FAIL,
            f'MMFER_CACHE_GB={text[:40]!r} is not a size',
            'Set it to the largest size of the cache in GiB, such as 20.',
        )
        return
    if not budget:
        yield Line(OK, 'the cache is switched off (MMFER_CACHE_GB=0)')
        return
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(parent, os.W_OK) or not parent.is_dir():
        yield Line(
            WARN,
            f'the cache {folder} cannot be written',
            'Set MMFER_CACHE_DIR to another folder, or MMFER_CACHE_GB=0.',
        )
        return
    sizes = [file.stat().st_size for file in folder.rglob('*') if file.is_file()]
    unfinished = len(list(folder.glob('*/*.partial')))
    text = f'cache {folder}: {sum(sizes) / GIB:.2f} of {budget:g} GiB'
    text += f', {unfinished} unfinished entries' if unfinished else ''
    if not can_lock(parent):
        yield Line(
            WARN,
            f'{text}; its file system has no locks',
            'Set MMFER_CACHE_DIR to a folder of a local disk.',
        )
    else:
        yield Line(OK, text)


def cache_folder() -> Path:
    """Return the folder of the cache; see :mod:`mmfer.utils.cache.settings`."""
    folder = os.environ.get('MMFER_CACHE_DIR', '')
    if not folder:
        base = os.environ.get('XDG_CACHE_HOME', '')
        folder = os.path.join(base if os.path.isabs(base) else '~/.cache', 'mmfer')
    return Path(os.path.abspath(os.path.expanduser(folder)))


def can_lock(folder: Path) -> bool:
    """Return whether files in a folder can be locked."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


CHECKS = (
    check_python,
    check_mmfer,
    check_packages,
    check_extras,
    check_torch_pair,
    check_cores,
    check_disk,
    check_cache,
)
SLOW_CHECKS = (check_gpu, check_model)
