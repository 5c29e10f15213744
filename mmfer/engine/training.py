"""Train a plain classifier inside of another job."""

import copy
import gc
import io
import logging
import math
import os
import os.path as osp
import time
from contextlib import redirect_stdout
from datetime import timedelta
from typing import NamedTuple, Optional

import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint

from mmfer.compat import inner_instances
from mmfer.datasets import LabelView
from mmfer.models.pretrained import check_pretrained
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS, MODELS
from mmfer.utils.files import write_atomic
from mmfer.utils.random import random_state_kept

from .hooks.summary import SummaryHook
from .preflight import build_fitting_loop
from .stages import fingerprint

PEAK = 'peak.pth'
# Without a patience of its own a training goes on for this share of its
# epochs, and at least for so many.
PATIENCE_SHARE, MIN_PATIENCE = 0.1, 5
ACCURACY = 'accuracy/top1'


@HOOKS.register_module()
class BestEpochHook(Hook):
    """Keep the weights of the best epoch, and stop some epochs after it.

    Which epoch that is follows from the ``history.json`` of
    :class:`SummaryHook`, so that a resumed run stops where an uninterrupted
    one does.

    Args:
        patience (int, optional): Epochs without a better one before training
            stops. Defaults to None: a tenth of the schedule, at least 5, and
            counted from the end of the epoch after which the learning rate
            first is half of its highest or less, where that is later. So no
            schedule is cut off at its full rate, at which a model that
            memorises has its first, not its highest peak.
        metric (str): Larger is better. Defaults to ``'accuracy/top1'``.
    """

    # After SummaryHook, which notes the metrics.
    priority = 'LOWEST'

    def __init__(self, patience: Optional[int] = None, metric: str = ACCURACY):
        if patience is not None and patience < 1:
            raise ValueError(f'patience must be at least 1, got {patience}')
        self.patience = patience
        self.metric = metric

    def before_train(self, runner: Runner) -> None:
        """Take up a run that was killed between validating and keeping."""
        self.summary = next(
            hook for hook in runner.hooks if isinstance(hook, SummaryHook)
        )
        if runner.epoch:
            self._update(runner)

    def after_val_epoch(self, runner: Runner, metrics=None) -> None:
        """Compare with the epochs before."""
        if metrics and hasattr(self, 'summary'):
            self._update(runner)

    def peak(self, epoch: int) -> Optional[int]:
        """The first of the best epochs up to ``epoch``."""
        values = {
            e: entry['metrics'][self.metric]
            for e, entry in self.summary.history.items()
            if e <= epoch and 'metrics' in entry
        }
        return max(values, key=lambda e: (values[e], -e)) if values else None

    def _update(self, runner: Runner) -> None:
        # Entries of other processes are those of the first.
        best = self.peak(runner.epoch)
        if best == runner.epoch and is_main_process():
            save_weights(
                osp.join(runner.work_dir, PEAK), unwrap_model(runner.model), best
            )
        if best is not None and self._has_waited(runner, best):
            runner.train_loop.stop_training = True

    def _has_waited(self, runner: Runner, best: int) -> bool:
        """Return whether ``best`` is unlikely to be surpassed."""
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


def epochs_at_full_rate(rates: np.ndarray, length: int) -> Optional[int]:
    """Epochs before the first that ends at half the highest rate or less.

    Args:
        rates (np.ndarray): Learning rate of each iteration so far, (N, ).
        length (int): Iterations of an epoch.

    Returns:
        int, optional: None while the rate is above that.
    """
    ends = rates[length - 1 :: length]
    low = np.flatnonzero(ends <= np.maximum.accumulate(rates)[length - 1 :: length] / 2)
    return int(low[0]) if len(low) else None


@HOOKS.register_module()
class StageProgressHook(Hook):
    """One line for each epoch in the log of the job around a training.

    Args:
        what (str): Which training it is.
        logger (logging.Logger): That of the job.
    """

    # After SummaryHook.
    priority = 'LOWEST'

    def __init__(self, what: str, logger: logging.Logger):
        self.what = what
        self.logger = logger

    def before_train(self, runner: Runner) -> None:
        """Say where a resumed training goes on."""
        self.start, self.first = time.time(), runner.epoch
        if runner.epoch:
            self.logger.info(f'{self.what}: goes on after epoch {runner.epoch}')

    def after_train_epoch(self, runner: Runner) -> None:
        """Epoch, loss, and how long the rest takes at most."""
        done = runner.epoch + 1
        seconds = (time.time() - self.start) / (done - self.first)
        left = timedelta(seconds=round(seconds * (runner.max_epochs - done)))
        loss = runner.message_hub.get_scalar('train/loss').mean(
            len(runner.train_dataloader)
        )
        self.logger.info(
            f'{self.what}: epoch {done}/{runner.max_epochs}, '
            f'loss {loss:.4f}, {left} left'
        )

    def after_val_epoch(self, runner: Runner, metrics=None) -> None:
        """Accuracy on what is held out."""
        self.logger.info(
            f'{self.what}: {metrics[ACCURACY]:.2f} % of the held-out labels predicted'
        )


