"""Draw an example data set: ``mmfer data draw DIR``."""

import argparse

from mmfer.datasets.synthetic_faces.writing import (
    CLEAN_LIST,
    draw_faces,
    make_empty_folder,
    write_folders,
)

from .common import run_tool


def run(args: argparse.Namespace) -> None:
    """Draw faces, and show user errors without a traceback."""
    run_tool(lambda: draw(args))


def draw(args: argparse.Namespace) -> None:
    """Write drawn faces into one folder per class.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.data_draw`.

    Raises:
        ValueError: The folder is not empty, or a number is out of range.
    """
    make_empty_folder(args.out)
    dataset = draw_faces('train', args.count, args.size, args.noise, args.seed)
    write_folders(args.out, dataset)
    clean = dataset.clean_labels
    wrong = 0 if clean is None else int((dataset.given_labels != clean).sum())
    print(
        f'{args.out}: {len(dataset)} faces in {dataset.num_classes} folders, {wrong} '
        f'of them in the wrong one. {CLEAN_LIST} has the right classes.'
    )
