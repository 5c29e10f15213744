"""Measure the time saved by attacking only images with an unchanged prediction.

    python tools/benchmarks/attack_speed.py CONFIG CHECKPOINT [--samples 12288]

The tool attacks training images with the attack of GAAVE in two loops. In the plain
loop, every image takes all steps. In the compact loop (``attack_steps``), an image
leaves once its prediction has changed, and the next image takes its place. After the
last step, it is predicted without a gradient. The loops
take turns, chunk by chunk, so that a slow machine slows both. The tool prints one
line of JSON:

- ``k``: number of images by survived steps, from 0 steps on
- ``speedup``: time of the plain loop divided by that of the compact loop, median
  over the chunks
- ``forward_share``: time of a prediction, as a share of a pass, which is a prediction
  with its gradient
- ``bound``: mean cost of an image in the plain loop, divided by that in the compact
  loop. This is the speedup if nothing but the model took time. With S steps and the
  forward share f, the plain loop costs S + f passes. In the compact loop, an image
  that survives k < S steps costs k + 1 passes, and another one S + f
- ``share_of_bound``: ``speedup`` divided by ``bound``
- ``bound_of_any_loop``: the bound for a loop that would know in advance which
  prediction of an image is its last one, so that it never computes a gradient in vain:
  k + f passes. No loop that makes the same steps is faster
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
