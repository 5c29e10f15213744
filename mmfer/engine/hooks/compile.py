"""Compile the backbones of a model with torch.compile."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS


@HOOKS.register_module()
class CompileHook(Hook):
    """Compile each backbone of a model before the first step.

    mmengine's top-level ``compile`` compiles the whole train step, with the
    optimizer. It does so again for each new learning rate, and in methods that
    keep values of each sample for each batch. This hook compiles the backbones,
    which take most of the time and compute the same function in each step. Names
    of weights in checkpoints do not change.

    Compiled and other code round differently, and dropout draws other numbers.
    The first steps and the first validation take minutes instead of seconds.

    Args:
        **options: Arguments of ``torch.compile``, such as
            ``mode='max-autotune-no-cudagraphs'``.
    """

    def __init__(self, **options: Any):
        self.options = options

    def before_train(self, runner: Runner) -> None:
        """Compile the backbones.

        Raises:
            ValueError: The model has no part of this name.
        """
        model = unwrap_model(runner.model)
        names = [
            name
            for name, _ in model.named_modules()
            if name.rpartition('.')[2] == 'backbone'
        ]
        if not names:
            raise ValueError(
                f'CompileHook compiles parts that are called backbone, and the '
                f'{type(model).__name__} has none. Remove default_hooks.compile.'
            )
        for name in names:
            model.get_submodule(name).compile(**self.options)
        runner.logger.info(
            f'torch.compile compiles {" and ".join(names)} in the first steps, which '
            'takes a while.'
        )

    def before_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Tell CUDA graphs that the outputs of the last step are not needed."""
        torch.compiler.cudagraph_mark_step_begin()
