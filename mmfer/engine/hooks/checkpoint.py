"""Checkpoints that load safely and are whole or absent."""

from mmengine.dist import is_main_process
from mmengine.fileio import join_path
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner

from mmfer.compat import from_plain, to_plain
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.files import write_atomic


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """``CheckpointHook`` for files that ``weights_only`` loading accepts.

    The message hub is stored as plain types. A file is written in one step,
    and older ones are removed after it, so that a kill at any moment leaves
    a whole checkpoint that ``last_checkpoint`` names.

    Args:
        strict_shapes (bool): Refuse checkpoints that do not fit the model,
            instead of leaving what does not fit at its initial values:
            tensors of other shapes always, missing ones when testing or
            resuming. Set it to False to fine-tune with another number of
            classes. Defaults to True.
        **kwargs: See mmengine's ``CheckpointHook``.
    """

    def __init__(self, strict_shapes: bool = True, **kwargs):
        kwargs.setdefault('backend_args', dict(backend='atomic_local'))
        super().__init__(**kwargs)
        self.strict_shapes = strict_shapes

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace what only an unsafe load could read."""
        for key in ('meta', 'message_hub', 'param_schedulers'):
            if key in checkpoint:
                checkpoint[key] = to_plain(checkpoint[key])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Undo it, and check that the weights are for this model."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
        if self.strict_shapes:
            # Fine-tuning may start from a part of a model.
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

        mmengine's order is the reverse, which leaves no checkpoint at all
        while it writes.
        """
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            steps = [*self.keep_ckpt_ids, step]
            outdated = steps[: -self.max_keep_ckpts]
            # A deque of this length: appending drops the oldest.
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        write_atomic(
            join_path(runner.work_dir, 'last_checkpoint'), self.last_ckpt.encode()
        )
        for old in outdated:
            path = join_path(self.out_dir, self.filename_tmpl.format(old))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)


def check_fit(loaded: dict, expected: dict, allow_missing: bool) -> None:
    """Raise ``ValueError`` unless a checkpoint fits a model.

    Args:
        loaded (dict): State dict from a checkpoint.
        expected (dict): State dict of the model.
        allow_missing (bool): Whether the checkpoint may lack tensors.
    """
    loaded = {name.removeprefix('module.'): v for name, v in loaded.items()}
    missing = [
        name
        for name in expected
        if name not in loaded and 'num_batches_tracked' not in name
    ]
    if missing and not allow_missing:
        raise ValueError(
            f'the checkpoint is for another model, it lacks {len(missing)} '
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
            f'the checkpoint is for another model, {len(wrong)} tensor(s) '
            'differ in shape:\n  '
            + '\n  '.join(wrong[:5])
            + '\nUse the config it was trained with (same classes, neck and '
            'backbone). To start a training from those of its weights that '
            'do fit, pass --cfg-options '
            'default_hooks.checkpoint.strict_shapes=False'
        )
