"""Arguments of ``mmfer train``."""

from argparse import ArgumentParser

from .common import (
    CONFIG_HELP,
    add_data_arguments,
    add_init_argument,
    add_runner_arguments,
    add_variant_arguments,
    rarely_needed,
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer train``."""
    parser.add_argument('config', metavar='CONFIG', help=CONFIG_HELP)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='FILE',
        help='go on from a checkpoint (default: the latest one)',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size',
    )
    add_init_argument(parser)
    add_data_arguments(parser)
    add_variant_arguments(parser)
    add_runner_arguments(parser)
    rarely_needed(parser).add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start new loader processes in each epoch',
    )
