"""Keep the weights of the best epoch, for runs inside another job."""

import io
import math
import os.path as osp
from typing import Any, Mapping, Optional

import numpy as np
import torch
import torch.nn as nn
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.checks import positive_int
from mmfer.utils.files import write_atomic

from ..loops import inside_epoch
from .summary import SummaryHook

# File in the work dir with the weights of the best epoch.
BEST_WEIGHTS = 'peak.pth'
# Default patience: this share of the epochs, but at least MIN_PATIENCE.
PATIENCE_SHARE, MIN_PATIENCE = 0.1, 5
# Metric by which epochs are compared.
METRIC = 'accuracy/top1'


@HOOKS.register_module()
class BestEpochHook(Hook):
    """Keep the weights of the best epoch, and stop some epochs after it.

    The best epoch follows from the ``history.json`` of :class:`SummaryHook`,
    so that a resumed run stops where an uninterrupted one does.

    Args:
        patience (int, optional): Epochs without improvement before training
            stops, counted from the best epoch. Defaults to None: a tenth of
            the epochs, at least 5. With None, counting also does not start
            before the first epoch that ends with at most half of the highest
            learning rate. So no run stops at its full learning rate, where
            the first peak of a model that memorises is not yet its highest.
        metric (str): Metric to compare; larger is better. Defaults to
            ``'accuracy/top1'``.
    """

    # Later than SummaryHook, which records the metrics.
    priority = 'LOWEST'

    def __init__(self, patience: Optional[int] = None, metric: str = METRIC):
        self.patience = positive_int(self, 'patience', patience, optional=True)
        self.metric = metric

    def before_train(self, runner: Runner) -> None:
        """Save the weights if the run was killed after validating them."""
        self.summary = next(
            hook for hook in runner.hooks if isinstance(hook, SummaryHook)
        )
        # Inside an epoch, the model has other weights than at the end of the last one.
        if runner.epoch and not inside_epoch(runner):
            self._update(runner)

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Compare the epoch with the epochs before it."""
        if metrics and hasattr(self, 'summary'):
            self._update(runner)

    def peak(self, epoch: int) -> Optional[int]:
        """Return the best epoch up to ``epoch``; the first one if several are equal."""
        known = {e: v for e, v in self.summary.history.items() if e <= epoch}
        return best_epoch(known, self.metric)

    def _update(self, runner: Runner) -> None:
        # Every process has the same history, so all find the same epoch.
        best = self.peak(runner.epoch)
        if best is None:
            return
        if best == runner.epoch and is_main_process():
            save_weights(
                osp.join(runner.work_dir, BEST_WEIGHTS),
                unwrap_model(runner.model),
                best,
            )
        if self._has_waited(runner, best):
            runner.train_loop.stop_training = True

    def _has_waited(self, runner: Runner, best: int) -> bool:
        """Return whether enough epochs have passed since the best one."""
        if self.patience is not None:
            return runner.epoch - best >= self.patience
        patience = max(MIN_PATIENCE, math.ceil(PATIENCE_SHARE * runner.max_epochs))
        if not runner.param_schedulers:
            return runner.epoch - best >= patience
        full = epochs_at_full_rate(
            runner.message_hub.get_scalar('train/lr').data[0],
            len(runner.train_dataloader),
        )
        return full is not None and runner.epoch - max(best, full) >= patience


def best_epoch(
    history: Mapping[int, Mapping[str, Any]], metric: str = METRIC
) -> Optional[int]:
    """Return the epoch with the largest metric; the first one if several are equal.

    Args:
        history (Mapping[int, Mapping]): Entries of ``history.json``, by epoch.
        metric (str): Name of the metric. Defaults to :data:`METRIC`.

    Returns:
        int, optional: None if no entry has metrics.
    """
    values = {
        epoch: entry['metrics'][metric]
        for epoch, entry in history.items()
        if 'metrics' in entry
    }
    return max(values, key=lambda e: (values[e], -e)) if values else None


def epochs_at_full_rate(rates: np.ndarray, length: int) -> Optional[int]:
    """Count the epochs before the learning rate has fallen to half of its highest.

    Args:
        rates (np.ndarray): Learning rate of each iteration so far, (N, ).
        length (int): Iterations per epoch.

    Returns:
        int, optional: Number of epochs before the first one at whose end the
        learning rate is half of the highest so far, or less; None if there
        is no such epoch yet.
    """
    ends = rates[length - 1 :: length]
    low = np.flatnonzero(ends <= np.maximum.accumulate(rates)[length - 1 :: length] / 2)
    return int(low[0]) if len(low) else None


def save_weights(path: str, model: nn.Module, epoch: int) -> None:
    """Write weights as a checkpoint that loads with ``weights_only=True``."""
    buffer = io.BytesIO()
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=epoch)), buffer)
    write_atomic(path, buffer.getvalue())
