"""Arguments of ``mmfer train``."""

from argparse import ArgumentParser

from .common import (
    CONFIG_HELP,
    add_data_arguments,
    add_runner_arguments,
    add_variant_arguments,
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer train``."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint; without a path, from the latest one '
        'in the work dir',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size',
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start new workers of the data loaders in each epoch',
    )
    add_data_arguments(parser)
    add_variant_arguments(parser)
    add_runner_arguments(parser)
