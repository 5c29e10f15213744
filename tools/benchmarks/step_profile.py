"""Print where the time of a training step goes, line by line.

    python tools/benchmarks/step_profile.py --configs ce/ce_r18_rafdb [--csv FILE]

For each config, the tool trains with the Runner of ``tools/train.py``, without
pretrained weights, validation and checkpoints. It prints a table:

- ``waiting for data``: until the data loader has the next batch. Without workers, the
  batch is read, decoded, transformed and collated in this time.
- ``to device, stack``: images and labels are moved, and labels are stacked.
- ``augmentation`` and ``normalise``: in the data preprocessor
- forward passes of ``backbone``, ``neck``, and ``head and loss``
- ``backward`` and ``optimizer``
- each hook, and ``logging``
- ``rest``: everything else, such as the loop itself

Sections do not overlap, and add up to the whole step. Numbers are medians over the
rounds.

On a GPU, ``ms`` is measured with a synchronised device at each mark. This costs time
itself, because CPU and GPU no longer work at the same time. ``host ms`` is the time of
the CPU without this. ``step without marks`` tells how long a step takes when nothing
is marked.

The last lines count, in one step without its data: operations of torch on the device,
each of which launches at least one kernel on a GPU, and values that the CPU reads from
the device, for which it waits. On a CPU, Adam computes weight by weight and reads a
value for each. With ``--cfg-options optim_wrapper.optimizer.fused=True``, it does not,
and the counts are close to those of a GPU. On CUDA, a profile also counts kernels,
graphs, copies and waits.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import List, Optional

import timed_runner

from mmfer.analysis.benchmarks.step_profile import as_text, measure, with_before
from mmfer.analysis.benchmarks.timing import describe_machine, progress
from mmfer.cli import run_tool

CONFIGS = [
    *(f'{method}/{method}_r18_ferplus_noise30' for method in ('ce', 'alum', 'resup')),
    'jointgan/jointgan_vgg16_synthfaces_noise30',
]


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--configs', nargs='+', default=CONFIGS, help='as ce/ce_r18_rafdb, or a path')
    add('--rounds', type=int, default=10)
    add('--steps', type=int, default=5, help='iterations per round')
    add('--csv', type=Path, help='file for the lines of all tables')
    add('--before', type=Path, help='such a file of an earlier version, to compare')
    timed_runner.add_arguments(parser)
    args = parser.parse_args(argv)
    timed_runner.check(parser, args)
    return args


def main() -> None:
    args = parse_args()
    print(json.dumps(describe_machine(args.device)))
    lines, before = [], []
    if args.before is not None:
        with open(args.before, newline='') as file:
            before = list(csv.DictReader(file))
    for name in args.configs:
        progress(f'{name}: {args.rounds} rounds')
        with timed_runner.temporary_folder(args) as folder:
            runner = timed_runner.build(name, args, folder)
            rows = measure(runner, name, args.rounds, args.steps, args.device)
        if before:
            rows = with_before(rows, before)
        print(f'\n{as_text(rows)}', flush=True)
        lines += rows
        if args.csv is not None:
            # After each config, so that a killed run leaves what it has found.
            with open(args.csv, 'w', newline='') as file:
                writer = csv.DictWriter(file, list(lines[0]), lineterminator='\n')
                writer.writeheader()
                writer.writerows(lines)


if __name__ == '__main__':
    run_tool(main)
