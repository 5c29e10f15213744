"""Arguments of ``mmfer export``."""

from argparse import ArgumentParser

DESCRIPTION = """\
Write a trained model as an ONNX file, which other programs and languages can run.

The file takes images (uint8, B-G-R or grey) of one size and returns probabilities and
uncertainties; crop, normalisation and temperature are inside. It is written only if it
agrees with torch. `mmfer predict --model FILE.onnx` runs it, too. Needs
pip install "mmfer[onnx]".
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer export``."""
    parser.add_argument(
        'model', help='name in mmfer.list_models(), work dir, or config'
    )
    parser.add_argument(
        '--onnx', required=True, metavar='FILE.onnx', help='file to write'
    )
    parser.add_argument('--checkpoint', help="weights (default: the model's own)")
    parser.add_argument(
        '--image-size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='size of the images, if the pipeline of the config does not resize '
        "(default: the config's)",
    )
    parser.add_argument(
        '--check-images',
        type=int,
        default=1000,
        metavar='N',
        help='number of images on which the file is compared with torch '
        '(default: 1000)',
    )
