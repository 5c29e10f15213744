"""Write the review page: ``mmfer review FOLDER``."""

import argparse
import os.path as osp
from typing import Any, Dict, Tuple

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfer.analysis.review import (
    SETTINGS_NAME,
    ReviewSettings,
    read_settings,
    write_page,
)
from mmfer.apis.checkpoints import find_config
from mmfer.datasets import FERDataset
from mmfer.registry import DATASETS
from mmfer.score_table import FILE_NAME
from mmfer.utils.progress import Progress

from .common import run_tool


def run(args: argparse.Namespace) -> None:
    """Write the page, and show user errors without a traceback."""
    run_tool(lambda: review(args))


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
    settings, dataset = build_dataset(args.folder, args.cfg_options)
    name = osp.basename(osp.abspath(args.folder))
    out = args.out or osp.join(args.folder, 'review.html')
    done = write_page(
        out,
        dataset,
        table,
        args.title or settings.title or name,
        args.max_images,
        settings.subtitle,
        settings.warnings,
        settings.score_kind,
        Progress(f'{name}: pictures'),
    )
    for warning in settings.warnings:
        print(f'Warning: {warning}')
    print(
        f'{out}: {done["shown"]} of {done["samples"]} images, '
        f'{done["bytes"] / 1e6:.1f} MB. Open it in a browser.\n'
        'It contains the images, so only you can read it. Take care whom you give it.'
    )


def find_table(folder: str, table: str) -> str:
    """Return the path of the score table.

    Args:
        folder (str): Folder that the user names.
        table (str): Table that the user names, or None.

    Raises:
        SystemExit: It does not exist.
    """
    if not osp.isdir(folder):
        hint = (
            f' It is a file; name its folder, {osp.dirname(folder) or "."}.'
            if osp.isfile(folder)
            else ' Name the work dir of a run, or a folder that `mmfer clean` wrote.'
        )
        raise SystemExit(f'{folder} is no folder.{hint}')
    path = table or osp.join(folder, FILE_NAME)
    if not osp.isfile(path):
        raise SystemExit(
            f'{path} does not exist. Name the work dir of a run that has ended, or '
            'the folder from `mmfer clean CONFIG --out DIR` (tools/clean_labels.py). '
            'Runs write this table at their end (SampleScoresHook).'
        )
    return path


def build_dataset(
    folder: str, options: Dict[str, Any]
) -> Tuple[ReviewSettings, FERDataset]:
    """Build the training set of a folder, before any decisions.

    Args:
        folder (str): Folder with a ``review.json`` or a config.
        options (dict): Overrides of the config, or None.

    Raises:
        ValueError: There is neither, or the data set cannot be built.
    """
    found = read_settings(folder)
    if found is None:
        try:
            cfg = Config.fromfile(find_config(folder))
        except ValueError as error:
            raise ValueError(
                f'{error} (A folder of `mmfer scan` has {SETTINGS_NAME}.)'
            ) from None
    else:
        cfg = Config(dict(train_dataloader=dict(dataset=found.dataset)))
    if options is not None:
        cfg.merge_from_dict(options)
    init_default_scope('mmfer')
    settings = dict(cfg.train_dataloader.dataset)
    # The page needs the samples before any decisions.
    settings.pop('decisions', None)
    return found or ReviewSettings(settings), DATASETS.build(settings)
