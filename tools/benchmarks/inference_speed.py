"""Compare the speed of FERInferencer with that of the model alone.

    python tools/benchmarks/inference_speed.py alum_tiny_ferplus

The tool prints the latency of a single face and the images per second of batches. It
measures the inferencer and the model alone; the model gets prepared batches. Both
take turns, batch by batch, because a shared machine changes its speed within seconds.
All numbers are medians. The share of the throughput is the median over pairs of
neighbouring measurements.
"""

import argparse
import time
from typing import Callable, List

import numpy as np
import torch

from mmfer.apis import FERInferencer
from mmfer.cli import run_tool
from mmfer.utils.devices import add_device_argument, synchronize


def seconds(call: Callable, device: torch.device) -> float:
    """Return the wall-clock time of a call."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def take_turns(
    first: Callable, second: Callable, rounds: int, device: torch.device
) -> List[List[float]]:
    """Time two functions in turns, (rounds, 2); the first one alternates."""
    times = []
    for number in range(rounds):
        pair = [first, second]
        found = [seconds(c, device) for c in (pair[::-1] if number % 2 else pair)]
        times.append(found[::-1] if number % 2 else found)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', nargs='?', default='alum_tiny_ferplus')
    parser.add_argument(
        '--untrained', action='store_true', help='measure a model without weights'
    )
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--rounds', type=int, default=400, help='batches of each kind')
    parser.add_argument('--threads', type=int, help='number of CPU threads of torch')
    add_device_argument(parser)
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    fer = FERInferencer(args.model, not args.untrained, args.device)
    rng = np.random.default_rng(0)
    preparation = fer.preparation
    size = preparation.image_size or (48, 48)
    shape = size if preparation.color_type == 'grayscale' else (*size, 3)
    faces = list(rng.integers(0, 256, (args.batch_size, *shape), np.uint8))
    ready = preparation.collate(list(map(preparation.fit, faces)))
    one = preparation.collate([preparation.fit(faces[0])])

    @torch.inference_mode()
    def bare(inputs):
        data = fer.model.data_preprocessor(inputs)
        fer.model(data['inputs'], mode='tensor')

    def batch():
        for _ in fer.stream(faces, batch_size=args.batch_size):
            pass

    take_turns(batch, lambda: bare(ready), 10, args.device)
    print(f'{args.model}, {args.device}, {torch.get_num_threads()} threads')
    times = take_turns(
        lambda: fer(faces[0]), lambda: bare(one), args.rounds, args.device
    )
    latency, alone = 1000 * np.median(times, axis=0)
    print(f'one face: {latency:.1f} ms, model alone {alone:.1f} ms')
    times = np.array(take_turns(batch, lambda: bare(ready), args.rounds, args.device))
    speed, alone = len(faces) / np.median(times, axis=0)
    share = np.median(times[:, 1] / times[:, 0])
    print(
        f'batches of {len(faces)}: {speed:.0f} images/s, model alone '
        f'{alone:.0f} images/s; {share:.1%} of its throughput'
    )


if __name__ == '__main__':
    run_tool(main)
