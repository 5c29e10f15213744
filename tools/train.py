"""Train a model: ``python tools/train.py CONFIG [--noise symmetric:0.3]``."""

import argparse

from mmfer.cli.train import merge_args, run, train
from mmfer_command.arguments.train import add_arguments

__all__ = ['main', 'merge_args', 'parse_args']


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model')
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    train(parse_args())


if __name__ == '__main__':
    run(parse_args())
