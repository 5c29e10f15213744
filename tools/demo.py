"""Recognise the expressions of faces, with an uncertainty; works offline.

    python tools/demo.py face.png
    python tools/demo.py photo.jpg --detect-faces

IMAGE is a file or a folder of files. Each image must show one face, unless
``--detect-faces`` finds the faces in it (``pip install mmfer[face]``). Pictures
with the results are written to ``--out``.
"""

import argparse

from mmfer.apis.images import each_source
from mmfer.cli import run_tool
from mmfer.cli.predict import print_results
from mmfer.utils.devices import add_device_argument
from mmfer_command.arguments.common import add_model_arguments


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('image', help='file, or folder of files')
    add_model_arguments(parser)
    parser.add_argument(
        '--out', default='demo', help='folder of the pictures (default: demo)'
    )
    add_device_argument(parser)
    args = parser.parse_args()
    print_results(list(each_source(args.image)), args, args.out)
    print(f'Pictures are in {args.out}.')


if __name__ == '__main__':
    run_tool(main)
