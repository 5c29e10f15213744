"""Speed of the attack of GAAVE in a plain and in a compact loop."""

import argparse
import sys
import time
from functools import partial
from typing import Any, Callable, Dict, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor

from mmfer.compat import keep_freed_memory
from mmfer.datasets import unaugmented
from mmfer.methods.gaave.attack import PGD, attack_steps, log_odds_against
from mmfer.methods.gaave.pixels import pixel_classifier, to_unit_range
from mmfer.registry import DATASETS, MODELS
from mmfer.utils.devices import synchronize

from .timing import interleave


def plain_steps(
    predict: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, attack: PGD
) -> Tensor:
    """Count survived steps in a plain loop, in which all images take all steps.

    Args:
        predict (Callable): Images to logits.
        images (Tensor): Images (B, C, H, W).
        labels (Tensor): Labels (B, ).
        attack (PGD): Attack, with its number of steps.

    Returns:
        Tensor: k of each image, int64 (B, ).
    """
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


def load_classifier(
    cfg: Config, checkpoint: str, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Build a differentiable classifier of images in [0, 1], for attacks.

    Args:
        cfg (Config): Config of the classifier.
        checkpoint (str): Path of its weights.
        device (torch.device): Device to run on.

    Returns:
        Callable: Images (B, C, H, W) to logits (B, num_classes).
    """
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    model.to(device).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return pixel_classifier(model)


def loop_costs(
    survived: np.ndarray, steps: int, forward_share: float
) -> Dict[str, float]:
    """Return the mean cost of an image in each loop, in passes of the model.

    A pass is a prediction and its gradient. An image that survives k steps is
    predicted min(k, S) + 1 times in S steps. A gradient is needed for each of
    these predictions but the last one.

    Args:
        survived (np.ndarray): k of each image, int (N, ).
        steps (int): Number of steps of the attack, S.
        forward_share (float): Time of a prediction, as a share of a pass.

    Returns:
        dict[str, float]: Cost of the ``plain`` loop; of the ``compact`` loop, in
        which the gradient is computed for all images that are predicted before
        the last step; and the ``least`` possible cost of a loop that makes the
        same steps.
    """
    predictions = np.minimum(survived, steps) + 1
    gradient_share = 1 - forward_share
    looks = predictions.mean() * forward_share
    return dict(
        plain=(steps + 1) * forward_share + steps * gradient_share,
        compact=looks + (predictions - (survived >= steps)).mean() * gradient_share,
        least=looks + (predictions - 1).mean() * gradient_share,
    )


def speed_figures(
    times: np.ndarray, survived: np.ndarray, steps: int, forward_share: float
) -> Dict[str, Any]:
    """Return the speedup of the compact loop, its bounds, and the distribution of k.

    Args:
        times (np.ndarray): Seconds of the plain and the compact loop, (chunks, 2).
        survived (np.ndarray): k of each image, int (N, ).
        steps (int): Number of steps of the attack.
        forward_share (float): See :func:`loop_costs`.
    """
    costs = loop_costs(survived, steps, forward_share)
    bound = costs['plain'] / costs['compact']
    speedup = float(np.median(times[:, 0] / times[:, 1]))
    return dict(
        k=np.bincount(survived, minlength=steps + 2).tolist(),
        forward_share=round(forward_share, 3),
        speedup=round(speedup, 3),
        bound=round(bound, 3),
        share_of_bound=round(speedup / bound, 3),
        bound_of_any_loop=round(costs['plain'] / costs['least'], 3),
    )


def measure_forward_share(
    predict: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    device: torch.device,
    rounds: int = 5,
) -> float:
    """Return the time of a prediction, as a share of that with its gradient.

    Args:
        predict (Callable): Images to logits.
        images (Tensor): Images (B, C, H, W).
        labels (Tensor): Labels (B, ).
        device (torch.device): Device of the model.
        rounds (int): Number of measurements of both. Defaults to 5.
    """

    @torch.no_grad()
    def forward() -> None:
        predict(images)

    def both() -> None:
        moving = images.detach().requires_grad_()
        against = log_odds_against(predict(moving), labels)
        torch.autograd.grad(against.sum(), moving)

    seconds = interleave(
        dict(forward=forward, both=both), rounds, 1, partial(synchronize, device)
    )
    share = np.median(np.divide(seconds['forward'], seconds['both']))
    return float(min(share, 1))


def read_images(
    cfg: Config, samples: int, device: torch.device
) -> Tuple[Tensor, Tensor]:
    """Return the first training images in [0, 1], unaugmented, and their labels."""
    train_set = DATASETS.build(cfg.train_dataloader.dataset)
    pipeline = DATASETS.build(cfg.val_dataloader.dataset).pipeline
    view = unaugmented(train_set, pipeline)
    count = min(samples, len(view))
    images = torch.stack([view[i]['inputs'] for i in range(count)])
    labels = torch.from_numpy(train_set.get_gt_labels()[:count])
    return to_unit_range(images, device), labels.to(device)


def measure(args: argparse.Namespace) -> dict:
    """Run both loops, and return what the tool prints."""
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device.type == 'cpu':
        keep_freed_memory()
    init_default_scope('mmfer')
    cfg = Config.fromfile(args.config)
    predict = load_classifier(cfg, args.checkpoint, args.device)
    attack = PGD(args.epsilon)
    images, labels = read_images(cfg, args.samples, args.device)

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

    rows = torch.arange(len(labels), device=args.device)
    chunks = rows.chunk(args.chunks)
    # Warm-up: the first batch of each loop is slow, so this pass is not timed.
    plain(chunks[0][: args.batch_size])
    compact(chunks[0][: args.batch_size])
    first_rows = chunks[0][: args.batch_size]
    share = measure_forward_share(
        predict, images[first_rows], labels[first_rows], args.device
    )
    seconds, steps, differing = [], [], 0
    for i, part in enumerate(chunks):
        print(f'chunk {i + 1} of {len(chunks)}', file=sys.stderr, flush=True)
        first, a = timed(plain, part)
        second, b = timed(compact, part)
        differing += int((first != second).sum())
        seconds.append((a, b))
        steps.append(second)
    _, half = timed(compact, rows[: len(labels) // 2])
    _, whole = timed(compact, rows)
    survived = torch.cat(steps).numpy()
    times = np.array(seconds)
    return dict(
        device=str(args.device),
        samples=len(labels),
        batch_size=args.batch_size,
        epsilon=args.epsilon,
        steps=attack.steps,
        threads=torch.get_num_threads(),
        differing=differing,
        **speed_figures(times, survived, attack.steps, share),
        images_per_second=dict(
            plain=round(len(labels) / times[:, 0].sum(), 1),
            compact=round(len(labels) / times[:, 1].sum(), 1),
            compact_half=round(len(labels) // 2 / half, 1),
            compact_whole=round(len(labels) / whole, 1),
        ),
    )
