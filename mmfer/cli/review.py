"""Write the review page: ``mmfer review FOLDER``."""

import argparse
import os
import os.path as osp
from typing import Any, Dict, Optional

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfer.analysis.review import read_settings, write_page
from mmfer.apis.checkpoints import find_config
from mmfer.datasets import FERDataset
from mmfer.registry import DATASETS
from mmfer.score_table import FILE_NAME
from mmfer.utils.console import quieten
from mmfer.utils.progress import Progress

from .common import run_tool


def run(args: argparse.Namespace) -> None:
    """Write the page, and show user errors without a traceback."""
    quieten(MMLogger.get_current_instance())
    try:
        run_tool(lambda: review(args))
    except KeyboardInterrupt:
        raise SystemExit('\nStopped. No page was written.') from None


def review(args: argparse.Namespace) -> None:
    """Write the review page of a folder.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.review`.

    Raises:
        SystemExit: There is no such folder or table.
        OSError, ValueError: The data set or the table cannot be read, or the page
            cannot be written.
    """
    table = find_table(args.folder, args.table)
    name = osp.basename(osp.abspath(args.folder))
    out = args.out or osp.join(args.folder, 'review.html')
    check_writable(out)
    settings = read_settings(args.folder)
    done = write_page(
        out,
        build_dataset(args.folder, settings.dataset, args.cfg_options),
        table,
        args.title or settings.title or name,
        args.max_images,
        settings.subtitle,
        settings.warnings,
        settings.score_kind,
        Progress(f'{name}: pictures'),
    )
    for warning in settings.warnings:
        print(f'WARNING: {warning}')
    print(
        f'{out}: {done["shown"]} of {done["samples"]} images, '
        f'{done["bytes"] / 1e6:.1f} MB. Open it in a browser.\n'
        'It contains the images, so only you can read it. Take care whom you give it.'
    )


def find_table(folder: str, table: Optional[str]) -> str:
    """Return the path of the score table.

    Args:
        folder (str): Folder that the user names.
        table (str, optional): Table that the user names.

    Raises:
        SystemExit: It does not exist.
    """
    if not osp.isdir(folder):
        hint = (
            f'It is a file; name its folder, {osp.dirname(folder) or "."}.'
            if osp.isfile(folder)
            else 'Name the work dir of a run, or a folder that `mmfer clean` wrote.'
        )
        raise SystemExit(f'{folder} is no folder. {hint}')
    path = table or osp.join(folder, FILE_NAME)
    if not osp.isfile(path):
        raise SystemExit(
            f'{path} does not exist. Name the work dir of a run that has ended, or '
            'the folder from `mmfer clean CONFIG --out DIR`. '
            'Runs write this table at their end (SampleScoresHook).'
        )
    return path


def check_writable(path: str) -> None:
    """Raise an error if a file cannot be written, before images are read.

    Args:
        path (str): File of the page.

    Raises:
        OSError: It is a folder, or its folder cannot be written.
    """
    if osp.isdir(path):
        raise IsADirectoryError(
            f'{path} is a folder. Name the file of the page, such as '
            f'{osp.join(path, "review.html")}.'
        )
    folder = osp.dirname(osp.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise PermissionError(
            f'{folder}: the page cannot be written into this folder. Name another file '
            'with --out.'
        )


def build_dataset(
    folder: str, dataset: Optional[Dict[str, Any]], options: Optional[Dict[str, Any]]
) -> FERDataset:
    """Build the training set of a folder, before any decisions.

    Args:
        folder (str): Folder with a config, or with settings of a data set.
        dataset (dict, optional): These settings.
        options (dict, optional): Overrides of the config.

    Raises:
        ValueError: There is no config, or the data set cannot be built.
    """
    if dataset is None:
        cfg = Config.fromfile(find_config(folder))
    else:
        cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    if options is not None:
        cfg.merge_from_dict(options)
    init_default_scope('mmfer')
    settings = dict(cfg.train_dataloader.dataset)
    # The page needs the samples before any decisions.
    settings.pop('decisions', None)
    return DATASETS.build(settings)
