"""Arguments of ``mmfer models``."""

from argparse import ArgumentParser


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer models``."""
    parser.add_argument(
        'pattern',
        nargs='*',
        metavar='PATTERN',
        help='part of a name, such as alum, or a name with wildcards, such as '
        "'resup*ferplus*'; of several, all must fit",
    )
    parser.add_argument(
        '--configs',
        action='store_true',
        help='list the configs to train with, too, not only models with weights',
    )
