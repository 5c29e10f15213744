"""Look at a data set without training: ``mmfer data check CONFIG_OR_FOLDER``."""

import argparse
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfer.analysis.data_check import read_facts, report
from mmfer.datasets import FERDataset, fer_datasets
from mmfer.datasets.sources import find_data
from mmfer.registry import DATASETS
from mmfer.utils.console import quieten
from mmfer.utils.progress import Progress
from mmfer_command.shipped import find_config, nearest_configs

from .common import run_training_tool
from .config_errors import ConfigError, config_errors
from .reading import read_config

LOADERS = ('train', 'val', 'test')


def run(args: argparse.Namespace) -> int:
    """Check a data set, and show user errors without a traceback.

    Returns:
        int: Exit code: 1 if a problem was found, else 0.
    """
    found: List[int] = []
    run_training_tool(lambda: found.append(check(args)), args.verbose)
    return int(found[0] > 0)


def check(args: argparse.Namespace) -> int:
    """Print what is in the data sets of a folder, a list or a config.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.data_check`.

    Returns:
        int: Number of problems.

    Raises:
        FileNotFoundError, ValueError: The data cannot be read.
    """
    init_default_scope('mmfer')
    if not args.verbose:
        quieten(MMLogger.get_current_instance())
    facts = [
        read_facts(name, dataset, Progress(f'reading {name}'))
        for name, dataset in data_sets(args)
    ]
    lines, problems = report(facts)
    print('\n'.join(lines))
    return problems


def data_sets(args: argparse.Namespace) -> Iterator[Tuple[str, FERDataset]]:
    """Yield the data sets of a folder, a list or a config, each once."""
    config = None if os.path.isdir(args.source) else find_config(args.source)
    if config is None and not os.path.exists(args.source):
        near = nearest_configs(args.source)
        raise ConfigError(
            f'{args.source}: there is no such folder, list or config. '
            + (f'The nearest configs are {", ".join(near)}. ' if near else '')
            + 'Give a folder that holds one folder of images per class, a list of '
            'images and labels, or the name of a config.'
        )
    if config is None or not config.endswith('.py'):
        names = args.classes
        if names and ',' in names:
            names = names.split(',')
        source = find_data(args.source, args.val_data, names)
        if source.train.pop('fold', None) is not None:
            # A training would hold a part out; here all images are one set.
            yield 'all', DATASETS.build(dict(source.train, image_store=False))
            return
        for name, settings in zip(LOADERS, source):
            yield name, DATASETS.build(dict(settings, image_store=False))
        return
    cfg = read_config(config)
    seen: List[Dict[str, Any]] = []
    for name in LOADERS:
        loader: Optional[Dict[str, Any]] = cfg.get(f'{name}_dataloader')
        if not loader or loader['dataset'] in seen:
            continue
        seen.append(loader['dataset'])
        with config_errors(cfg):
            dataset = DATASETS.build(loader['dataset'])
        inner = list(fer_datasets(dataset))
        if len(inner) != 1:
            raise ConfigError(
                f'{config}, {name}_dataloader.dataset: {type(dataset).__name__} is not '
                'one data set of mmfer, so its images cannot be checked. Use '
                'ImageFolders or ImageList for your own images.'
            )
        yield name, inner[0]
