"""Stop when the loss is NaN or infinite."""

import math
from typing import Any, Dict, List, NamedTuple, Optional

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mmfer.registry import HOOKS
from mmfer.utils.checks import positive_int

from ..deferred_scalars import DeferredScalar, scalar_reader

# Outputs of a train step that must be finite.
LOSSES = ('loss', 'd_loss')


class Step(NamedTuple):
    """Train step that is not yet checked.

    Attributes:
        epoch (int): Epoch, 0-based.
        batch_idx (int): Position of the batch in the epoch, 0-based.
        iteration (int): Iteration of the run, 0-based.
        outputs (dict): Outputs of the step, see
            :meth:`~.deferred_scalars.ScalarReader.keep_outputs`.
        samples (Any): Data samples of the batch.
    """

    epoch: int
    batch_idx: int
    iteration: int
    outputs: Dict[str, Any]
    samples: Any

    def broken(self) -> Optional[str]:
        """Return the name of the first loss that is not finite."""
        for name in LOSSES:
            if name in self.outputs and not math.isfinite(number(self.outputs[name])):
                return name
        return None


def number(value: Any) -> float:
    """Return an output of a train step as a number; this may read it."""
    return value.value if isinstance(value, DeferredScalar) else float(value)


def sample_ids(samples: Any) -> list:
    """Return the ids of a batch.

    Args:
        samples (Any): List of data samples, or an object with all ids in one
            tensor ``sample_id`` (B, ); None without any.
    """
    ids = getattr(samples, 'sample_id', None)
    if isinstance(ids, torch.Tensor):
        return ids.tolist()
    return [sample.get('sample_id') for sample in samples or ()]


@HOOKS.register_module()
class StopOnNaNHook(Hook):
    """Stop the run after the first NaN or infinite loss.

    The losses of several steps are read together, because each read makes the
    CPU wait for the GPU. The message names the first step with such a loss.
    The model may have trained a few steps more by then. They are always checked
    before a checkpoint is written, before a validation and at the end of an
    epoch, so no checkpoint contains their weights.

    Args:
        interval (int): Number of steps between two checks, at least 1.
            Defaults to 10.
    """

    # Earlier than hooks that use the results of an epoch.
    priority = 'HIGH'

    def __init__(self, interval: int = 10):
        self.interval = positive_int(self, 'interval', interval)
        self._steps: List[Step] = []

    def before_train(self, runner: Runner) -> None:
        """Forget the steps of an earlier run, and find who saves in an epoch."""
        self._steps = []
        self._savers = [
            hook
            for hook in runner.hooks
            if isinstance(hook, CheckpointHook) and not hook.by_epoch
        ]

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Keep the losses of this iteration, and check them if it is time."""
        kept = scalar_reader(runner.message_hub).keep_outputs(
            outputs or {}, runner.iter
        )
        samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else ()
        self._steps.append(Step(runner.epoch, batch_idx, runner.iter, kept, samples))
        if self.every_n_train_iters(runner, self.interval) or self._saves(runner):
            self.check(runner)

    def _saves(self, runner: Runner) -> bool:
        """Return whether a checkpoint is written after this iteration.

        The process that writes it cannot ask the others in
        ``before_save_checkpoint``, so all check here.
        """
        return any(
            self.every_n_train_iters(runner, hook.interval)
            or self.is_last_train_iter(runner)
            for hook in self._savers
        )

    def after_train_epoch(self, runner: Runner) -> None:
        """Check the last steps of the epoch."""
        self.check(runner)

    def before_val(self, runner: Runner) -> None:
        """Check before a validation, which may be in the middle of an epoch."""
        self.check(runner)

    def after_train(self, runner: Runner) -> None:
        """Check at the end of the run."""
        self.check(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check before a checkpoint that any other code writes."""
        self.check(runner, alone=True)

    def check(self, runner: Runner, alone: bool = False) -> None:
        """Raise if a step since the last check had a loss that is not finite.

        All processes call it together, unless one checks alone.

        Args:
            runner (Runner): Runner of this process.
            alone (bool): Whether the other processes do not check now.
                Defaults to False.
        """
        steps = self._steps
        if not steps:
            return
        if not alone or get_world_size() == 1:
            # Else the steps are checked again with the other processes. They would
            # wait forever for a process that has no steps left.
            self._steps = []
        first = next((i for i, step in enumerate(steps) if step.broken()), len(steps))
        if first < len(steps):
            error = describe(steps[first], len(steps) - first - 1, runner)
        if alone or get_world_size() == 1:
            stops = first < len(steps)
        else:
            # A process that stopped alone would let the others wait forever.
            flag = torch.tensor(float(first < len(steps)))
            all_reduce(flag, 'max')
            stops = bool(flag)
        if not stops:
            return
        if first == len(steps):
            error = (
                'another process has a loss that is NaN or infinite, see its '
                f'message. This one stops with it, after iteration '
                f'{steps[-1].iteration + 1}.'
            )
        raise FloatingPointError(error)


def describe(step: Step, later: int, runner: Runner) -> str:
    """Return the message about a step whose loss is not finite.

    Args:
        step (Step): First step with such a loss.
        later (int): Number of steps that were trained after it.
        runner (Runner): Runner after these steps.
    """
    name = step.broken()
    assert name is not None
    parts = ', '.join(f'{k}={number(v):.4g}' for k, v in step.outputs.items())
    trained = (
        f'The model was trained on {later} more {"batch" if later == 1 else "batches"} '
        'before this check '
        '(default_hooks.stop_on_nan.interval); these steps are lost. '
        if later
        else ''
    )
    return (
        f'the {name} is {number(step.outputs[name])} in epoch {step.epoch + 1}, batch '
        f'{step.batch_idx + 1} of {len(runner.train_dataloader)} '
        f'(iteration {step.iteration + 1}): {parts}. Samples of the batch: '
        f'{sample_ids(step.samples)}. {trained}First look at these images. If they '
        'are right, clip gradients with optim_wrapper.clip_grad.max_norm=5, or start '
        'a new run with a lower optim_wrapper.optimizer.lr (--resume keeps the old '
        'one). The last checkpoint was written before this batch.'
    )
