"""Arguments of ``mmfer scan``."""

import argparse
from argparse import ArgumentParser

DESCRIPTION = """\
Find labels that are probably wrong, duplicates, and images without a face. SOURCE is a
folder with one folder of images per class; a list of images and labels (CSV, txt); the
folder of FERPlus or RAF-DB; or a config. Images are crops of one face each. Nothing is
trained, and your files are only read. DIR gets review.html (decide in a browser),
report.txt (what was found, what next), sample_scores.csv and scan.json.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer scan``."""
    parser.add_argument('source', metavar='SOURCE', help='folder, list or config')
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='folder for the results'
    )
    parser.add_argument(
        '--data-root', metavar='DIR', help='folder that the paths in a list start from'
    )
    parser.add_argument(
        '--classes', metavar='FILE', help='names of the classes, one per line'
    )
    parser.add_argument(
        '--groups',
        default='auto',
        metavar='HOW',
        help='images that belong together: auto (near duplicates, the default), '
        'folder (persons, videos), none, or a column of the list',
    )
    parser.add_argument(
        '--encoder',
        metavar='NAME',
        help='lite0, hog, a model with weights, a work dir or a config (default: the '
        'best one installed)',
    )
    parser.add_argument('--checkpoint', metavar='FILE', help='weights of the encoder')
    parser.add_argument(
        '--head',
        action='store_true',
        help='train a small head, too: better, takes minutes',
    )
    parser.add_argument(
        '--careful',
        action='store_true',
        help='flag only where another class is twice as probable',
    )
    parser.add_argument(
        '--relabel',
        action='store_true',
        help='give sure suggestions to flagged images, and drop the others',
    )
    parser.add_argument(
        '--keep-share',
        type=_share,
        default=0.1,
        metavar='SHARE',
        help='share of a class that is never flagged (default: 0.1)',
    )
    parser.add_argument(
        '--apply', action='store_true', help='write a cleaned list, and how to train'
    )
    parser.add_argument(
        '--copy', metavar='DIR', help='copy what is kept into one folder per class'
    )
    parser.add_argument(
        '--link', action='store_true', help='with --copy: hard links, not copies'
    )
    parser.add_argument(
        '--decisions',
        metavar='CSV',
        help='apply this table, downloaded from the page, with --apply or --copy',
    )
    parser.add_argument(
        '--max-images',
        type=_positive,
        default=10000,
        metavar='N',
        help='images on the page (default: 10000)',
    )
    parser.add_argument('--device', help='cpu, cuda, ... (default: the best one)')


def _share(text: str) -> float:
    """Read a share in [0, 1)."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 0 to below 1')
    return value


def _positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number from 1 on')
    return int(text)
