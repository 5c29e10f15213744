"""Functions that several processes run in tests; they import this file."""

import json
import subprocess
import sys
from contextlib import nullcontext
from unittest import mock

import numpy as np
import torch
from helpers import environment, load_tool
from mmengine.dist import get_rank, get_world_size

from mmfer.compat import cpu_process_group
from mmfer.engine.scoring import merge_by_id
from mmfer.models import LabelNoiseModel


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


def run_in_two(folder, lines) -> None:
    """Call :func:`main` in one pair of processes.

    Starting two processes takes longer than a training of a test.

    Args:
        folder (Path): Where :func:`fit_a_part` writes.
        lines (list[list[str]]): Arguments of ``tools/train.py``, a list per run.
    """
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    command += ['--nproc-per-node=2', __file__, str(folder), json.dumps(lines)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment(CUDA_VISIBLE_DEVICES=''),
    )
    assert done.returncode == 0, done.stderr[-3000:]


def main() -> None:
    """Fit, then train with each command line, in one process group."""
    tool = load_tool('train.py')
    tool.process_group = lambda cfg: nullcontext()
    folder, lines = sys.argv[1:]
    with cpu_process_group():
        fit_a_part(folder)
        for line in json.loads(lines):
            with mock.patch.object(
                sys, 'argv', ['train.py', '--launcher=pytorch', *line]
            ):
                tool.main()


if __name__ == '__main__':
    main()
