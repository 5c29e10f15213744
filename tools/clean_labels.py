"""Clean labels with GAAVE: ``python tools/clean_labels.py CONFIG --out DIR``."""

import argparse

from mmfer.cli import run_training_tool
from mmfer.cli.clean import clean
from mmfer_command.arguments.clean import DESCRIPTION, add_arguments


def main() -> None:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    clean(parser.parse_args())


if __name__ == '__main__':
    run_training_tool(main)
