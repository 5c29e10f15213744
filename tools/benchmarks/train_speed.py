"""Compare the speed and the memory of training steps of several methods.

    python tools/benchmarks/train_speed.py [--methods ce alum] [--pairs 30]

The tool prints one line of JSON; progress goes to the standard error. It compares all
methods with configs ``r18_rafdb`` and ``r18_ferplus``, and the variants under
``train_speed`` in their ``ablation.yml``. There are two settings: the ResNet-18 of the
RAF-DB configs at 224 px, and the small network of the FERPlus configs at 44 px.
Models, optimizers and precision are those of the configs; weights and images are
random. A step is ``model.train_step`` on a batch in memory, without data loading.

**Time.** All methods are in one process and take turns, A B C A B C. The ratio of two
methods is computed within each round, and the result is the median over the rounds.
So a machine that slows down slows all methods alike. ``time_ratio`` above 1 means
slower than the baseline. ALUM draws new gates in each step, so its quartiles contain
that spread.

**Noise models.** These numbers exist for models of two networks. ``weighing`` is the
time to measure the agreements of a batch and to compute its weights, as a share of a
step. ``refit`` is the time to fit both noise models to the scores of ``--samples``
images. It is a share of the time of the steps of an epoch of that many images.

**Memory.** Each method is measured alone, before any timing. The number is the largest
amount of memory that tensors take during a step: weights, optimizer state, images, and
all that the step allocates. It is the maximum of ``--memory-steps`` steps after the
warm-up. On CUDA this is ``torch.cuda.max_memory_allocated``. On a CPU it is the highest
running sum of the allocations that torch's profiler reports, without work spaces of
oneDNN.
"""

import argparse
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import List, Optional

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfer.analysis.benchmarks.methods import BASELINE
from mmfer.analysis.benchmarks.timing import describe_machine
from mmfer.analysis.benchmarks.train_speed import Setting, find_rows, measure
from mmfer.compat import keep_freed_memory
from mmfer.utils.devices import add_device_argument

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# Names of the configs without the method.
NAMES = dict(r18='r18_rafdb', small='r18_ferplus')
ROWS = find_rows(CONFIGS, list(NAMES.values()))
# Smallest allowed values. Batch statistics of one image are undefined.
LEAST = dict(pairs=1, steps=1, memory_steps=0, px=8, small_px=8)
LEAST.update(batch_size=2, small_batch_size=2)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--methods', nargs='+', choices=ROWS, default=list(ROWS), help='rows')
    add('--baselines', nargs='+', choices=ROWS, default=[BASELINE], help='rows')
    add('--settings', nargs='+', choices=NAMES, default=list(NAMES), help='networks')
    add('--pairs', type=int, default=30, help='rounds in which every method has a turn')
    add('--steps', type=int, default=1, help='training steps per turn')
    add('--memory-steps', type=int, default=3, help='steps for memory; 0 for none')
    add('--samples', type=int, default=28153, help='images of an epoch, as in FERPlus')
    add('--px', type=int, default=224, help='image size of r18')
    add('--batch-size', type=int, help='of r18; by default 16 on a CPU, 128 on CUDA')
    add('--small-px', type=int, default=44, help='image size of small')
    add('--small-batch-size', type=int, default=128, help='batch size of small')
    add(
        '--precision',
        choices=['config', 'float32', 'bfloat16'],
        default='config',
        help='precision of the forward pass (default: that of each config)',
    )
    add_device_argument(parser)
    add('--threads', type=int, help='CPU threads (default: chosen by torch)')
    args = parser.parse_args(argv)
    if args.batch_size is None:
        args.batch_size = 16 if args.device.type == 'cpu' else 128
    for name, least in LEAST.items():
        if getattr(args, name) < least:
            parser.error(f'--{name.replace("_", "-")} must be at least {least}')
    return args


def run(args: argparse.Namespace) -> dict:
    """Measure all settings."""
    if args.threads:
        torch.set_num_threads(args.threads)
    init_default_scope('mmfer')
    # Otherwise, a line for each parameter of each model would hide the progress.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    settings = dict(
        r18=Setting(NAMES['r18'], args.px, args.batch_size),
        small=Setting(NAMES['small'], args.small_px, args.small_batch_size),
    )
    rows = {name: ROWS[name] for name in args.methods}
    machine = describe_machine(args.device)
    found = {name: measure(settings[name], rows, args) for name in args.settings}
    return dict(machine=machine, pairs=args.pairs, steps=args.steps, settings=found)


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    if args.device.type == 'cpu':
        # As tools/train.py does.
        keep_freed_memory()
    # Loggers of OpenMMLab write to stdout, which belongs to the result.
    with redirect_stdout(sys.stderr):
        result = run(args)
    print(json.dumps(result))


if __name__ == '__main__':
    main()
