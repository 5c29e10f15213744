"""Write a page on which a person reviews suspicious labels: ``mmfer review FOLDER``."""

import argparse

from mmfer.cli import run_tool
from mmfer.cli.review import review
from mmfer_command.arguments.review import DESCRIPTION, add_arguments


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    review(parse_args())


if __name__ == '__main__':
    run_tool(main)
