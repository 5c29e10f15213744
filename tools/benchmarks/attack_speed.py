"""Measure the time saved by attacking only images with an unchanged prediction.

    python tools/benchmarks/attack_speed.py CONFIG CHECKPOINT [--samples 12288]

The tool attacks training images with the attack of GAAVE in two loops. In the plain
loop, every image takes all steps. In the compact loop (``attack_steps``), an image
leaves once its prediction has changed, and the next image takes its place. The loops
take turns, chunk by chunk, so that a slow machine slows both. The tool prints one
line of JSON:

- ``k``: number of images by survived steps, from 0 steps on
- ``speedup``: time of the plain loop divided by that of the compact loop, median
  over the chunks
- ``bound``: passes through the model per image in the plain loop, divided by the
  mean in the compact loop. This is the speedup if nothing else took time
- ``share_of_bound``: ``speedup`` divided by ``bound``
- ``differing``: number of images for which the two loops differ in k, which must
  be 0
- ``images_per_second``: speed of both loops; of the compact loop also for half of
  the samples, which shows whether the cost is linear in their number
"""

import argparse
import json
import sys
from contextlib import redirect_stdout

from mmfer.analysis.benchmarks.attack_speed import measure
from mmfer.cli import run_tool
from mmfer.utils.devices import add_device_argument


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a classifier with its data set')
    parser.add_argument('checkpoint')
    parser.add_argument('--samples', type=int, default=12288)
    parser.add_argument('--chunks', type=int, default=3)
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--epsilon', type=float, default=1 / 255)
    add_device_argument(parser)
    parser.add_argument('--threads', type=int)
    args = parser.parse_args()
    if args.samples < args.chunks * args.batch_size:
        parser.error(
            '--samples must be at least --chunks x --batch-size, so '
            'that each pass has a full batch'
        )
    return args


def main() -> None:
    args = parse_args()
    with redirect_stdout(sys.stderr):
        result = measure(args)
    print(json.dumps(result))


if __name__ == '__main__':
    run_tool(main)
