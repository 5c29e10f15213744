"""Write checkpoints that load safely and are never incomplete."""

import inspect
import os.path as osp
import time
from typing import Any, Dict, Iterable, List, Optional

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.fileio import join_path
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner

from mmfer.compat import from_plain, to_plain
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.checkpoint_names import note_last
from mmfer.utils.checks import in_range, positive_int
from mmfer.utils.console import FILE_ONLY

from ..checkpoint_files import (
    checkpoint_folder,
    intact_named,
    prepare_loading,
    rebase_paths,
)
from ..loops import any_process, make_resumable, resumable_loop
from ..loops.position import AGREE_INTERVAL
from .stop_on_nan import StopOnNaNHook

# Name of a checkpoint inside an epoch, with the number of iterations.
INNER_NAME = 'iter_{}.pth'
# Checkpoints that are kept at least, if so many were written: the newest one may be
# damaged.
KEPT = 2


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """``CheckpointHook`` that writes files for ``weights_only`` loading.

    The message hub is stored as plain types. A file is written in one step,
    and older files are removed afterwards. So a kill at any moment leaves a
    complete checkpoint, and ``last_checkpoint`` names it.

    Long epochs have checkpoints inside them, ``iter_<n>.pth``, from which a run
    goes on at the next batch. The two newest are kept until their epoch ends, or all
    if ``max_keep_ckpts`` is -1. They need one of the loops in
    :mod:`mmfer.engine.loops`; the hook makes such loops of mmengine's.

    Args:
        strict_shapes (bool): Refuse checkpoints that do not fit the model.
            Tensors of another shape are always refused, missing tensors only
            for testing and resuming. With False, parameters that do not fit
            keep their initial values, for example to fine-tune with another
            number of classes. Defaults to True.
        save_minutes (float, optional): Minutes after the last checkpoint at
            which one is written inside an epoch. Defaults to 15. None: never.
        save_iters (int, optional): Write one at each multiple of so many
            iterations, too. Defaults to None: no.
        **kwargs: See mmengine's ``CheckpointHook``.
    """

    def __init__(
        self,
        strict_shapes: bool = True,
        save_minutes: Optional[float] = 15,
        save_iters: Optional[int] = None,
        **kwargs,
    ):
        # mmengine passes unknown options on, and fails after the first epoch.
        known = inspect.signature(CheckpointHook.__init__).parameters
        for name in kwargs:
            if name not in known or name == 'kwargs':
                raise TypeError(
                    'SafeCheckpointHook.__init__() got an unexpected keyword argument '
                    f'{name!r}'
                )
        kwargs.setdefault('backend_args', dict(backend='atomic_local'))
        super().__init__(**kwargs)
        self.strict_shapes = strict_shapes
        self.save_minutes = in_range(
            self, 'save_minutes', save_minutes, 0, optional=True
        )
        self.save_iters = positive_int(self, 'save_iters', save_iters, optional=True)
        # Iterations of the checkpoints inside this epoch.
        self._inner: List[int] = []
        self._position: Optional[Dict[str, Any]] = None
        self._wanted = False
        self._gradients: Dict[str, torch.Tensor] = {}
        self._saved_at = time.monotonic()
        self._saved_step: Optional[int] = None

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to load, and let the train loop resume inside it."""
        prepare_loading(runner)
        if isinstance(runner._train_loop, BaseLoop):
            make_resumable(runner)

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and the checkpoints inside an epoch."""
        super().before_train(runner)
        self._inner = list(runner.message_hub.runtime_info.get('inner_ckpt_ids', []))
        self._saved_at, self._saved_step, self._wanted = time.monotonic(), None, False
        if self._gradients:
            restore_gradients(unwrap_model(runner.model), self._gradients)
            self._gradients = {}
            runner.logger.info(
                'The checkpoint was written between two steps of the optimizer '
                '(accumulative_counts). The gradients of the iterations since the '
                'last step were in it, so nothing is lost.'
            )

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Save inside an epoch if it is time."""
        super().after_train_iter(runner, *args, **kwargs)
        loop = resumable_loop(runner)
        if loop is None or not self._due(runner.iter + 1):
            return
        if self.by_epoch and loop.epoch_ends() and self._epoch_is_due(runner):
            # The checkpoint of the epoch is written next.
            return
        self._wanted = True
        # Gradients between two steps of the optimizer are in one process only.
        if not accumulates(runner.optim_wrapper):
            self.save_inside_epoch(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Remove checkpoints inside an epoch: the run is complete.

        The last one stays if no epoch was saved after it, as in a run that
        ``EarlyStoppingHook`` has ended.
        """
        super().after_train(runner)
        if self.by_epoch and self.max_keep_ckpts > 0:
            last = osp.basename(self.last_ckpt or '')
            outdated = [s for s in self._inner if INNER_NAME.format(s) != last]
            self._remove(map(INNER_NAME.format, outdated))
            self._inner = [s for s in self._inner if s not in outdated]

    def _epoch_is_due(self, runner: Runner) -> bool:
        """Return whether this epoch gets a checkpoint at its end."""
        return self.every_n_epochs(runner, self.interval, self.save_begin) or (
            self.save_last and self.is_last_train_epoch(runner)
        )

    def _due(self, step: int) -> bool:
        """Return whether a checkpoint is due after an iteration.

        Args:
            step (int): Number of iterations that are done.
        """
        if self._saved_step == step:
            return False
        if self._wanted or (self.save_iters and step % self.save_iters == 0):
            return True
        if self.save_minutes is None:
            return False
        late = time.monotonic() - self._saved_at >= 60 * self.save_minutes
        if get_world_size() == 1:
            return late
        # The clocks of the processes differ.
        return step % AGREE_INTERVAL == 0 and any_process(late)

    def save_inside_epoch(self, runner: Runner, step: int) -> None:
        """Write a checkpoint after an iteration; all processes call it together.

        Args:
            runner (Runner): Runner of this process.
            step (int): Number of iterations that are done.
        """
        if self._saved_step == step:
            return
        for hook in runner.hooks:
            if isinstance(hook, StopOnNaNHook):
                hook.check(runner)
        loop = resumable_loop(runner)
        done = loop.batches_done if loop is not None else 0
        runner.logger.info(
            f'Saving a checkpoint inside epoch {runner.epoch + 1}, after batch {done} '
            f'of {len(runner.train_dataloader)} (iteration {step})',
            extra=FILE_ONLY,
        )
        if not self.by_epoch:
            self._save_checkpoint_with_step(
                runner, step, dict(epoch=runner.epoch, iter=step)
            )
            return
        self._inner.append(step)
        outdated = []
        if self.max_keep_ckpts > 0:
            outdated, self._inner = self._inner[:-KEPT], self._inner[-KEPT:]
        runner.message_hub.update_info('inner_ckpt_ids', list(self._inner))
        self._write(
            runner,
            INNER_NAME.format(step),
            dict(epoch=runner.epoch, iter=step),
            by_epoch=False,
        )
        self._remove(INNER_NAME.format(old) for old in outdated)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace objects that safe loading would refuse."""
        for key in ('meta', 'message_hub', 'param_schedulers'):
            if key in checkpoint:
                checkpoint[key] = to_plain(checkpoint[key])
        # The position is known here only if all processes were asked for it.
        position, self._position = self._position, None
        loop = resumable_loop(runner)
        if position is None and loop is not None and get_world_size() == 1:
            position = loop.position()
        if position is not None:
            checkpoint['position'] = to_plain(position)
        if get_world_size() == 1 and accumulates(runner.optim_wrapper):
            checkpoint['gradients'] = gradients(unwrap_model(runner.model))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the objects, and check that the weights fit the model."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
            rebase_paths(checkpoint, checkpoint_folder(runner))
        if runner._resume:
            self._resume(runner, checkpoint)
        if self.strict_shapes:
            # Fine-tuning may start from a checkpoint of a part of the model.
            fine_tuning = not runner._resume and isinstance(
                runner._train_loop, BaseLoop
            )
            check_fit(
                checkpoint.get('state_dict', checkpoint),
                unwrap_model(runner.model).state_dict(),
                allow_missing=fine_tuning,
            )

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save, then point to the new file, then remove old ones.

        mmengine does this in the reverse order, so there is no checkpoint at
        all while it writes.
        """
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            steps = [*self.keep_ckpt_ids, step]
            outdated = steps[: -self.max_keep_ckpts]
            # keep_ckpt_ids is a deque of this length: appending drops the
            # oldest step.
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        inner: List[int] = []
        if self.max_keep_ckpts > 0:
            # Their epoch is over. One is kept if this is the first epoch.
            cut = len(self._inner) - max(0, KEPT - len(self.keep_ckpt_ids))
            inner, self._inner = self._inner[:cut], self._inner[cut:]
        runner.message_hub.update_info('inner_ckpt_ids', list(self._inner))
        self._write(runner, self.filename_tmpl.format(step), meta, self.by_epoch)
        self._remove(self.filename_tmpl.format(old) for old in outdated)
        self._remove(INNER_NAME.format(old) for old in inner)

    def _write(self, runner: Runner, name: str, meta: dict, by_epoch: bool) -> None:
        """Write a checkpoint, then point to it; all processes call it together."""
        self.last_ckpt = join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        loop = resumable_loop(runner)
        self._position = loop.position() if loop is not None else None
        with intact_named(runner):
            runner.save_checkpoint(
                self.out_dir,
                name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                note_last(runner.work_dir, self.last_ckpt)
        self._position, self._wanted = None, False
        self._saved_at, self._saved_step = time.monotonic(), meta['iter']

    def _remove(self, names: Iterable[str]) -> None:
        """Remove checkpoints that are no longer needed."""
        if not is_main_process():
            return
        for name in names:
            path = join_path(self.out_dir, name)
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _resume(self, runner: Runner, checkpoint: dict) -> None:
        """Take from a checkpoint where the run goes on inside an epoch."""
        self._gradients = checkpoint.get('gradients', {})
        position = checkpoint.get('position')
        if not isinstance(position, dict):
            return
        loop = resumable_loop(runner)
        if loop is not None:
            loop.resume_from(from_plain(position))
        elif position.get('samples'):
            runner.logger.warning(
                'The checkpoint was written inside an epoch, but '
                f'{type(runner._train_loop).__name__} cannot go on there, so the epoch '
                'begins again, with the weights of the checkpoint. Derive the loop '
                'from mmfer.engine.loops.ResumableEpochLoop, or resume from the '
                'checkpoint of an epoch, epoch_<n>.pth.'
            )


def accumulates(optim_wrapper: Any) -> bool:
    """Return whether gradients wait for the next step of an optimizer."""
    wrappers = (
        optim_wrapper.optim_wrappers.values()
        if isinstance(optim_wrapper, OptimWrapperDict)
        else [optim_wrapper]
    )
    return any(
        isinstance(wrapper, OptimWrapper)
        and wrapper._inner_count % wrapper._accumulative_counts != 0
        for wrapper in wrappers
    )


def gradients(model: torch.nn.Module) -> Dict[str, torch.Tensor]:
    """Return the gradients of a model on the CPU, by name of the parameter."""
    return {
        name: parameter.grad.cpu()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def restore_gradients(model: torch.nn.Module, saved: Dict[str, torch.Tensor]) -> None:
    """Give the parameters of a model their gradients; see :func:`gradients`."""
    for name, parameter in model.named_parameters():
        if name in saved:
            parameter.grad = saved[name].to(parameter)


def check_fit(loaded: dict, expected: dict, allow_missing: bool) -> None:
    """Check that a checkpoint fits a model.

    Args:
        loaded (dict): State dict from a checkpoint.
        expected (dict): State dict of the model.
        allow_missing (bool): Whether the checkpoint may lack tensors.

    Raises:
        ValueError: The checkpoint lacks tensors, or has other shapes.
    """
    loaded = {name.removeprefix('module.'): v for name, v in loaded.items()}
    missing = [
        name
        for name in expected
        if name not in loaded and 'num_batches_tracked' not in name
    ]
    if missing and not allow_missing:
        raise ValueError(
            f'the checkpoint is for another model: it lacks {len(missing)} '
            f'of {len(expected)} tensors: {", ".join(missing[:5])}, ... '
            'Use the config it was trained with (same method, neck and '
            'backbone).'
        )
    wrong = [
        f'{name}: {tuple(loaded[name].shape)} in the checkpoint, '
        f'{tuple(value.shape)} in the model'
        for name, value in expected.items()
        if name in loaded and loaded[name].shape != value.shape
    ]
    if wrong:
        raise ValueError(
            f'the checkpoint is for another model: {len(wrong)} tensor(s) '
            'differ in shape:\n  '
            + '\n  '.join(wrong[:5])
            + '\nUse the config it was trained with (same classes, neck and '
            'backbone). To start a run from the weights that fit, pass '
            '--cfg-options '
            'default_hooks.checkpoint.strict_shapes=False'
        )
