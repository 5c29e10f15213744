"""Measure a step of the joint-distribution GAN, compared with its parts.

    python tools/benchmarks/gan_step.py [CONFIG] [--rounds 20] [--threads 2]

The tool prints one line of JSON. A step is ``model.train_step`` on a batch of random
images that is already in memory. Its parts are timed separately:

- one forward, backward and update of encoder and decoder against a frozen
  discriminator
- one forward, backward and update of the discriminator. This part counts
  ``discriminator_steps`` times

Step and parts take turns in one process. ``ratio`` is the time of the step divided by
the sum of its parts, median over the rounds. ``encoder_forwards`` is the number of
times that the encoder runs in a step.
"""

import argparse
import json
import os.path as osp

from mmfer.analysis.benchmarks.gan_step import measure
from mmfer.cli import run_tool

CONFIG = osp.join(
    osp.dirname(osp.abspath(__file__)),
    osp.pardir,
    osp.pardir,
    'configs/jointgan/jointgan_vgg16_synthfaces_noise30.py',
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', default=CONFIG)
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--batch-size', type=int)
    parser.add_argument('--threads', type=int)
    return parser.parse_args()


def main() -> None:
    print(json.dumps(measure(parse_args())))


if __name__ == '__main__':
    run_tool(main)
