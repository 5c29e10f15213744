"""Compare the training loop through the Runner with the bare model step.

    python tools/benchmarks/loop_speed.py --configs ce/ce_r18_rafdb [--made 4096]

The tool prints one line of JSON; progress goes to the standard error. For each config,
it builds the Runner of ``tools/train.py``, without pretrained weights, validation and
checkpoints. The loop of the Runner and bare steps take turns, n iterations each:

- The loop waits for data, calls all hooks, prepares the batch, trains and logs.
- The bare step is forward, backward and update on a batch that is already prepared.

``ratio`` is the time of the bare step divided by that of the loop, computed within
each round. So a machine that slows down slows both. 1 means that the loop costs
nothing. Numbers are the median and the quartiles of the rounds. ``data_ms``,
``hooks_ms`` and ``preprocessor_ms`` are parts of ``loop_ms``: the wait for data, the
hooks of an iteration, and the data preprocessor. On a GPU they are times of the CPU,
which may run ahead of the GPU. ``image_us`` is the time in which one process makes one
image of a batch.

Before each timing of the loop, so many iterations are not timed as batches can be
ready. Otherwise, the loop would live on what the workers made during the bare steps.
The start of an epoch is not timed either.
"""

import argparse
import json
from typing import List, Optional

import timed_runner

from mmfer.analysis.benchmarks.loop_speed import measure
from mmfer.analysis.benchmarks.timing import describe_machine, progress
from mmfer.cli import run_tool

CONFIGS = ['ce/ce_r18_ferplus_noise30', 'ce/ce_r18_rafdb']


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--configs', nargs='+', default=CONFIGS, help='as ce/ce_r18_rafdb, or a path')
    add('--rounds', type=int, default=20)
    add('--steps', type=int, default=5, help='iterations of each kind per round')
    timed_runner.add_arguments(parser)
    args = parser.parse_args(argv)
    timed_runner.check(parser, args)
    return args


def run(args: argparse.Namespace) -> dict:
    """Measure all configs, one after another."""
    result = dict(machine=describe_machine(args.device), rounds=args.rounds, configs={})
    for name in args.configs:
        progress(f'{name}: {args.rounds} rounds')
        with timed_runner.temporary_folder(args) as folder:
            runner = timed_runner.build(name, args, folder)
            found = measure(runner, args.rounds, args.steps, args.device)
        result['configs'][name] = found
        progress(f'{name}: ratio {found["ratio"]["median"]}')
    return result


def main() -> None:
    print(json.dumps(run(parse_args())))


if __name__ == '__main__':
    run_tool(main)
