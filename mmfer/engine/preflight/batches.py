"""Check the batches of a loader, and build loaders that fit small data sets."""

import copy
import logging
from typing import Any, Dict, List, Optional, Sequence

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmfer.models.utils import unwrap_model
from mmfer.utils.random import random_state_kept

from .compare_batches import (
    check_batch_count,
    check_equal_shares,
    check_single_samples,
    smallest_batch,
)
from .facts import model_facts, prepared_images


def batch_problem(
    loader: DataLoader, layers: Sequence[str], where: str = 'train_dataloader'
) -> Optional[str]:
    """Return a message if a loader has unusable batches, else None.

    Args:
        loader (DataLoader): Loader whose sampler states the number of samples.
        layers (Sequence[str]): See :func:`.check_single_samples`.
        where (str): Name of the loader.

    Returns:
        str, optional: None if nothing is wrong, or if the number of batches
        is unknown.
    """
    if isinstance(loader.sampler, InfiniteSampler):
        # This sampler never ends, so there is no last batch.
        return None
    # A user's batch sampler has its own batch size.
    batch_size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None)
    owner: Any = loader if loader.batch_size else loader.batch_sampler
    try:
        batches = len(loader)
        samples = len(owner.sampler)
    except (AttributeError, TypeError):
        return None
    sampler, processes = owner.sampler, get_world_size()
    problem = check_batch_count(where, batches, samples, batch_size, processes)
    train = where == 'train_dataloader'
    if not problem and train and isinstance(sampler, DefaultSampler):
        total = len(sampler.dataset)
        problem = check_equal_shares(where, total, sampler.round_up, processes)
    if problem or not batch_size:
        return problem
    return check_single_samples(
        where,
        samples,
        batch_size,
        getattr(loader.batch_sampler, 'drop_last', loader.drop_last),
        layers,
    )


def lone_layers(runner: Runner) -> List[str]:
    """Return the BatchNorm layers of the model that need two images or more."""
    with random_state_kept():
        example = None
        if not hasattr(unwrap_model(runner.model).data_preprocessor, 'input_shape'):
            images = prepared_images(runner.train_dataloader.dataset)
            example = images[0].inputs if images else None
        return model_facts(unwrap_model(runner.model), example).batch_norms


def build_fitting_loop(runner: Runner, loader: dict, loop: dict, what: str) -> None:
    """Build a train loop, and adapt its batches to a small training set.

    A cleaning can take hours, and its result must not be lost because a
    batch is too large for the remaining samples. In that case the batch size
    is reduced. A last batch of a single image is dropped if the model cannot
    train on it. Both changes are logged.

    Args:
        runner (Runner): Runner that gets the loop.
        loader (dict): Config of the train loader.
        loop (dict): Config of the train loop.
        what (str): Name of the training set in the log.
    """

    def build(**changes):
        runner._train_dataloader = dict(loader, **changes)
        runner._train_loop = runner.build_train_loop(copy.deepcopy(loop))
        return runner.train_dataloader

    built = build()
    if built.batch_size is None:
        # A user's batch sampler makes the batches; check_batches checks them.
        return
    samples = len(built.sampler)
    changes: Dict[str, Any] = {}
    if not len(built) and samples:
        changes['batch_size'] = samples
        print_log(
            f'{what}: {samples} samples are left, fewer than one batch of '
            f'{built.batch_size}; the batch size is reduced to {samples}.',
            'current',
            level=logging.WARNING,
        )
        built = build(**changes)
    if (
        samples > 1
        and smallest_batch(samples, built.batch_size, built.drop_last) == 1
        and built.batch_size > 1
    ):
        layers = lone_layers(runner)
        if layers:
            print_log(
                f'{what}: {samples} samples in batches of '
                f'{built.batch_size} would end with a batch of one image, '
                f'and {layers[0]} needs two; the last batch is dropped.',
                'current',
                level=logging.WARNING,
            )
            build(**changes, drop_last=True)
