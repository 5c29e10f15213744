"""Arguments of ``mmfer doctor``."""

from argparse import ArgumentParser


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer doctor``."""
    parser.add_argument(
        '--fast',
        action='store_true',
        help='only look at the installation; do not import torch or train a step',
    )
