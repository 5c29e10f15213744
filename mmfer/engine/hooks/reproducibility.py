"""Make randomness depend only on the seed and the position in the run."""

import os

import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.datasets import fer_datasets
from mmfer.registry import HOOKS
from mmfer.utils.random import clear_step, seed_everything, set_step


@HOOKS.register_module()
class ReproducibilityHook(Hook):
    """Draw everything from (seed, epoch, sample) or (seed, iteration, rank).

    OpenMMLab checkpoints contain no random state. With this hook, they need
    none:

    - Dropout, permutations and gates depend on the seed and the iteration.
    - Augmentation depends on the seed, the epoch and the sample.

    So a resumed run, or a run with another number of workers, computes the
    same numbers. On a CPU this needs the same number of threads, on a GPU
    ``randomness.deterministic=True``. ``docs/reproducibility.md`` states what
    is guaranteed.

    In a run that is counted in iterations, a pass over the data takes the place of an
    epoch; see :class:`~mmfer.engine.loops.ResumableIterLoop`. In loops of other
    types, augmentation depends on the global random state, as in the rest of
    OpenMMLab.
    """

    priority = 'VERY_HIGH'

    def __init__(self):
        # Deterministic matrix products on CUDA need this variable. before_run
        # would be too late: cuBLAS reads the variable at its first use, which
        # may be in a check before the run.
        if torch.are_deterministic_algorithms_enabled():
            os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')

    def before_train_epoch(self, runner: Runner) -> None:
        """Pass seed and epoch to the data sets."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        for dataset in fer_datasets(runner.train_dataloader.dataset):
            dataset.set_random_state(runner.seed, runner.epoch)

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Seed the random states that the model draws from."""
        seed_everything(runner.seed, runner.iter, runner.rank)
        set_step(runner.seed, runner.iter)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """End the step, so that later draws do not count to it."""
        clear_step()
