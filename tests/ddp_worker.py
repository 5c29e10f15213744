"""Functions that several processes run in tests; they import this file."""

import json
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from unittest import mock

import numpy as np
import torch
from helpers import environment, load_tool
from mmengine.dist import get_rank, get_world_size
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.cli import train
from mmfer.compat import cpu_process_group
from mmfer.engine.scoring import merge_by_id
from mmfer.methods.gaave import GAAVE
from mmfer.methods.jointgan.game import Complete
from mmfer.models import LabelNoiseModel
from mmfer.models.gathering import gather_batch, own_images, step_normal
from mmfer.models.latent_statistics import compensate
from mmfer.scan import ScanEvidence
from mmfer.utils.random import clear_step, set_step, step_permutation


def scores(count=1001):
    generator = torch.Generator().manual_seed(0)
    share = torch.rand(count, generator=generator)
    wrong = torch.rand(2, count, generator=generator) < 0.3
    return torch.where(wrong, share**4, 1 - share**4).numpy()


def fit(ids, values, path):
    ids, values = merge_by_id(ids, values, axis=1)
    models = [LabelNoiseModel() for _ in range(2)]
    for model, row in zip(models, values, strict=True):
        model.fit(torch.from_numpy(row))
    torch.save([m.state_dict() for m in models], path)


def fit_a_part(folder: str) -> None:
    """Fit to this process's share of the samples, as the sampler cuts it."""
    rank, world_size = get_rank(), get_world_size()
    order = np.random.default_rng(0).permutation(1001)
    # Like the sampler, repeat the first ones until the parts are equal.
    ids = np.concatenate([order, order[:1]])[rank::world_size]
    fit(ids, scores()[:, ids], f'{folder}/fit_{rank}.pth')


@contextmanager
def double_precision():
    """Compute everything in float64, with the BatchNorm statistics of all processes.

    In float64, two ways to the same number differ by 1e-15, and a choice such as
    that of the smallest loss does not depend on rounding. ``nn.SyncBatchNorm``
    and DDP refuse synchronised BatchNorm on CPUs. Here it normalises the gathered
    batch.
    """
    normalise = _BatchNorm.forward

    def forward(self, x):
        if not self.training:
            return normalise(self, x)
        return own_images(normalise(self, gather_batch(x)))

    with (
        mock.patch.object(torch.Tensor, 'float', torch.Tensor.double),
        mock.patch.object(_BatchNorm, 'forward', forward),
    ):
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def two_batches(seed=0, size=6, width=5):
    """Features of the global batch of two processes, (2 * size, width)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2 * size, width, generator=generator, dtype=torch.float64)


def coupled_losses(x, weight):
    """Losses that couple the images of a batch: one whole, one of own images.

    Args:
        x (Tensor): Own images, (B, D), with gradient.
        weight (Tensor): A parameter, (D, D), with gradient.

    Returns:
        Tensor: A scalar, whose mean over the processes is the same for any number.
    """
    own = x @ weight
    everyone = gather_batch(own)
    partner = step_permutation(len(everyone), 'test')
    whole = (everyone * everyone[partner]).sum(1).sigmoid().mean()
    spread = everyone.std(0)
    return (
        whole + (own / spread).sin().mean() + (gather_batch(x) @ weight).pow(3).mean()
    )


def check_gathering(path) -> None:
    """Compute with own images of the global batch, and save gathered results."""
    # Of two processes, the first has 5 complete images and the second has 2.
    mask = own_images(torch.tensor([1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0]))
    complete = Complete.of(np.flatnonzero(mask), len(mask))
    x = own_images(two_batches()).requires_grad_()
    weight = two_batches(1)[:5].clone().requires_grad_()
    set_step(7, 3)
    loss = coupled_losses(x, weight)
    loss.backward()
    noise = step_normal('noise', len(x), 4, x)
    clear_step()
    maps = own_images(two_batches(2, width=48).reshape(12, 3, 4, 4)).requires_grad_()
    draws = [own_images(two_batches(k, width=3)) for k in (3, 4)]
    compensated = {}
    for stats in ('instance', 'batch'):
        maps.grad = None
        out = compensate(maps, draws, stats)
        own_images(two_batches(2, width=48)).view_as(out).mul(out).sum().backward()
        compensated[stats] = torch.stack([out.detach(), maps.grad], dim=1)
    values = own_images(two_batches(5))[complete.own]
    padded = torch.zeros_like(x).index_copy(
        0, torch.from_numpy(complete.own), complete.previous(values)
    )
    # DDP averages over the processes what they add up to.
    torch.save(
        dict(
            loss=gather_batch(loss.detach()[None]).mean(),
            images=gather_batch(x.grad) / get_world_size(),
            weight=gather_batch(weight.grad[None]).mean(0),
            noise=gather_batch(torch.stack(noise, dim=1)),
            previous=gather_batch(padded),
            mean=gather_batch(complete.weight * values.mean(0)[None]).mean(0),
            fewest=complete.fewest,
            **{k: gather_batch(v.detach()) for k, v in compensated.items()},
        ),
        path,
    )


@contextmanager
def saved_decisions():
    """Save what GAAVE decides in each process, and how often it looks at images."""
    clean, scan = GAAVE.__call__, ScanEvidence.__call__
    passes = []

    def save(self, cfg, dataset, pipeline, root, logger):
        passes.clear()
        found = clean(self, cfg, dataset, pipeline, root, logger)
        arrays = dict(found[0]._asdict(), passes=len(passes))
        np.savez(f'{root}/decisions_{get_rank()}.npz', **arrays)
        return found

    def count(self, *args, **kwargs):
        passes.append(args)
        return scan(self, *args, **kwargs)

    with mock.patch.object(GAAVE, '__call__', save):
        with mock.patch.object(ScanEvidence, '__call__', count):
            yield


def run_in_two(folder, lines, exact) -> None:
    """Call :func:`main` in one pair of processes.

    Starting two processes takes longer than a training of a test.

    Args:
        folder (Path): Where :func:`fit_a_part` writes.
        lines (list[list[str]]): Arguments of ``tools/train.py``, a list per run.
        exact (list[list[str]]): The same for runs in double precision.
    """
    run_two(__file__, str(folder), json.dumps([lines, exact]))


def run_two(*arguments) -> None:
    """Run a script in two processes, on CPUs."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    done = subprocess.run(
        [*command, '--nproc-per-node=2', *arguments],
        capture_output=True,
        text=True,
        env=environment(CUDA_VISIBLE_DEVICES=''),
    )
    assert done.returncode == 0, done.stderr[-3000:]


def main() -> None:
    """Fit, then train with each command line, in one process group."""
    tool = load_tool('train.py')
    train.process_group = lambda cfg: nullcontext()
    folder, lines = sys.argv[1:]
    with cpu_process_group(), saved_decisions():
        fit_a_part(folder)
        check_gathering(f'{folder}/gathering_{get_rank()}.pth')
        for group, precision in zip(
            json.loads(lines), (nullcontext, double_precision), strict=True
        ):
            for line in group:
                arguments = ['train.py', '--launcher=pytorch', *line]
                with mock.patch.object(sys, 'argv', arguments), precision():
                    tool.main()


if __name__ == '__main__':
    main()
