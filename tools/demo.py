"""Recognise the expressions of faces, with an uncertainty; works offline.

    python tools/demo.py face.png
    python tools/demo.py photo.jpg --faces

IMAGE is a file or a folder of files. Each image must show one face, unless
``--faces`` finds the faces in it (``pip install mmfer[face]``). Pictures
with the results are written to ``--out``.
"""

import argparse
import sys

from mmfer.cli.predict import run
from mmfer.utils.devices import add_device_argument
from mmfer_command.arguments.common import add_model_arguments


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('image', nargs='+', help='file, or folder of files')
    add_model_arguments(parser)
    parser.add_argument(
        '--out',
        dest='show_dir',
        default='demo',
        help='folder of the pictures (default: demo)',
    )
    add_device_argument(parser)
    parser.set_defaults(csv=None, json=None, every=None, fps=None, smooth=None)
    args = parser.parse_args()
    code = run(args)
    print(f'Pictures are in {args.show_dir}.')
    if code:
        sys.exit(code)


if __name__ == '__main__':
    main()
