"""Options and runners that the benchmarks of training loops share."""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmfer import cli
from mmfer.analysis.benchmarks.made_images import use_made_images
from mmfer.analysis.benchmarks.timed_runs import shorten
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
