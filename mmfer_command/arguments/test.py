"""Arguments of ``mmfer test``."""

from argparse import ArgumentParser

from .common import CONFIG_HELP, add_runner_arguments


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer test``."""
    parser.add_argument('config', metavar='CONFIG', help=CONFIG_HELP)
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint to test')
    parser.add_argument(
        '--out', metavar='FILE', help='predictions as .npz, or metrics as .json, .yaml'
    )
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='content of --out (default: predictions)',
    )
    parser.add_argument(
        '--show-dir', metavar='DIR', help='folder for images with their predictions'
    )
    parser.add_argument('--show', action='store_true', help='show results in a window')
    parser.add_argument(
        '--interval', type=int, default=1, metavar='N', help='show every N-th image'
    )
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        metavar='SECONDS',
        help='time that each window stays',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='average over several crops or mirror images of each image',
    )
    add_runner_arguments(parser)