def save_weights(path: str, model: nn.Module, epoch: int) -> None:
    """Write weights as a checkpoint that loads safely."""
    buffer = io.BytesIO()
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=epoch)), buffer)
    write_atomic(path, buffer.getvalue())


def main_network(cfg: Config) -> dict:
    """The classifier of a config, or the first of its networks."""
    name = main_network_name(cfg)
    return cfg.model if name is None else cfg.model[name]


def main_network_name(cfg: Config) -> Optional[str]:
    """Name of that network in the model; None where it is the model."""
    return next((n for n in ('network1', 'encoder') if n in cfg.model), None)


def plain_optimizer(cfg: Config) -> dict:
    """The optimizer of a config, for a classifier alone."""
    if 'encoder' not in cfg.model:
        return cfg.optim_wrapper
    return {
        key: value
        for key, value in cfg.optim_wrapper.items()
        if key not in ('constructor', 'generator', 'discriminator')
    }


def classifier_config(cfg: Config, num_classes: int) -> dict:
    """A plain classifier with the backbone of a training config.

    Of a model of two networks it is that of the first.

    Args:
        cfg (Config): Of any method here.
        num_classes (int): Of the classifier.
    """
    model = main_network(cfg)
    preprocessor = dict(cfg.data_preprocessor, num_classes=num_classes)
    classifier = dict(
        type='FERClassifier',
        backbone=backbone_config(cfg),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
        channels_last=model.get('channels_last', False),
        # Mixup and its like, where the config has them.
        train_cfg=model.get('train_cfg', cfg.model.get('train_cfg')),
        data_preprocessor=preprocessor,
    )
    if model.get('partial_weights'):
        classifier['partial_weights'] = True
    return classifier


def backbone_config(cfg: Config) -> dict:
    """Return the backbone of a training config, with what it starts from.

    Weights of a whole classifier (its ``init_cfg`` or ``pretrained``) have
    those of the backbone among them.
    """
    model, name = main_network(cfg), main_network_name(cfg)
    found = [(model, '')]
    if name is not None:
        found.append((cfg.model, f'{name}.'))
    backbone = model.backbone
    for owner, prefix in found:
        init_cfg = owner.get('init_cfg')
        if owner.get('pretrained'):
            init_cfg = dict(type='Pretrained', checkpoint=owner['pretrained'])
        if isinstance(init_cfg, dict) and init_cfg['type'] == 'Pretrained':
            outer = init_cfg.get('prefix')
            outer = f'{outer.rstrip(".")}.' if outer else ''
            backbone = dict(
                backbone, init_cfg=dict(init_cfg, prefix=f'{outer}{prefix}backbone')
            )
    return backbone


def check_classifier(cfg: Config) -> None:
    """Raise unless the weights that plain classifiers start from are there.

    Args:
        cfg (Config): Of any method here.

    Raises:
        FileNotFoundError, ValueError: See :func:`check_pretrained`.
    """
    name = main_network_name(cfg)
    with random_state_kept():
        classifier = MODELS.build(classifier_config(cfg, 2))
    check_pretrained(classifier, 'model' if name is None else f'model.{name}')


def with_constant_lr(cfg: Config, factor: float, epochs: int) -> Config:
    """The same training at a small, constant learning rate.

    Args:
        cfg (Config): Training config; it is left as it is.
        factor (float): On the learning rate that it begins with.
        epochs (int): How many.
    """
    cfg = copy.deepcopy(cfg)
    cfg.optim_wrapper.optimizer.lr *= factor
    cfg.param_scheduler = None
    cfg.train_cfg.max_epochs = epochs
    return cfg


class Trained(NamedTuple):
    """What came out of a training.

    Attributes:
        model (nn.Module): The classifier, in eval mode.
        weights (str): Checkpoint of the same.
        epoch (int): The one that the weights are of.
        epochs (int): How many there were.
    """

    model: nn.Module
    weights: str
    epoch: int
    epochs: int


