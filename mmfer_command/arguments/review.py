"""Arguments of ``mmfer review``."""

import argparse
from argparse import ArgumentParser

from .common import OptionsAction

DESCRIPTION = """\
Write a page on which a person reviews suspicious labels in a browser.

FOLDER has a sample_scores.csv: it is the work dir of a run, or a folder that
`mmfer scan` or `mmfer clean` has written. The page, FOLDER/review.html, is one file
that needs no server and no network. It shows the most suspicious images first, each
with its given and suggested label. Keys keep, relabel or drop an image. Buttons
download the corrected list, or a table for train_dataloader.dataset.decisions.

The page contains the images. Only you can read the file; take care whom you give it.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer review``."""
    parser.add_argument(
        'folder', metavar='FOLDER', help='folder with sample_scores.csv'
    )
    parser.add_argument(
        '--table', metavar='CSV', help='table (default: FOLDER/sample_scores.csv)'
    )
    parser.add_argument(
        '--out', metavar='HTML', help='file of the page (default: FOLDER/review.html)'
    )
    parser.add_argument(
        '--max-images',
        type=_positive,
        default=10000,
        metavar='N',
        help='show this many of the most suspicious images (default: 10000)',
    )
    parser.add_argument(
        '--title',
        help='title, and start of the names of downloads (default: the name of FOLDER)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='settings that override the config, such as another folder of images: '
        'train_dataloader.dataset.data_root=...',
    )


def _positive(text: str) -> int:
    """Read a number of images."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number from 1 on')
    return int(text)
