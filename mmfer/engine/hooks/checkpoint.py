"""Write checkpoints that load safely and are never incomplete."""

from mmengine.dist import is_main_process
from mmengine.fileio import join_path
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner

from mmfer.compat import from_plain, to_plain
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.checkpoint_names import note_last

from ..checkpoint_files import (
    checkpoint_folder,
    intact_named,
    prepare_loading,
    rebase_paths,
)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """``CheckpointHook`` that writes files for ``weights_only`` loading.

    The message hub is stored as plain types. A file is written in one step,
    and older files are removed afterwards. So a kill at any moment leaves a
    complete checkpoint, and ``last_checkpoint`` names it.

    Args:
        strict_shapes (bool): Refuse checkpoints that do not fit the model.
            Tensors of another shape are always refused, missing tensors only
            for testing and resuming. With False, parameters that do not fit
            keep their initial values, for example to fine-tune with another
            number of classes. Defaults to True.
        **kwargs: See mmengine's ``CheckpointHook``.
    """

    def __init__(self, strict_shapes: bool = True, **kwargs):
        kwargs.setdefault('backend_args', dict(backend='atomic_local'))
        super().__init__(**kwargs)
        self.strict_shapes = strict_shapes

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to load, and check that its file is whole."""
        prepare_loading(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace objects that safe loading would refuse."""
        for key in ('meta', 'message_hub', 'param_schedulers'):
            if key in checkpoint:
                checkpoint[key] = to_plain(checkpoint[key])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the objects, and check that the weights fit the model."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
            rebase_paths(checkpoint, checkpoint_folder(runner))
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
        name = self.filename_tmpl.format(step)
        self.last_ckpt = join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        with intact_named(runner):
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
            note_last(runner.work_dir, self.last_ckpt)
        for old in outdated:
            path = join_path(self.out_dir, self.filename_tmpl.format(old))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)


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
