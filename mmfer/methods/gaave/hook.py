"""Hook that cleans the training set with GAAVE before the first step."""

import os.path as osp
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmfer.datasets import FERDataset, pipeline_of
from mmfer.engine import PreflightHook
from mmfer.engine.hooks.sample_state import check_schedules
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
    """Clean the training set with GAAVE before the first step of a run.

    Add it as one entry to ``custom_hooks`` of any config. Base models and
    annotators have the backbone and the schedule of that config. The results
    of all stages are stored in ``cleaning/`` of the work dir, where a resumed
    run finds them. The report is there too: ``report.txt``, ``record.json``
    and ``attack_steps.png``.

    The run itself then starts from scratch on the cleaned set. Sampler,
    workers, length of the loop and schedules are rebuilt for it.

    ``sample_scores.csv`` has all samples, including those that were dropped.

    Args:
        **options: ``preset``, see :class:`GAAVE`, and the options in
            :class:`~.options.GAAVEOptions`.
    """

    # Run after the seeds are set, but before another hook counts samples.
    priority = 'VERY_HIGH'

    def __init__(self, **options: Any):
        self.method = TASK_UTILS.build(dict(type='GAAVE', **options))
        self.done = False

    def before_run(self, runner: Runner) -> None:
        """Clean the training set, and rebuild all that depends on its length."""
        # Validation and test call this hook too, and have no training loop.
        if self.done or not isinstance(runner._train_loop, BaseLoop):
            return
        self.done = True
        cfg = runner.cfg
        # mmengine reads the weights only after this hook, and SampleStateHook comes
        # later. Check before hours of cleaning.
        check_pretrained(unwrap_model(runner.model))
        check_schedules(runner)
        dataset = runner.train_dataloader.dataset
        if not isinstance(dataset, FERDataset):
            raise ValueError(
                'GAAVEHook cleans one mmfer data set, but train_dataloader '
                f'has a {type(dataset).__name__}. Remove the wrapper, or write '
                'its images into one list (ImageList).'
            )
        if runner._val_loop is None:
            raise ValueError(
                'GAAVEHook prepares the training images with the validation '
                'pipeline, but the config has no validation: add '
                'val_dataloader, val_cfg and val_evaluator.'
            )
        preflight = next(
            (h for h in runner.hooks if isinstance(h, PreflightHook)), None
        )
        if preflight is None:
            check_training(runner)
        check_cleaning(
            runner, dataset, self.method.base, preflight is None or preflight.strict
        )
        # The run then draws the same random numbers, whether the set is cleaned
        # now or the results of an earlier run are read.
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
