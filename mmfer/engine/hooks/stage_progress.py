"""Log the progress of a run that is a part of another job."""

import logging
import time
from datetime import timedelta
from typing import Optional, Tuple

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.registry import HOOKS


@HOOKS.register_module()
class StageProgressHook(Hook):
    """Write one line per epoch to the log of the job that contains the run.

    Args:
        what (str): Name of the run in the log.
        logger (logging.Logger): Logger of the job.
    """

    # Later than SummaryHook, which records the epoch.
    priority = 'LOWEST'

    def __init__(self, what: str, logger: logging.Logger):
        self.what = what
        self.logger = logger
        self.pending: Optional[Tuple[str, str]] = None

    def before_train(self, runner: Runner) -> None:
        """Log the epoch after which a resumed run continues."""
        self.start, self.first = time.time(), runner.epoch
        self.pending = None
        if runner.epoch:
            self.logger.info(f'{self.what}: continues after epoch {runner.epoch}')

    def after_train_epoch(self, runner: Runner) -> None:
        """Log epoch, loss and the time left; the run may stop earlier."""
        done = runner.epoch + 1
        seconds = (time.time() - self.start) / (done - self.first)
        left = timedelta(seconds=round(seconds * (runner.max_epochs - done)))
        loss = runner.message_hub.get_scalar('train/loss').mean(
            len(runner.train_dataloader)
        )
        text = f'{self.what}: epoch {done}/{runner.max_epochs}, loss {loss:.4f}'
        if runner._val_loop is None:
            self.logger.info(f'{text}, {left} left')
        else:
            self.pending = text, f'{left} left'

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Log the epoch with the accuracy on the held-out samples."""
        assert metrics is not None
        # A resumed run may begin with the validation that it has missed.
        text, left = self.pending or (f'{self.what}: epoch {runner.epoch}', '')
        parts = (
            text,
            f'{metrics["accuracy/top1"]:.2f} % of the held-out labels predicted',
            left,
        )
        self.logger.info(', '.join(filter(None, parts)))
        self.pending = None
