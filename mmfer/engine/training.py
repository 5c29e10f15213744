"""Train a plain classifier inside another job."""

import copy
import gc
import logging
import os
import os.path as osp
from contextlib import redirect_stdout
from typing import Any, Dict, List, NamedTuple, Optional

import torch.nn as nn
from mmengine.config import Config
from mmengine.dist import (
    barrier,
    broadcast_object_list,
    get_world_size,
    is_main_process,
)
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmfer.compat import inner_instances
from mmfer.datasets import LabelView
from mmfer.models.utils import unwrap_model
from mmfer.utils.checkpoint_content import DamagedCheckpointError
from mmfer.utils.checkpoint_names import read_last
from mmfer.utils.safe_pickle import load_checkpoint_file

from .checkpoint_files import choose_checkpoint
from .classifier_config import classifier_config, plain_optimizer
from .hooks.best_epoch import BEST_WEIGHTS
from .inner_runs import prepare_folder
from .preflight import build_fitting_loop
from .stages import fingerprint

DEFAULT_HOOKS: Dict[str, dict] = dict(
    runtime_info=dict(type='DeferredInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'),
    reproducibility=dict(type='ReproducibilityHook'),
    stop_on_nan=dict(type='StopOnNaNHook'),
    image_store=dict(type='ImageStoreHook'),
    summary=dict(type='SummaryHook'),
)


