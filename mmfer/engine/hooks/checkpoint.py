"""Checkpoints that load safely and are whole or absent."""
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmfer.compat import from_plain, to_plain, write_atomic
from mmfer.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """``CheckpointHook`` for files that ``weights_only`` loading accepts.

    The message hub is stored as plain types; files are replaced in one step,
    so that a kill leaves the previous checkpoint intact.

    Args:
        strict_shapes (bool): Refuse checkpoints whose tensors have other
            shapes than the model's, instead of leaving those tensors at
            their initial values. Set it to False to fine-tune with another
            number of classes. Defaults to True.
        **kwargs: See mmengine's ``CheckpointHook``.
    """

    def __init__(self, strict_shapes: bool = True, **kwargs):
        kwargs.setdefault('backend_args', dict(backend='atomic_local'))
        super().__init__(**kwargs)
        self.strict_shapes = strict_shapes

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict) -> None:
        """Replace what only an unsafe load could read."""
        for key in ('meta', 'message_hub', 'param_schedulers'):
            if key in checkpoint:
                checkpoint[key] = to_plain(checkpoint[key])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Undo it, and check that the weights are for this model."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
        if self.strict_shapes:
            model = runner.model.module if is_model_wrapper(
                runner.model) else runner.model
            check_shapes(checkpoint.get('state_dict', checkpoint),
                         model.state_dict())

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict) -> None:
        super()._save_checkpoint_with_step(runner, step, meta)
        # mmengine truncates this file before it writes the new name.
        if runner.rank == 0:
            write_atomic(f'{runner.work_dir}/last_checkpoint',
                         str(self.last_ckpt).encode())


def check_shapes(loaded: dict, expected: dict) -> None:
    """Raise ``ValueError`` if common tensors differ in shape.

    Args:
        loaded (dict): State dict from a checkpoint.
        expected (dict): State dict of the model.
    """
    wrong = [
        f'{name}: {tuple(loaded[name].shape)} in the checkpoint, '
        f'{tuple(value.shape)} in the model'
        for name, value in expected.items()
        if name in loaded and loaded[name].shape != value.shape
    ]
    if wrong:
        raise ValueError(
            f'the checkpoint is for another model, {len(wrong)} tensor(s) '
            'differ in shape:\n  ' + '\n  '.join(wrong[:5]) +
            '\nUse the config it was trained with (same classes, neck and '
            'backbone). To start a training from those of its weights that '
            'do fit, pass --cfg-options '
            'default_hooks.checkpoint.strict_shapes=False')
