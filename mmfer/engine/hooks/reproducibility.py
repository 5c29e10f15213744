"""Randomness as a function of where the training is."""

import os

import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.datasets import fer_datasets
from mmfer.registry import HOOKS
from mmfer.utils.random import seed_everything


@HOOKS.register_module()
class ReproducibilityHook(Hook):
    """Draw everything from (seed, epoch, sample) or (seed, iteration, rank).

    OpenMMLab checkpoints carry no random state. With this hook none is
    needed: dropout, permutations and gates of an iteration depend on the
    seed and the iteration, augmentation on the seed, the epoch and the
    sample. A resumed run, and one with another number of workers, computes
    the same numbers on a CPU with as many threads, and on a GPU with
    ``randomness.deterministic=True``. What is promised is written in
    ``docs/reproducibility.md``.

    In loops that are not by epoch, augmentation is left to the running
    random state, as elsewhere in OpenMMLab.
    """

    priority = 'VERY_HIGH'

    def __init__(self):
        # Now, and not in before_run: cuBLAS reads the variable when it is
        # first used, which may be in a check before the training, and torch
        # refuses matrix products without it.
        if torch.are_deterministic_algorithms_enabled():
            os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the data sets where the training is."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        for dataset in fer_datasets(runner.train_dataloader.dataset):
            dataset.set_random_state(runner.seed, runner.epoch)

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Seed what the model draws from."""
        seed_everything(runner.seed, runner.iter, runner.rank)
