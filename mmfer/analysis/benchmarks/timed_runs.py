"""Configs and runners of short runs that are timed."""

import gc
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Optional
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.device import utils as device_utils
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmfer.models import DualNetwork
from mmfer.models.utils import unwrap_model

from .train_speed import random_agreements

# Larger than any number of epochs that a measurement takes.
MANY = 10_000


class MeasurementDone(Exception):
    """Raised inside a run when enough has been measured."""


class PastWarmup(Hook):
    """Let the noise models of two networks weigh the samples from the first step.

    A run would first spend epochs of plain cross-entropy.
    """

    # After NoiseModelHook, which sets the epoch.
    priority = 'LOWEST'

    def before_train_epoch(self, runner: Runner) -> None:
        """Fit the noise models to random numbers, and end the warm-up."""
        model = unwrap_model(runner.model)
        assert isinstance(model, DualNetwork)
        model.fit_noise_models(random_agreements(1000))
        model.start_epoch(model.warmup_epochs)


def shorten(
    cfg: Config, batch_size: Optional[int] = None, workers: Optional[int] = None
) -> None:
    """Change a training config into one that only trains.

    There are no pretrained weights, no validation, no checkpoints and no score
    table. The joint GAN plays its game from the first step. All other settings stay.

    Args:
        cfg (Config): Training config; it is changed.
        batch_size (int, optional): Images per step. Defaults to that of the config.
        workers (int, optional): Data-loading processes. Defaults to those of the
            config.
    """
    forget_pretrained_weights(cfg.model)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.pop('sample_scores', None)
    if 'sample_state' in cfg.default_hooks:
        # Without validation, samples cannot be predicted between two epochs.
        cfg.default_hooks.sample_state.refresh = False
    # A Runner adds its own hook for checkpoints if the config names none.
    cfg.default_hooks.checkpoint = None
    if 'max_iters' in cfg.train_cfg:
        cfg.train_cfg.max_iters = MANY * MANY
    else:
        cfg.train_cfg.max_epochs = MANY
    if 'warmup_epochs' in cfg.train_cfg:
        cfg.train_cfg.warmup_epochs = 0
    if batch_size is not None:
        cfg.train_dataloader.batch_size = batch_size
    if workers is not None:
        cfg.train_dataloader.num_workers = workers
        if not workers:
            cfg.train_dataloader.pop('prefetch_factor', None)


def forget_pretrained_weights(settings: Any) -> None:
    """Set the ``init_cfg`` of every backbone in the settings of a model to None."""
    if isinstance(settings, dict):
        backbone = settings.get('backbone')
        if isinstance(backbone, dict):
            backbone['init_cfg'] = None
        for value in settings.values():
            forget_pretrained_weights(value)


@contextmanager
def chosen_device(device: torch.device) -> Iterator[None]:
    """Let mmengine build its runners for a device.

    mmengine always chooses the best device of the machine. Without this, a CPU could
    not be measured on a machine with a GPU.

    Args:
        device (torch.device): Device that works.
    """
    if device.type == 'cuda' and device.index is not None:
        torch.cuda.set_device(device)
    with mock.patch.object(device_utils, 'DEVICE', device.type):
        yield


def ready_batches(loader: DataLoader) -> int:
    """Return how many batches the workers of a loader may keep ready."""
    return loader.num_workers * (loader.prefetch_factor or 0)


def batch_maker(loader: DataLoader) -> Callable[[List[int]], Any]:
    """Return the function that makes a batch of given positions, as workers do."""
    dataset: Any = loader.dataset

    def make(positions: List[int]) -> Any:
        if hasattr(dataset, '__getitems__'):
            return loader.collate_fn(dataset.__getitems__(positions))
        return loader.collate_fn([dataset[i] for i in positions])

    return make


def network(runner: Runner) -> Any:
    """Return the model of a runner without wrappers for several processes."""
    return unwrap_model(runner.model)


def train_until_done(runner: Runner) -> None:
    """Train until something raises :class:`MeasurementDone`.

    Args:
        runner (Runner): Runner of a config from :func:`shorten`.

    Raises:
        RuntimeError: The run ended before that.
    """
    if isinstance(network(runner), DualNetwork):
        runner.register_hook(PastWarmup())
    try:
        runner.train()
    except MeasurementDone:
        # Workers end only when nothing refers to their loader.
        gc.collect()
        return
    raise RuntimeError(
        'the run ended before the measurement. Measure fewer rounds (--rounds).'
    )
