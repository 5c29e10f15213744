"""Arguments of ``mmfer predict``."""

import argparse
from argparse import ArgumentParser

from .common import add_model_arguments

DESCRIPTION = """\
Recognise the expressions of faces, with an uncertainty; works offline.

IMAGE is an image, a folder, a video, or a list: a .txt or .csv file with one path per
line. Each image must show one face, unless --faces finds the faces in it.

exit code: 0 if all was read; 3 if some images or the end of a video could not be
read; 1 for other errors.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer predict``."""
    parser.add_argument(
        'image', nargs='+', metavar='IMAGE', help='image, folder, video or list'
    )
    add_model_arguments(parser)
    parser.add_argument(
        '--coverage',
        type=float,
        metavar='PERCENT',
        help='show sets with the right class this often',
    )
    parser.add_argument(
        '--csv', metavar='FILE', help='write a table with a row for each face'
    )
    # The name of --csv in mmfer 0.2.
    parser.add_argument('--out', dest='csv', help=argparse.SUPPRESS)
    parser.add_argument(
        '--json', metavar='FILE', help='write a line of JSON for each face; - prints'
    )
    parser.add_argument(
        '--show-dir', metavar='DIR', help='folder for pictures with the results'
    )
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1, ...; default: the best one available'
    )
    videos = parser.add_argument_group('videos')
    videos.add_argument(
        '--every', type=int, metavar='N', help='look at each N-th frame only'
    )
    videos.add_argument(
        '--fps', type=float, metavar='F', help='look at F frames per second only'
    )
    videos.add_argument(
        '--smooth',
        type=float,
        metavar='SECONDS',
        help='average the expression of each face over about this time',
    )
