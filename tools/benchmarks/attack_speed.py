"""How much is saved by attacking only what has not crossed yet.

    python tools/benchmarks/attack_speed.py CONFIG CHECKPOINT [--samples 12288]

Attacks training images with the attack of GAAVE in two ways: in a plain loop,
in which every image goes all steps, and in ``attack_steps``, in which an
image that has crossed makes room for the next one. Both take turns, chunk by
chunk, so that what slows the machine slows both. Prints one line of JSON:

- ``speedup``: median over the chunks of the quotient of the times
- ``bound``: full steps over mean surviving steps, what would be saved if
  nothing else cost anything
- ``share_of_bound``: quotient of the two
- ``differing``: images for which the two differ in k; 0
- ``images_per_second`` of both, and at a half of the samples, for a cost that
  is linear in their number
"""

import argparse
import json
import sys
import time
from contextlib import redirect_stdout

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from mmfer.compat import keep_freed_memory
from mmfer.datasets import LabelView, unaugmented
from mmfer.methods.gaave.attack import PGD, attack_steps, log_odds_against
from mmfer.methods.gaave.pixels import pixel_classifier, to_unit_range
from mmfer.registry import DATASETS, MODELS
from mmfer.utils.devices import add_device_argument, synchronize


def plain_steps(predict, images, labels, attack):
    """k by the plain loop: all images go all steps, (B, )."""
    start, survived = images, torch.zeros_like(labels)
    alive = torch.ones_like(labels, dtype=torch.bool)
    for step in range(attack.steps + 1):
        last = step == attack.steps
        with torch.set_grad_enabled(not last):
            moving = images.detach().requires_grad_(not last)
            logits = predict(moving)
        alive &= logits.argmax(dim=1) == labels
        survived += alive
        if not last:
            (gradient,) = torch.autograd.grad(
                log_odds_against(logits, labels).sum(), moving
            )
            images = attack.step(images, start, gradient)
    return survived


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='of a classifier, with its data set')
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
            'that passes can be full'
        )
    return args


def measure(args: argparse.Namespace) -> dict:
    """The whole benchmark."""
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device.type == 'cpu':
        keep_freed_memory()
    init_default_scope('mmfer')
    cfg = Config.fromfile(args.config)
    train_set = DATASETS.build(cfg.train_dataloader.dataset)
    pipeline = DATASETS.build(cfg.val_dataloader.dataset).pipeline
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    load_checkpoint(model, args.checkpoint, map_location='cpu', strict=True)
    model.to(args.device).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    predict = pixel_classifier(model)
    attack = PGD(args.epsilon)

    ids = train_set.sample_ids[: args.samples]
    view = LabelView(
        unaugmented(train_set, pipeline),
        ids,
        train_set.get_gt_labels()[: args.samples],
        train_set.num_classes,
    )
    images = to_unit_range(torch.stack([view[i]['inputs'] for i in range(len(view))]))
    images = images.to(args.device)
    labels = torch.from_numpy(view.labels).to(args.device)

    def batches(part):
        for piece in part.split(args.batch_size):
            yield piece, images[piece], labels[piece]

    def plain(part):
        return torch.cat(
            [plain_steps(predict, x, y, attack) for _, x, y in batches(part)]
        ).cpu()

    def compact(part):
        found = attack_steps(predict, batches(part), attack, args.batch_size)
        return found.steps[found.sample_ids.argsort()]

    def timed(function, part):
        synchronize(args.device)
        start = time.perf_counter()
        result = function(part)
        synchronize(args.device)
        return result, time.perf_counter() - start

    rows = torch.arange(len(ids), device=args.device)
    chunks = rows.chunk(args.chunks)
    # Warm-up of both.
    plain(chunks[0][: args.batch_size])
    compact(chunks[0][: args.batch_size])
    seconds, steps, differing = [], [], 0
    for i, part in enumerate(chunks):
        print(f'chunk {i + 1} of {len(chunks)}', file=sys.stderr, flush=True)
        first, a = timed(plain, part)
        second, b = timed(compact, part)
        differing += int((first != second).sum())
        seconds.append((a, b))
        steps.append(second)
    _, half = timed(compact, rows[: len(ids) // 2])
    _, whole = timed(compact, rows)
    steps = torch.cat(steps).numpy()
    seconds = np.array(seconds)
    passes = np.minimum(steps, attack.steps) + 1
    bound = float((attack.steps + 1) / passes.mean())
    speedup = float(np.median(seconds[:, 0] / seconds[:, 1]))
    return dict(
        device=str(args.device),
        samples=len(ids),
        batch_size=args.batch_size,
        epsilon=args.epsilon,
        steps=attack.steps,
        threads=torch.get_num_threads(),
        k=np.bincount(steps, minlength=attack.steps + 2).tolist(),
        differing=differing,
        speedup=round(speedup, 3),
        bound=round(bound, 3),
        share_of_bound=round(speedup / bound, 3),
        images_per_second=dict(
            plain=round(len(ids) / seconds[:, 0].sum(), 1),
            compact=round(len(ids) / seconds[:, 1].sum(), 1),
            compact_half=round(len(ids) // 2 / half, 1),
            compact_whole=round(len(ids) / whole, 1),
        ),
    )


def main() -> None:
    args = parse_args()
    with redirect_stdout(sys.stderr):
        result = measure(args)
    print(json.dumps(result))


if __name__ == '__main__':
    main()
