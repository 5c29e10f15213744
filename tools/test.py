"""Test a model: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse

from mmfer.cli.test import run, test
from mmfer_command.arguments.test import add_arguments


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a model')
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    test(parse_args())


if __name__ == '__main__':
    run(parse_args())
