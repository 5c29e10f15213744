"""List the models and configs that are shipped: ``mmfer models``."""

import argparse
import fnmatch
import re
from pathlib import Path
from typing import List, NamedTuple, Set

from .shipped import nearest_configs, shipped_configs, shipped_folder

# Parts of the names of configs, see CONTRIBUTING.md; others are shown as they are.
BACKBONES = (
    (r'r(\d+)', r'ResNet-\1'),
    (r'vgg(\d+)', r'VGG-\1'),
    (r'cnn(\d+)', r'CNN of \1 layers'),
    (r'mobilenetv2', 'MobileNetV2'),
    (r'tiny', 'small ResNet'),
)
DATA_SETS = (
    (r'rafdb', 'RAF-DB'),
    (r'rafbase', 'RAF-DB, valence, arousal'),
    (r'ferplus', 'FERPlus'),
    (r'affectnet(\d+)', r'AffectNet, \1 classes'),
    (r'affectnetbase', 'AffectNet, valence, arousal'),
    (r'cifar(\d+)', r'CIFAR-\1'),
    (r'cifar(\d+)lt(\d+)', r'CIFAR-\1, long tail 1:\2'),
    (r'synthfaces', 'drawn faces'),
)
NOISES = ((r'noise(\d+)', r'symmetric \1 %'), (r'([a-z]+)(\d+)', r'\1 \2 %'))
PRETRAINED = {'imagenet': 'ImageNet', 'msceleb': 'MS-Celeb-1M'}


class Row(NamedTuple):
    """Line of the list: what a name says about a config."""

    name: str
    method: str
    backbone: str
    data: str
    noise: str
    weights: str


def run(args: argparse.Namespace) -> None:
    """Print the models and configs that fit a pattern.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.models`.

    Raises:
        SystemExit: There is none.
    """
    try:
        rows = [
            row for row in list_rows() if all(fits(row.name, p) for p in args.pattern)
        ]
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    if not rows:
        asked = ' '.join(args.pattern)
        near = nearest_configs('_'.join(args.pattern))
        raise SystemExit(
            f'{asked}: there is no model or config of this name. '
            + (f'The nearest names are {", ".join(near)}. ' if near else '')
            + '`mmfer models --configs` lists all.'
        )
    shown = rows if args.configs else [row for row in rows if row.weights]
    for line in table(shown):
        print(line)
    hidden = len(rows) - len(shown)
    if hidden:
        print(f'{hidden} configs to train with: add --configs to list them.')


def fits(name: str, pattern: str) -> bool:
    """Return whether a name has a pattern, which may be a part of it."""
    return not pattern or fnmatch.fnmatch(name, f'*{pattern.lower()}*')


def list_rows() -> List[Row]:
    """Return a row for each shipped config, in alphabetical order.

    Raises:
        FileNotFoundError: The package has no configs.
    """
    weights = names_with_weights()
    return [row_of(path, path.stem in weights) for path in shipped_configs()]


def names_with_weights() -> Set[str]:
    """Return the names of the configs whose weights are shipped, from the metafiles."""
    found, name = set(), ''
    for path in (shipped_folder() / 'configs').glob('*/metafile.yml'):
        for line in path.read_text(encoding='utf-8').splitlines():
            if line.startswith('- Name: '):
                name = line.removeprefix('- Name: ').strip()
            elif line.startswith('  Weights: '):
                found.add(name)
    return found


def row_of(path: Path, weights: bool) -> Row:
    """Return what the name of a config says.

    Args:
        path (Path): A config ``<method>_<backbone>_<dataset>[_<noise>[_<variant>]]``.
        weights (bool): Whether mmfer ships its weights.
    """
    words = path.stem.split('_')
    method = words.pop(0)
    if method == 'gaave' and len(words) > 2:
        # GAAVE cleans, and another method trains.
        method += f' + {words.pop(0)}'
    backbone, data, *rest = [*words, '', ''][: max(2, len(words))]
    start = next((p for p in PRETRAINED if backbone.endswith(p)), '')
    backbone = spelled(backbone.removesuffix(start), BACKBONES)
    noise = ', '.join([spelled(rest[0], NOISES), *rest[1:]]) if rest else ''
    return Row(
        path.stem,
        method,
        f'{backbone}, {PRETRAINED[start]}' if start else backbone,
        spelled(data, DATA_SETS),
        noise,
        'yes' if weights else '',
    )


def spelled(word: str, spellings: tuple) -> str:
    """Return a word of a name as people write it."""
    for pattern, text in spellings:
        match = re.fullmatch(pattern, word)
        if match:
            return match.expand(text)
    return word


def table(rows: List[Row]) -> List[str]:
    """Return rows in columns, with a line of headings."""
    if not rows:
        return []
    lines = [
        Row('name', 'method', 'backbone', 'data set', 'noise, variant', 'weights'),
        *rows,
    ]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [
        '  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
        for row in lines
    ]
