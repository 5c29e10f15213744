"""List and clear the cache: ``python tools/cache.py [--clear [NAME ...]]``."""

import argparse

from mmfer.cli import run_tool
from mmfer.cli.cache import list_or_clear
from mmfer_command.arguments.cache import DESCRIPTION, add_arguments


def main() -> None:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    list_or_clear(parser.parse_args())


if __name__ == '__main__':
    run_tool(main)
