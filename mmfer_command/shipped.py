"""Files that are shipped with mmfer: configs, tools and the model index.

In a wheel they are in ``mmfer/.mim``, where OpenMMLab's programs look for them. In a
checkout they are beside the package.
"""

import difflib
import importlib.util
import shlex
from pathlib import Path
from typing import List, Optional

# File that marks the folder of configs and tools.
INDEX = 'model-index.yml'


def package_folder() -> Path:
    """Return the folder of the package mmfer, without importing it.

    Raises:
        FileNotFoundError: Python does not find mmfer.
    """
    spec = importlib.util.find_spec('mmfer')
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            'mmfer: Python does not find this package. Install it again.'
        )
    # Links lead to the checkout, where the configs are.
    return Path(spec.origin).resolve().parent


def shipped_folder() -> Path:
    """Return the folder with ``configs/``, ``tools/`` and ``model-index.yml``.

    Raises:
        FileNotFoundError: The package has no such folder.
    """
    package = package_folder()
    for folder in (package / '.mim', package.parent):
        if (folder / INDEX).is_file():
            # An editable installation has links there, to the checkout.
            return (folder / INDEX).resolve().parent
    raise FileNotFoundError(
        f'mmfer: no {INDEX} in {package}/.mim or beside {package}; the configs are '
        'missing. Install mmfer again (pip install .).'
    )


def shipped_tool(name: str) -> str:
    """Return the path of a tool for a command line, as short as it works from here.

    Args:
        name (str): Path in the folder ``tools``.
    """
    short = Path('tools') / name
    try:
        path = short if short.is_file() else shipped_folder() / short
    except FileNotFoundError:
        path = short
    return shlex.quote(str(path))


def mmfer_version() -> str:
    """Return the version of mmfer, without importing it."""
    found: dict = {}
    exec((package_folder() / 'version.py').read_text(encoding='utf-8'), found)
    return found['__version__']


def find_config(name: str) -> Optional[str]:
    """Return the path of a config.

    Args:
        name (str): Path of a file; or a shipped config, as ``ce_r18_rafdb``,
            ``ce/ce_r18_rafdb.py``, ``configs/ce/ce_r18_rafdb.py`` or
            ``mmfer::ce/ce_r18_rafdb.py``. A file of the user comes first.

    Returns:
        str, optional: Path of an existing file; None if there is none.

    Raises:
        FileNotFoundError: The package has no configs.
    """
    if Path(name).is_file():
        return name
    path = shipped_path(name)
    return str(path) if path.is_file() else None


def shipped_path(name: str) -> Path:
    """Return where a shipped config of this name would be; see :func:`find_config`.

    Raises:
        FileNotFoundError: The package has no configs.
    """
    name = name.removeprefix('mmfer::').removeprefix('./')
    relative = Path(name.removeprefix('configs/'))
    if relative.suffix != '.py':
        relative = Path(f'{relative}.py')
    configs = shipped_folder() / 'configs'
    if relative.is_absolute() or len(relative.parts) > 1:
        return configs / relative
    # The method is the first word of the name.
    return configs / relative.stem.partition('_')[0] / relative


def nearest_configs(name: str, number: int = 3) -> List[str]:
    """Return the names of the shipped configs that are most like a name.

    Args:
        name (str): Path or name of a config.
        number (int): Most names to return. Defaults to 3.
    """
    names = [path.stem for path in shipped_configs()]
    return difflib.get_close_matches(Path(name).stem, names, number)


def shipped_configs() -> List[Path]:
    """Return the paths of all shipped configs, sorted.

    Raises:
        FileNotFoundError: The package has no configs.
    """
    return sorted((shipped_folder() / 'configs').glob('[!_]*/*.py'))
