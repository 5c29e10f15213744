"""Keep the predictions of the last validation."""

import os
import os.path as osp
from typing import Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmfer.evaluation import DumpPredictions
from mmfer.registry import HOOKS

FILE_NAME = 'predictions.npz'
"""File in the work dir with the predictions of the last validation."""
CURVE = 'rejection_curve.png'
"""File in the work dir with the curve that ``mmfer train`` draws of them."""


@HOOKS.register_module()
class PredictionsHook(Hook):
    """Write the predictions of a training's last validation.

    ``predictions.npz`` in the work dir has them in the format of
    :class:`~mmfer.evaluation.DumpPredictions`; figures such as the rejection curve are
    drawn from it. A training that ends before its last epoch leaves no such file.
    """

    def __init__(self) -> None:
        self.metric: Optional[DumpPredictions] = None

    def before_train(self, runner: Runner) -> None:
        """Remove the files of an earlier end of this run, which now goes on."""
        goes_on = 0 < runner.iter < runner.max_iters
        for name in (FILE_NAME, CURVE) if goes_on and is_main_process() else ():
            path = osp.join(runner.work_dir, name)
            if osp.isfile(path):
                os.remove(path)

    def before_val_epoch(self, runner: Runner) -> None:
        """Let the evaluator collect predictions if no training follows."""
        training = isinstance(runner._train_loop, BaseLoop)
        if not training or runner.iter < runner.max_iters:
            return
        self.metric = DumpPredictions(osp.join(runner.work_dir, FILE_NAME))
        self.metric.dataset_meta = runner.val_loop.evaluator.dataset_meta
        runner.val_loop.evaluator.metrics.append(self.metric)

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Leave the evaluator as it was."""
        if self.metric is not None:
            runner.val_loop.evaluator.metrics.remove(self.metric)
            self.metric = None
