"""Find the methods and rows of a comparison in the folders of the configs.

No file lists the methods. A method takes part in a comparison if its folder has
the config of this comparison. A method can have further rows, for example for an
ablation. These are configs with one more word in their name, or options in
``ablation.yml`` beside the configs::

    open_protocol:
      alum_lc:
        - model.head.positive=False
"""

import re
from pathlib import Path
from typing import Dict, List

import yaml

from mmfer.utils.text_files import clipped

# Every comparison has this method, in its first row.
BASELINE = 'ce'


def find_methods(configs: Path, name: str) -> List[str]:
    """Return the methods that have a config of this name.

    Args:
        configs (Path): Folder with one folder per method.
        name (str): Name of the config without the method, as ``r18_ferplus``.

    Returns:
        list[str]: The baseline first, the others in alphabetical order.
    """
    found = [
        folder.name
        for folder in configs.iterdir()
        if (folder / f'{folder.name}_{name}.py').is_file()
    ]
    return sorted(found, key=lambda method: (method != BASELINE, method))


def read_ablation(configs: Path, method: str, benchmark: str) -> Dict[str, List[str]]:
    """Return the rows that a method adds to a benchmark, with their options.

    Args:
        configs (Path): Folder with one folder per method.
        method (str): Name of the method.
        benchmark (str): Key in ``ablation.yml``, as ``open_protocol``.

    Returns:
        dict[str, list[str]]: ``key=value`` options by row; empty if there is no
        file.

    Raises:
        ValueError: The file is no YAML, or has another form.
    """
    file = configs / method / 'ablation.yml'
    if not file.is_file():
        return {}
    try:
        found = yaml.safe_load(file.read_text(encoding='utf-8'))
        rows = found.get(benchmark) or {}
        if not all(
            isinstance(row, str)
            and isinstance(options, list)
            and all(isinstance(option, str) for option in options)
            for row, options in rows.items()
        ):
            raise TypeError('a row has no list of options')
    # A file of another form raises many kinds of errors.
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{file}: this is no list of options by benchmark and row '
            f'({clipped(str(error))}). See ablation.yml of another method.'
        ) from None
    return rows


def own_configs(configs: Path, method: str, name: str) -> List[str]:
    """Return the extra words of configs whose name has one more word.

    Args:
        configs (Path): Folder with one folder per method.
        method (str): Name of the method.
        name (str): Name without the method and the extra word, as
            ``r18_ferplus_noise30``.

    Returns:
        list[str]: Sorted extra words, such as ``['estimated']``.
    """
    form = re.compile(rf'{method}_{name}_([a-z]+)')
    found = (form.fullmatch(path.stem) for path in configs.glob(f'{method}/*.py'))
    return sorted(match[1] for match in found if match)
