"""Randomness as a function of where the training is."""
import random
from typing import Iterator

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.datasets.base import FERDataset
from mmfer.registry import HOOKS


def fer_datasets(dataset) -> Iterator[FERDataset]:
    """The mmfer data sets inside any wrappers."""
    if isinstance(dataset, FERDataset):
        yield dataset
    for inner in getattr(dataset, 'datasets', None) or filter(
            None, [vars(dataset).get('dataset') or
                   vars(dataset).get('_dataset')]):
        yield from fer_datasets(inner)


def seed_everything(*entropy: int) -> None:
    """Seed ``random``, ``numpy.random`` and ``torch`` from ``entropy``."""
    words = np.random.SeedSequence(entropy).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    # torch.manual_seed queues a slow call while CUDA is not in use.
    torch.default_generator.manual_seed(int(words[2]))
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(int(words[2]))


@HOOKS.register_module()
class ReproducibilityHook(Hook):
    """Draw everything from (seed, epoch, sample) or (seed, iteration, rank).

    OpenMMLab checkpoints carry no random state. With this hook none is
    needed: dropout, permutations and gates of an iteration depend on the
    seed and the iteration, augmentation on the seed, the epoch and the
    sample. A resumed run, and one with another number of workers, computes
    the same numbers.
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the data sets where the training is."""
        for dataset in fer_datasets(runner.train_dataloader.dataset):
            dataset.set_random_state(runner.seed, runner.epoch)

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Seed what the model draws from."""
        seed_everything(runner.seed, runner.iter, runner.rank)
