"""Arguments of ``mmfer clean``."""

from argparse import ArgumentParser

from .common import (
    CONFIG_HELP,
    add_data_arguments,
    add_init_argument,
    add_runner_arguments,
)

DESCRIPTION = """\
Clean the labels of a training set with GAAVE, and write the results to files.

GAAVE's models use the backbone, schedule and seed of the config. The data set is not
changed: DIR gets a table of all samples with their decisions (sample_scores.csv), a
cleaned list, and a report. A killed run continues when it is started again.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer clean``."""
    parser.add_argument('config', metavar='CONFIG', help=CONFIG_HELP)
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='folder for the results'
    )
    parser.add_argument(
        '--stages',
        metavar='DIR',
        help='folder that runs with other options share (default: OUT/cleaning)',
    )
    add_init_argument(parser)
    parser.add_argument(
        '--scores',
        metavar='FILE.csv',
        help='table of `mmfer scan`: learn without what it suspects',
    )
    add_data_arguments(parser)
    add_runner_arguments(parser)
