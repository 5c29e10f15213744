"""Show on the console what is trained on what, and one line for each epoch."""

import time
from typing import Any, Dict, Optional

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner

from mmfer.registry import HOOKS
from mmfer.utils.progress import LINE, time_left

from ..run_header import run_header

# Names that metrics of validations have in a line; the first ones found are shown.
SHORT_NAMES = {
    'accuracy/top1': 'accuracy',
    'single-label/f1-score': 'F1',
    'va/ccc': 'CCC',
}
# Parts of a run that is counted in iterations, each with a line.
PARTS = 20


@HOOKS.register_module()
class ConsoleHook(Hook):
    """Tell a user how a run goes: a header, a line for each epoch, progress inside it.

    Everything else is in the log file. The commands add this hook to each runner. In a
    run that is counted in iterations, each validation has a line, or each twentieth of
    the run.
    """

    # Later than the hooks that clean labels or change the model; earlier than those
    # that end the run with a table.
    priority = 'BELOW_NORMAL'

    def __init__(self) -> None:
        self._pending: Optional[str] = None
        self._begun = self._begun_epoch = 0.0
        self._first = 0

    # -- beginning ---------------------------------------------------------
    def before_run(self, runner: Runner) -> None:
        """Show the header."""
        if isinstance(runner._train_loop, BaseLoop):
            runner.logger.info(run_header(runner))
        elif isinstance(runner._test_loop, BaseLoop):
            runner.logger.info(run_header(runner, 'test'))

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._begun, self._first = time.monotonic(), runner.iter

    def before_train_epoch(self, runner: Runner) -> None:
        """Show the line of the last epoch, if no validation has followed it."""
        self._flush(runner)
        self._begun_epoch = time.monotonic()

    # -- inside an epoch ---------------------------------------------------
    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Show how much of the epoch is done, on a terminal."""
        done = runner.iter + 1
        left = time_left(
            self._begun, done - self._first, runner.max_iters - self._first
        )
        if by_epoch(runner):
            number = len(runner.train_dataloader)
            LINE.show(
                f'Epoch {runner.epoch + 1}/{runner.max_epochs}  '
                f'batch {batch_idx + 1}/{number}  ETA {left}'
            )
            return
        LINE.show(f'Iteration {done}/{runner.max_iters}  ETA {left}')
        step = max(1, min(runner.max_iters // PARTS, runner.train_loop.val_interval))
        if done % step == 0 or done == runner.max_iters:
            self._flush(runner)
            self._pending = self._line(
                runner, f'Iteration {done}/{runner.max_iters}', step
            )

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Show how much of a validation is done, on a terminal."""
        LINE.show(f'Validation  batch {batch_idx + 1}/{len(runner.val_dataloader)}')

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Show how much of a test is done, on a terminal."""
        if batch_idx == 0:
            self._begun = time.monotonic()
        total = len(runner.test_dataloader)
        left = time_left(self._begun, batch_idx, total)
        LINE.show(f'Test  batch {batch_idx + 1}/{total}  ETA {left}')

    # -- ends --------------------------------------------------------------
    def after_train_epoch(self, runner: Runner) -> None:
        """Keep the line of the epoch until its validation."""
        LINE.clear()
        if by_epoch(runner):
            number, last = runner.epoch + 1, runner.max_epochs
            head = f'Epoch {number:{len(str(last))}}/{last}'
            self._pending = self._line(runner, head, len(runner.train_dataloader))

    def after_val_epoch(
        self, runner: Runner, metrics: Optional[Dict[str, float]] = None
    ) -> None:
        """Show the line of the epoch with its metrics."""
        LINE.clear()
        found = metrics_text(metrics or {})
        if self._pending is None:
            if found:
                runner.logger.info(f'Validation  {found}')
            return
        if found:
            self._pending += f'  validation {found}'
        self._flush(runner)

    def after_train(self, runner: Runner) -> None:
        """Show the last line."""
        self._flush(runner)

    def after_test_epoch(
        self, runner: Runner, metrics: Optional[Dict[str, float]] = None
    ) -> None:
        """Show all metrics."""
        LINE.clear()
        runner.logger.info(
            '\n'.join(f'  {k:<34}{v:>9.4f}' for k, v in (metrics or {}).items())
        )

    def _line(self, runner: Runner, head: str, steps: int) -> str:
        """Return the beginning of the line of an epoch.

        Args:
            runner (Runner): The runner.
            head (str): Which epoch.
            steps (int): Iterations over which the loss is averaged.
        """
        loss = runner.message_hub.get_scalar('train/loss').mean(steps)
        return f'{head}  loss {loss:.4f}'

    def _left(self, runner: Runner, done: int) -> str:
        """Return the time until the end of the run."""
        return time_left(
            self._begun, done - self._first, runner.max_iters - self._first
        )

    def _flush(self, runner: Runner) -> None:
        """Show the line that waits, with the time that was taken and that is left."""
        LINE.clear()
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if by_epoch(runner):
            pending += f'  {time.monotonic() - self._begun_epoch:.0f} s'
        if runner.iter < runner.max_iters:
            pending += f'  ETA {self._left(runner, runner.iter)}'
        runner.logger.info(pending)


def by_epoch(runner: Runner) -> bool:
    """Return whether a run is counted in epochs."""
    return not isinstance(runner._train_loop, IterBasedTrainLoop)


def metrics_text(metrics: Dict[str, float]) -> str:
    """Return the main metrics of a validation, as ``accuracy 71.20``."""
    named = {k: name for k, name in SHORT_NAMES.items() if k in metrics}
    if not named and metrics:
        named = {key: key for key in list(metrics)[:1]}
    return '  '.join(
        f'{name} {metrics[key]:.2f}{percent(key)}' for key, name in named.items()
    )


def percent(metric: str) -> str:
    """Return the unit of a metric."""
    return ' %' if metric.startswith(('accuracy/', 'single-label/')) else ''
