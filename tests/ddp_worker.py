"""Functions that the processes of test_ddp import and run."""

import numpy as np
import torch

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


def fit_a_part(rank, world_size, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    order = np.random.default_rng(0).permutation(1001)
    # Like the sampler, repeat the first ones until the parts are equal.
    ids = np.concatenate([order, order[:1]])[rank::world_size]
    fit(ids, scores()[:, ids], f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()