def train_classifier(
    cfg: Config,
    train_set: LabelView,
    num_classes: int,
    work_dir: str,
    seed: int,
    what: str,
    logger: logging.Logger,
    held_out: Optional[LabelView] = None,
    patience: Optional[int] = None,
    weights: Optional[str] = None,
) -> Trained:
    """Train a plain classifier on a view, or go on with it.

    Backbone, schedule, batch size and precision are those of ``cfg``. All
    that happens is kept in ``work_dir``; a run that was killed goes on with
    its latest epoch.

    Args:
        cfg (Config): Training config, of any method.
        train_set (LabelView): Samples and labels.
        num_classes (int): Classes of the view.
        work_dir (str): For checkpoints and logs of this training alone.
        seed (int): Of weights, order and augmentation.
        what (str): Which training it is, for the log.
        logger (logging.Logger): Gets a line for each epoch; all else is in
            the log file of ``work_dir``.
        held_out (LabelView, optional): Samples kept apart: the weights are
            then those of the epoch with the best accuracy on them, and
            training stops some epochs after it. Otherwise they are those of
            the last epoch.
        patience (int, optional): See :class:`BestEpochHook`.
        weights (str, optional): Checkpoint of such a classifier to begin
            with; the optimizer begins anew.
    """
    hooks = dict(
        timer=dict(type='IterTimerHook'),
        logger=dict(type='LoggerHook', interval=50),
        param_scheduler=dict(type='ParamSchedulerHook'),
        checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=1),
        sampler_seed=dict(type='DistSamplerSeedHook'),
        sync_buffers=dict(type='SyncBuffersHook'),
        reproducibility=dict(type='ReproducibilityHook'),
        stop_on_nan=dict(type='StopOnNaNHook'),
        summary=dict(type='SummaryHook'),
    )
    validation = {}
    custom_hooks = [dict(type='StageProgressHook', what=what, logger=logger)]
    if held_out is not None:
        validation = dict(
            val_dataloader=dict(cfg.val_dataloader, dataset=held_out),
            val_evaluator=[dict(type='Accuracy', topk=(1,))],
            val_cfg=dict(),
        )
        custom_hooks.append(dict(type='BestEpochHook', patience=patience))
    settings = dict(
        model=classifier_config(cfg, num_classes),
        optim_wrapper=plain_optimizer(cfg),
        param_scheduler=cfg.get('param_scheduler'),
        train_cfg=dict(
            by_epoch=True, max_epochs=cfg.train_cfg.max_epochs, val_interval=1
        ),
        auto_scale_lr=cfg.get('auto_scale_lr'),
        randomness=dict(cfg.get('randomness', {}), seed=seed),
    )
    # An incomplete batch may be dropped, but not all that there is.
    batch_size = min(
        cfg.train_dataloader.batch_size, max(1, len(train_set) // get_world_size())
    )
    name = f'{osp.basename(work_dir)}_{fingerprint(work_dir)[:8]}'
    resume = osp.isfile(osp.join(work_dir, 'last_checkpoint'))
    with inner_instances(), open(os.devnull, 'w') as nowhere:
        # A logger keeps the stream that it finds when it is made.
        with redirect_stdout(nowhere):
            runner = Runner(
                work_dir=work_dir,
                train_dataloader=dict(
                    cfg.train_dataloader,
                    dataset=train_set,
                    batch_size=batch_size,
                    # Not one that repeats what may be mislabelled.
                    sampler=dict(type='DefaultSampler', shuffle=True),
                ),
                default_hooks=hooks,
                custom_hooks=custom_hooks,
                resume=resume,
                # With both, a Runner would resume from this one.
                load_from=None if resume else weights,
                launcher=cfg.get('launcher', 'none'),
                env_cfg=cfg.get('env_cfg', dict(dist_cfg=dict(backend='nccl'))),
                default_scope='mmfer',
                experiment_name=name,
                # What wraps models for several processes is read from here.
                cfg=Config(
                    dict(
                        settings,
                        model_wrapper_cfg=None
                        if 'encoder' in cfg.model
                        else cfg.get('model_wrapper_cfg'),
                    )
                ),
                **settings,
                **validation,
            )
            build_fitting_loop(
                runner, runner._train_dataloader, settings['train_cfg'], what
            )
        runner.train()
    barrier()
    model, epoch, epochs = (unwrap_model(runner.model), runner.epoch, runner.epoch)
    path = find_latest_checkpoint(work_dir)
    if held_out is not None:
        path = osp.join(work_dir, PEAK)
        found = torch.load(path, map_location='cpu', weights_only=True)
        model.load_state_dict(found['state_dict'])
        epoch = found['meta']['epoch']
    # Workers and optimizer state end now, not when the collector comes.
    del runner
    gc.collect()
    return Trained(model.eval(), path, epoch, epochs)
