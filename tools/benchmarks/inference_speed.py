"""What FERInferencer costs beside the bare model.

    python tools/benchmarks/inference_speed.py alum_tiny_ferplus

prints the latency of a single face, and images per second of batches, through
the inferencer and through the model alone, which gets ready batches. Rounds of
both take turns, and the ratio is the median over the rounds.
"""
import argparse
import time
from typing import Callable, List

import numpy as np
import torch
from mmengine.dataset import default_collate

from mmfer.apis import FERInferencer
from mmfer.cli import run_tool


def seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def take_turns(first: Callable, second: Callable,
               rounds: int) -> List[List[float]]:
    """Times of both, (rounds, 2); who begins alternates."""
    times = []
    for number in range(rounds):
        pair = [first, second]
        found = [seconds(c) for c in (pair[::-1] if number % 2 else pair)]
        times.append(found[::-1] if number % 2 else found)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', nargs='?', default='alum_tiny_ferplus')
    parser.add_argument('--untrained', action='store_true',
                        help='of a model without weights')
    parser.add_argument('--images', type=int, default=1024)
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--rounds', type=int, default=41)
    parser.add_argument('--threads', type=int, help='of torch')
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    fer = FERInferencer(args.model, not args.untrained)
    rng = np.random.default_rng(0)
    size = fer.image_size or (48, 48)
    shape = size if fer.color_type == 'grayscale' else (*size, 3)
    faces = list(rng.integers(0, 256, (args.images, *shape), np.uint8))
    ready = [
        default_collate(list(map(fer.fit, faces[i:i + args.batch_size])))
        for i in range(0, len(faces), args.batch_size)
    ]

    one = default_collate([fer.fit(faces[0])])

    @torch.inference_mode()
    def bare():
        for inputs in ready:
            data = fer.model.data_preprocessor(inputs)
            fer.model(data['inputs'], mode='tensor')

    @torch.inference_mode()
    def bare_single():
        data = fer.model.data_preprocessor(one)
        fer.model(data['inputs'], mode='tensor')

    def batches():
        for _ in fer.stream(faces, batch_size=args.batch_size):
            pass

    for call in (bare, batches):
        call()
    single = np.array([
        take_turns(lambda: fer(faces[0]), bare_single, 1)[0]
        for _ in range(100)
    ])
    print(f'{args.model}, {torch.get_num_threads()} threads')
    latency, alone = 1000 * np.median(single, axis=0)
    print(f'one face: {latency:.1f} ms, model alone {alone:.1f} ms')
    many = np.array(take_turns(batches, bare, args.rounds))
    speed, alone = len(faces) / np.median(many, axis=0)
    ratio = np.median(many[:, 1] / many[:, 0])
    print(f'batches of {args.batch_size}: {speed:.0f} images/s, model alone '
          f'{alone:.0f} images/s; {ratio:.1%} of its throughput '
          f'({(many[:, 1] / many[:, 0]).min():.1%} to '
          f'{(many[:, 1] / many[:, 0]).max():.1%} over {args.rounds} rounds)')


if __name__ == '__main__':
    run_tool(main)
