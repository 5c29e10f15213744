"""Arguments of ``mmfer data draw``."""

from argparse import ArgumentParser

DESCRIPTION = """\
Draw schematic faces of seven expressions, to try mmfer without a data set. DIR gets
one folder of PNG files per class, some of them in the wrong one, and
clean_labels.csv with the right classes.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer data draw``."""
    parser.add_argument('out', metavar='DIR', help='new folder')
    parser.add_argument(
        '--count', type=int, default=4000, metavar='N', help='faces (default: 4000)'
    )
    parser.add_argument(
        '--noise',
        type=float,
        default=0.3,
        metavar='SHARE',
        help='share of faces in a wrong folder (default: 0.3)',
    )
    parser.add_argument(
        '--size', type=int, default=48, metavar='N', help='pixels (default: 48)'
    )
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='default: 0')
