"""Arguments of ``mmfer test``."""

from argparse import ArgumentParser

from .common import CONFIG_HELP, add_runner_arguments


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer test``."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('checkpoint', help='checkpoint to test')
    parser.add_argument(
        '--out',
        help='file for the results: predictions as .npz, metrics as .json or .yaml',
    )
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='content of the file --out: metrics, or predictions (default)',
    )
    parser.add_argument('--show-dir', help='folder for images with their predictions')
    parser.add_argument('--show', action='store_true', help='show results in a window')
    parser.add_argument('--interval', type=int, default=1, help='show every n-th image')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that each window stays'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='use test-time augmentation: that of the config (tta_pipeline and '
        'tta_model), or else the mean over an image and its mirror image',
    )
    add_runner_arguments(parser)
