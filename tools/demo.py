"""Recognise the expressions of faces, with an uncertainty; works offline.

    python tools/demo.py face.png
    python tools/demo.py photo.jpg --faces

This is ``mmfer predict`` for images, which also draws: pictures with results are
written to ``--out`` (default: ``demo``).
"""

import argparse
import sys

from mmfer.cli.predict import run
from mmfer_command.arguments.predict import add_arguments


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        conflict_handler='resolve',
    )
    add_arguments(parser)
    # In `mmfer predict`, --out is an older name of --csv.
    parser.add_argument('--out', dest='show_dir', help='folder of the pictures')
    parser.set_defaults(show_dir='demo')
    args = parser.parse_args()
    code = run(args)
    print(f'Pictures are in {args.show_dir}.')
    if code:
        sys.exit(code)


if __name__ == '__main__':
    main()
