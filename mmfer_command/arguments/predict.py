"""Arguments of ``mmfer predict``."""

from argparse import ArgumentParser

from .common import add_model_arguments

DESCRIPTION = """\
Recognise the expressions of faces, with an uncertainty; works offline.

IMAGE is a file, a folder, or a list: a .txt or .csv file with one path per line. Each
image must show one face, unless --detect-faces finds the faces in it
(pip install "mmfer[face]").
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer predict``."""
    parser.add_argument('image', help='image, folder of images, or list of images')
    add_model_arguments(parser)
    parser.add_argument(
        '--out', metavar='FILE.csv', help='write the results to this table, too'
    )
    parser.add_argument(
        '--show-dir', metavar='DIR', help='folder for pictures with the results'
    )
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1, ...; default: the best one available'
    )
