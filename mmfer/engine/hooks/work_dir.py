"""Keep a work dir for one training at a time, and lose nothing of earlier ones."""

import logging
import sys
from typing import List, Optional
from weakref import finalize

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmfer.datasets import fer_datasets
from mmfer.registry import HOOKS
from mmfer.utils.full_disk import FULL
from mmfer.utils.leftovers import remove_leftovers

from ..checkpoint_files import checkpoint_folder
from ..work_dir import (
    WorkDirBusyError,
    keep_earlier_results,
    leave_work_dir,
    refuse_to_overwrite,
    take_work_dir,
)


@HOOKS.register_module()
class WorkDirHook(Hook):
    """Lock the work dir of a training, and tidy it.

    - A second training in the same work dir stops at once. The operating system ends
      the lock when the process ends, even if that is killed.
    - Temporary files of killed runs are removed.
    - Results and checkpoints of an earlier run are moved to ``previous/<time>/`` in
      the work dir after the first iteration of a run that does not resume. Nothing is
      deleted. A run that fails before that has moved nothing.
    - A log file on a full disk is reported once, and the training goes on.

    Raises:
        WorkDirBusyError: Another process trains in the work dir.
        ValueError: The run would replace a table that it reads.
    """

    # Earlier than anything that writes.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self.running = False
        self.release: Optional[finalize] = None

    def before_run(self, runner: Runner) -> None:
        """Lock the work dir, and remove temporary files of killed runs."""
        # All processes must decide alike, because they wait for one another below.
        if self.running or not isinstance(runner._train_loop, BaseLoop):
            return
        self.running = True
        text: List[Optional[str]] = [None]
        if is_main_process():
            try:
                key = take_work_dir(runner.work_dir)
                # The runner of a training that fails may never reach after_run.
                self.release = finalize(runner, leave_work_dir, key)
            except WorkDirBusyError as error:
                text[0] = str(error)
        broadcast_object_list(text)
        if text[0] is not None:
            raise WorkDirBusyError(text[0])
        for inner in fer_datasets(runner.train_dataloader.dataset):
            for option in ('decisions', 'ann_file'):
                refuse_to_overwrite(runner, option, getattr(inner, option, None))
        report_full_disk_once(runner.logger)
        if is_main_process():
            for folder in {runner.work_dir, checkpoint_folder(runner)}:
                remove_leftovers(folder)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Move results of an earlier run aside after the first iteration."""
        keep_earlier_results(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Move results of an earlier run aside before any checkpoint is written."""
        keep_earlier_results(runner)

    def after_run(self, runner: Runner) -> None:
        """Unlock the work dir."""
        self.running = False
        if self.release is not None:
            self.release()
            self.release = None


def report_full_disk_once(logger: logging.Logger) -> None:
    """Let the files of a logger report a full disk in one line.

    Python writes a traceback for each line that does not fit.

    Args:
        logger (logging.Logger): Logger of a run.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = _HandleError(handler)  # type: ignore[method-assign]


class _HandleError:
    """Replacement of ``handleError`` of one file of a logger."""

    def __init__(self, handler: logging.FileHandler):
        self.handler, self.told = handler, False

    def __call__(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError) or error.errno not in FULL:
            logging.Handler.handleError(self.handler, record)
        elif not self.told:
            self.told = True
            print(
                f'{self.handler.baseFilename}: the disk is full, so the log is not '
                'written any more. The training goes on until it has to write a '
                'result.',
                file=sys.stderr,
            )
