"""GAAVE in front of a training."""

import os.path as osp

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmfer.datasets import FERDataset, pipeline_of
from mmfer.engine import PreflightHook
from mmfer.engine.preflight import (
    build_fitting_loop,
    check_batches,
    check_cleaning,
    check_training,
)
from mmfer.models.pretrained import check_pretrained
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS, TASK_UTILS
from mmfer.utils.random import random_state_kept

from .report import write_report


@HOOKS.register_module()
class GAAVEHook(Hook):
    """Clean the training set before the training begins.

    One entry in ``custom_hooks`` of any config. Base models and annotators
    have the backbone and the schedule of that config; their stages lie in
    ``cleaning/`` of the work dir, where a resumed run finds them. The
    training itself starts from scratch, on the cleaned set: sampler, workers,
    length of the loop and schedules are those of the new set. There also is
    a report: ``report.txt``, ``record.json`` and ``attack_steps.png``.

    ``sample_scores.csv`` has all samples, those that were dropped, too.

    Args:
        **options: See :class:`GAAVE`.
    """

    # After the seeds are set, before anything counts samples.
    priority = 'VERY_HIGH'

    def __init__(self, **options):
        self.method = TASK_UTILS.build(dict(type='GAAVE', **options))
        self.done = False

    def before_run(self, runner: Runner) -> None:
        """Clean, and rebuild what was made for the old set."""
        # Validation and tests run hooks, too.
        if self.done or not isinstance(runner._train_loop, BaseLoop):
            return
        self.done = True
        cfg = runner.cfg
        # Before hours of cleaning; mmengine reads them after.
        check_pretrained(unwrap_model(runner.model))
        dataset = runner.train_dataloader.dataset
        if not isinstance(dataset, FERDataset):
            raise ValueError(
                'GAAVEHook cleans one mmfer data set, but train_dataloader '
                f'has a {type(dataset).__name__}: take the wrapper away, or '
                'write one list of it (ImageList).'
            )
        if runner._val_loop is None:
            raise ValueError(
                'GAAVEHook looks at the training images through the '
                'validation pipeline: switch validation on.'
            )
        preflight = next(
            (h for h in runner.hooks if isinstance(h, PreflightHook)), None
        )
        if preflight is None:
            check_training(runner)
        check_cleaning(
            runner, dataset, self.method.base, preflight is None or preflight.strict
        )
        # The training draws as it does on a set that was cleaned before.
        folder = osp.join(runner.work_dir, 'cleaning')
        with random_state_kept():
            label_decisions, record = self.method(
                cfg,
                dataset,
                pipeline_of(runner.val_dataloader.dataset),
                folder,
                runner.logger,
            )
        if is_main_process():
            write_report(folder, label_decisions, record, dataset.CLASSES)
        dataset.apply_decisions(label_decisions._asdict())
        build_fitting_loop(
            runner,
            dict(cfg.train_dataloader, dataset=dataset),
            cfg.train_cfg,
            'The cleaned training set',
        )
        check_batches(runner)
        runner.optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        if cfg.get('param_scheduler') is not None:
            runner.param_schedulers = runner.build_param_scheduler(cfg.param_scheduler)