class Trained(NamedTuple):
    """Result of :func:`train_classifier`.

    Attributes:
        model (nn.Module): Trained classifier, in eval mode.
        weights (str): Path of the checkpoint with the same weights.
        epoch (int): Epoch after which the weights were taken.
        epochs (int): Number of epochs that were run.
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
    """Train a plain classifier on a view, or continue a killed run.

    Backbone, schedule, batch size and precision come from ``cfg``. All files
    are written to ``work_dir``. A run that was killed continues after its
    latest saved epoch. If one of its files is damaged, the run starts again, with a
    warning.

    Args:
        cfg (Config): Training config of any method.
        train_set (LabelView): Samples and labels to train on.
        num_classes (int): Number of classes of the view.
        work_dir (str): Folder for the checkpoints and logs of this run. Each
            run needs its own folder.
        seed (int): Seed of initial weights, order and augmentation.
        what (str): Name of this run in the log.
        logger (logging.Logger): Gets one line per epoch; everything else goes
            to the log file in ``work_dir``.
        held_out (LabelView, optional): Held-out samples. If given, the weights
            of the epoch with the best accuracy on them are returned, and
            training stops some epochs after it. Otherwise the weights of the
            last epoch are returned.
        patience (int, optional): See :class:`~.hooks.best_epoch.BestEpochHook`.
        weights (str, optional): Checkpoint of such a classifier to start
            from. The state of the optimizer is not loaded.
    """
    prepare_folder(work_dir, held_out is not None, what, logger)
    hooks = [dict(type='StageProgressHook', what=what, logger=logger)]
    if held_out is not None:
        hooks.append(dict(type='BestEpochHook', patience=patience))
    settings = classifier_settings(cfg, num_classes, seed)
    with inner_instances(), open(os.devnull, 'w') as nowhere:
        # A logger writes to the stream that is current when it is created.
        with redirect_stdout(nowhere):
            runner = build_classifier_runner(
                cfg, settings, train_set, work_dir, hooks, held_out, weights
            )
            build_fitting_loop(
                runner, runner._train_dataloader, settings['train_cfg'], what
            )
        runner.train()
    barrier()
    model, epoch, epochs = unwrap_model(runner.model), runner.epoch, runner.epoch
    path = read_last(work_dir)
    assert path is not None, 'the last epoch has a checkpoint'
    if held_out is not None:
        path = osp.join(work_dir, BEST_WEIGHTS)
        found = load_checkpoint_file(path)
        model.load_state_dict(found['state_dict'])
        epoch = found['meta']['epoch']
    # The garbage collector might end the workers and free the optimizer state
    # much later.
    del runner
    gc.collect()
    return Trained(model.eval(), path, epoch, epochs)


def can_resume(work_dir: str) -> bool:
    """Return whether a stage can go on from a checkpoint in its folder.

    If every checkpoint is damaged, the stage starts again.
    """
    found = [False]
    if is_main_process():
        try:
            found = [choose_checkpoint(work_dir).path is not None]
        except DamagedCheckpointError as error:
            print_log(
                f'{error}\nThis part of the cleaning starts again.',
                'current',
                level=logging.WARNING,
            )
    broadcast_object_list(found)
    return found[0]


def classifier_settings(cfg: Config, num_classes: int, seed: int) -> Dict[str, Any]:
    """Return the Runner settings that train a plain classifier.

    Args:
        cfg (Config): Training config of any method.
        num_classes (int): Number of classes of the classifier.
        seed (int): Seed of the run.
    """
    return dict(
        model=classifier_config(cfg, num_classes),
        optim_wrapper=plain_optimizer(cfg),
        param_scheduler=cfg.get('param_scheduler'),
        train_cfg=dict(
            by_epoch=True, max_epochs=cfg.train_cfg.max_epochs, val_interval=1
        ),
        auto_scale_lr=cfg.get('auto_scale_lr'),
        randomness=dict(cfg.get('randomness', {}), seed=seed),
    )


def build_classifier_runner(
    cfg: Config,
    settings: Dict[str, Any],
    train_set: LabelView,
    work_dir: str,
    custom_hooks: List[dict],
    held_out: Optional[LabelView] = None,
    weights: Optional[str] = None,
) -> Runner:
    """Build the runner that trains a plain classifier.

    It resumes if ``work_dir`` has a checkpoint.

    Args:
        cfg (Config): Training config of any method; its data loaders,
            launcher and environment are used.
        settings (dict): See :func:`classifier_settings`.
        train_set (LabelView): Samples and labels to train on.
        work_dir (str): Folder for the checkpoints and logs.
        custom_hooks (list[dict]): Hooks in addition to :data:`DEFAULT_HOOKS`.
        held_out (LabelView, optional): Samples to validate on.
        weights (str, optional): Checkpoint to start from.
    """
    validation = {}
    if held_out is not None:
        validation = dict(
            val_dataloader=dict(
                cfg.val_dataloader,
                dataset=held_out,
                collate_fn=dict(type='fer_collate'),
            ),
            val_evaluator=dict(
                type='BatchEvaluator', metrics=[dict(type='Accuracy', topk=(1,))]
            ),
            val_cfg=dict(),
        )
    # The config may drop an incomplete batch, but one batch must be left.
    batch_size = min(
        cfg.train_dataloader.batch_size, max(1, len(train_set) // get_world_size())
    )
    resume = can_resume(work_dir)
    wrapper = None if 'encoder' in cfg.model else cfg.get('model_wrapper_cfg')
    return Runner(
        work_dir=work_dir,
        train_dataloader=dict(
            cfg.train_dataloader,
            dataset=train_set,
            collate_fn=dict(type='fer_collate'),
            batch_size=batch_size,
            # A sampler of the config might repeat samples with wrong labels.
            sampler=dict(type='DefaultSampler', shuffle=True),
        ),
        default_hooks=copy.deepcopy(DEFAULT_HOOKS),
        custom_hooks=custom_hooks,
        resume=resume,
        # If both are set, a Runner resumes from ``load_from``.
        load_from=None if resume else weights,
        launcher=cfg.get('launcher', 'none'),
        env_cfg=cfg.get('env_cfg', dict(dist_cfg=dict(backend='nccl'))),
        default_scope='mmfer',
        experiment_name=f'{osp.basename(work_dir)}_{fingerprint(work_dir)[:8]}',
        # A Runner reads ``model_wrapper_cfg`` from its config.
        cfg=Config(dict(settings, model_wrapper_cfg=wrapper)),
        **settings,
        **validation,
    )
