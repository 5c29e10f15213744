"""Check which packages are installed, before any of them is imported.

OpenMMLab's packages have a maintained fork and a small form that install the same
import packages. If two of them are in one folder, each has overwritten files of the
other, and their mixture fails anywhere, also at import. This module therefore
imports nothing but the standard library.
"""

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

# Distributions that install the same import package: OpenMMLab's, its fork's.
FORKS = (('mmengine', 'onedl-mmengine'), ('mmpretrain', 'onedl-mmpretrain'))
# mmcv and mmcv-lite of one version consist of the same Python files; mmcv adds a
# compiled module. Only different versions of them make a mixture.
MMCV = ('mmcv', 'mmcv-lite', 'onedl-mmcv')
# What can provide an import package.
PROVIDERS = dict(mmengine=FORKS[0], mmpretrain=FORKS[1], mmcv=MMCV)
# Import packages that mmfer needs, and the distributions to install for them.
NEEDED = dict(
    numpy='numpy',
    torch='torch',
    torchvision='torchvision',
    cv2='opencv-python',
    PIL='pillow',
    mmengine='mmengine',
    mmpretrain='mmpretrain',
    mmcv='mmcv-lite',
)
PIP = 'python -m pip'


def find_distribution(name: str) -> Optional[Tuple[Path, str]]:
    """Return the folder and the version of an installed distribution.

    A checkout on the search path has no metadata, and an uninstallation can leave
    an empty metadata folder. Both count as not installed.

    Args:
        name (str): Name of the distribution, such as ``mmcv-lite``.

    Returns:
        tuple[Path, str] | None: Folder that it is installed in, and version; of the
        first one on the search path.
    """
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    if not (found.read_text('METADATA') or found.read_text('PKG-INFO')):
        return None
    return Path(str(found.locate_file(''))).resolve(), found.version


def mixed(names: Sequence[str], same_version_fits: bool = False) -> Dict[str, str]:
    """Return the distributions that overwrite one another's files.

    Distributions in different folders do not: Python imports the first one whole.

    Args:
        names (sequence[str]): Distributions with the same import package.
        same_version_fits (bool): Whether distributions of the same version consist
            of the same files. Defaults to False.

    Returns:
        dict[str, str]: Versions by name; empty if there is no mixture.
    """
    folders: Dict[Path, Dict[str, str]] = {}
    for name in names:
        found = find_distribution(name)
        if found is not None:
            folders.setdefault(found[0], {})[name] = found[1]
    for versions in folders.values():
        kinds = set(versions.values()) if same_version_fits else versions
        if len(kinds) > 1:
            return versions
    return {}


def mixture_message(mixtures: List[Dict[str, str]]) -> str:
    """Return the error message for distributions that overwrite one another.

    Args:
        mixtures (list[dict[str, str]]): Results of :func:`mixed` that are not empty.
    """
    pairs = '; '.join(
        ' and '.join(f'{name} {version}' for name, version in versions.items())
        for versions in mixtures
    )
    names = [name for versions in mixtures for name in versions]
    forks = [fork for fork in names if fork.startswith('onedl-')]
    originals = [name for name in names if name not in forks]
    # The command of the full mmcv depends on torch and CUDA, so it is not given.
    if any(name in MMCV for name in names):
        originals = [name for name in originals if name not in MMCV] + ['mmcv-lite']
    ways = f'`{PIP} install {" ".join(originals)}`'
    if any(fork in names for _, fork in FORKS):
        forks = [name for name in forks if name not in MMCV]
        if 'mmcv-lite' in originals:
            forks.append('mmcv-lite')
        ways += (
            " for OpenMMLab's packages, or "
            f'`{PIP} install --no-deps {" ".join(forks)}` for the maintained fork'
        )
    return (
        f'These packages are installed together: {pairs}. Packages with the same '
        "import name overwrite each other's files, so mmfer would import a mixture. "
        f'Remove all of them with `{PIP} uninstall -y {" ".join(names)}`, then '
        f'install one of a kind: {ways}.'
    )


def is_missing(name: str) -> bool:
    """Return whether an import package has no files.

    A folder without ``__init__.py`` counts as missing: it is left when one of two
    distributions of the same package was uninstalled.

    Args:
        name (str): Name of the import package.
    """
    spec = importlib.util.find_spec(name)
    return spec is None or spec.origin is None


def missing_message(missing: Sequence[str]) -> str:
    """Return the error message for import packages that are not there.

    Args:
        missing (sequence[str]): Keys of :data:`NEEDED`.
    """
    fork = any(find_distribution(name) for _, name in FORKS)
    plain, alone, again = [], [], []
    for name in missing:
        # pip would say that a distribution is installed whose files are gone.
        damaged = [part for part in PROVIDERS.get(name, ()) if find_distribution(part)]
        if damaged:
            again.append(damaged[0])
        elif fork and name == 'mmcv':
            # It requires OpenMMLab's mmengine, which would overwrite the fork.
            alone.append(NEEDED[name])
        else:
            plain.append(
                dict(FORKS)[name] if fork and name in dict(FORKS) else NEEDED[name]
            )
    steps = [
        f'`{PIP} install {options}{" ".join(names)}`'
        for options, names in (
            ('--force-reinstall --no-deps ', again),
            ('', plain),
            ('--no-deps ', alone),
        )
        if names
    ]
    message = (
        f'mmfer needs {", ".join(missing)}, not found here: install with '
        f'{" and ".join(steps)}.'
    )
    if 'mmcv' in missing:
        message += (
            ' The extra `mmfer[lite]` has mmcv-lite, which is enough for mmfer. If '
            'another OpenMMLab project of yours needs the full mmcv, install that '
            'instead.'
        )
    return message


def check_installed() -> None:
    """Raise a clear error if packages are missing or overwrite one another.

    Raises:
        ImportError: With the commands that correct the installation.
    """
    mixtures = [versions for pair in FORKS if (versions := mixed(pair))]
    if versions := mixed(MMCV, same_version_fits=True):
        mixtures.append(versions)
    if mixtures:
        raise ImportError(mixture_message(mixtures))
    missing = [name for name in NEEDED if is_missing(name)]
    if missing:
        raise ImportError(missing_message(missing))
