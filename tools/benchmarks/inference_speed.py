"""Compare the speed of FERInferencer with that of the model alone.

    python tools/benchmarks/inference_speed.py alum_tiny_ferplus
    python tools/benchmarks/inference_speed.py alum_tiny_ferplus --folder IMAGES

The tool prints one line of JSON. All functions take turns, because a shared machine
changes its speed within seconds; each share is the median over the rounds, with
quartiles. The model alone gets batches that are ready, so it reads no file.

Without ``--folder``, the images are arrays of the size that the model needs:

- ``one_face``: share of the speed of the model alone, for a single image
- ``batches``: the same for batches

With ``--folder``, the images are the files of this folder. No file is read twice
before all were read, because a JPEG is checked for damage only once:

- ``share``: speed of the inferencer as a share of that of the model alone, when it
  reads files one by one in the main thread, and in threads
- ``model_us``, ``prepare_us``: time of the model for an image, and time in which one
  core reads, decodes, resizes and copies an image, in microseconds
- ``limit``: largest possible share. If the model computes on the same cores, as on a
  CPU, the work adds up: model / (model + prepare / cores). On a GPU the slower part
  decides: model / max(model, prepare / cores)
"""

import argparse
import json
import sys
from contextlib import redirect_stdout
from functools import partial
from typing import Any, Dict

import numpy as np
import torch

from mmfer.analysis.benchmarks.inference_speed import (
    compare_folder,
    ready_model,
    shares,
    take_turns,
)
from mmfer.analysis.benchmarks.timing import describe_machine
from mmfer.apis import FERInferencer
from mmfer.apis.images import list_images
from mmfer.cli import run_tool
from mmfer.utils.devices import add_device_argument


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', nargs='?', default='alum_tiny_ferplus')
    parser.add_argument(
        '--untrained', action='store_true', help='measure a model without weights'
    )
    parser.add_argument('--folder', help='folder of images')
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument(
        '--batches', type=int, default=4, help='batches of a round, with --folder'
    )
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--threads', type=int, help='number of CPU threads of torch')
    parser.add_argument('--workers', type=int, help='number of threads that read')
    add_device_argument(parser)
    return parser.parse_args()


def compare_arrays(fer: FERInferencer, batch_size: int, rounds: int) -> Dict[str, Any]:
    """Compare a single array and batches of arrays with the model alone."""
    preparation = fer.preparation
    size = preparation.image_size or (48, 48)
    shape = size if preparation.color_type == 'grayscale' else (*size, 3)
    faces = list(
        np.random.default_rng(0).integers(0, 256, (batch_size, *shape), np.uint8)
    )
    found: Dict[str, Any] = {}
    for name, images in (('one_face', faces[:1]), ('batches', faces)):
        functions = dict(
            ready=ready_model(fer, images),
            inferencer=partial(fer, images, batch_size=batch_size),
        )
        take_turns(functions, 3, fer.device)
        found[name] = shares(take_turns(functions, rounds, fer.device), 'ready')
    return found


def main() -> None:
    args = parse_args()
    with redirect_stdout(sys.stderr):
        if args.threads is not None:
            torch.set_num_threads(args.threads)
        machine = describe_machine(args.device)
        fer, alone = (
            FERInferencer(args.model, not args.untrained, args.device, workers=workers)
            for workers in (args.workers, 0)
        )
        if args.folder is None:
            found = compare_arrays(fer, args.batch_size, args.rounds)
        else:
            files = list_images(args.folder)
            found = compare_folder(
                fer, alone, files, args.batch_size, args.batches, args.rounds
            )
    print(json.dumps(dict(model=args.model, **machine, workers=fer.workers, **found)))


if __name__ == '__main__':
    run_tool(main)
