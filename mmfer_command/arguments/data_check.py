"""Arguments of ``mmfer data check``."""

from argparse import ArgumentParser

DESCRIPTION = """\
Count classes, sizes, broken images, and images that are there twice. Nothing is
trained or changed. The exit code is 1 if there is a problem.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer data check``."""
    parser.add_argument(
        'source',
        metavar='CONFIG_OR_FOLDER',
        help='folder with one folder per class, list of images and labels, or config',
    )
    parser.add_argument('--val-data', metavar='PATH', help='images for evaluation')
    parser.add_argument(
        '--classes', metavar='NAMES', help='classes of a list: a,b,c or a file'
    )
    parser.add_argument(
        '-v', '--verbose', action='store_true', help='show tracebacks of errors'
    )
