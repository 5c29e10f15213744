"""Clean labels with GAAVE: ``python tools/clean_labels.py CONFIG --out DIR``."""

import argparse

from mmfer.cli.clean import clean, run
from mmfer_command.arguments.clean import DESCRIPTION, add_arguments


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    clean(parse_args())


if __name__ == '__main__':
    run(parse_args())
