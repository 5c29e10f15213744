"""Options and runners that the benchmarks of training loops share."""

import argparse
import os
import tempfile
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Iterator
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmfer import cli
from mmfer.analysis.benchmarks.made_images import use_made_images
from mmfer.analysis.benchmarks.timed_runs import chosen_device, shorten
from mmfer.utils.devices import add_device_argument

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is run."""
    add = parser.add_argument
    add('--batch-size', type=int, help='images per step (default: of each config)')
    add('--workers', type=int, help='data workers (default: of each config)')
    add(
        '--made',
        type=int,
        metavar='N',
        help='train on N made images in a temporary folder, for configs on RAF-DB and '
        'FERPlus',
    )
    add('--threads', type=int, help='CPU threads (default: chosen by torch)')
    add_device_argument(parser)
    cli.add_runner_arguments(parser)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a message if a number is too small, and set the CPU threads."""
    # Batch statistics of one image are undefined.
    least = dict(rounds=1, steps=1, batch_size=2, workers=0, made=8, threads=1)
    for name, smallest in least.items():
        value = getattr(args, name)
        if value is not None and value < smallest:
            parser.error(f'--{name.replace("_", "-")} must be at least {smallest}')
    if args.threads:
        torch.set_num_threads(args.threads)


def find_config(name: str) -> str:
    """Return the path of a config, which may be named as ``ce/ce_r18_rafdb``."""
    path = CONFIGS / f'{name}.py'
    return str(path) if path.is_file() else name


@contextmanager
def temporary_folder(args: argparse.Namespace) -> Iterator[Path]:
    """Give a run a folder, and the device of the command line.

    Inside the block, nothing is printed to the standard output: the lines of a run
    would be thousands. Made images are not worth a place in the cache of the user, so
    their store is in the folder, too.

    Args:
        args (argparse.Namespace): Options of :func:`add_arguments`.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        chosen_device(args.device),
        open(os.devnull, 'w') as nowhere,
        redirect_stdout(nowhere),
        mock.patch.dict(os.environ),
    ):
        if args.made:
            os.environ['MMFER_CACHE_DIR'] = f'{folder}/cache'
        yield Path(folder)


def build(name: str, args: argparse.Namespace, folder: Path) -> Runner:
    """Build the runner of a config as ``tools/train.py`` does.

    Args:
        name (str): Config.
        args (argparse.Namespace): Options of :func:`add_arguments`.
        folder (Path): Empty folder for logs and made images.
    """
    args.work_dir = str(folder / 'run')
    cfg: Config = cli.load_training_config(find_config(name), args)
    shorten(cfg, args.batch_size, args.workers)
    if args.made:
        use_made_images(cfg, folder / 'data', args.made)
    # Runners of one process share loggers by this name, and folders are unique.
    cfg.experiment_name = folder.name
    return cli.build_runner(cli.finish_config(cfg, args))
