"""Compile the backbones of a model with torch.compile."""

from typing import Any, Iterator

import torch
import torch.nn as nn
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

    Forward hooks inside a backbone, such as those of latent compensation, act at
    random. They stay as they are, and the parts between them are compiled.

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
        backbones = {
            name: module
            for name, module in model.named_modules()
            if name.rpartition('.')[2] == 'backbone'
        }
        if not backbones:
            raise ValueError(
                f'CompileHook compiles parts that are called backbone, and the '
                f'{type(model).__name__} has none. Remove default_hooks.compile.'
            )
        parts = [p for module in backbones.values() for p in without_hooks(module)]
        # Parts of one class share one cache, which must also hold their eval mode.
        config = torch._dynamo.config
        config.cache_size_limit = max(config.cache_size_limit, 4 * len(parts))
        for part in parts:
            part.compile(**self.options)
        runner.logger.info(
            f'torch.compile compiles {" and ".join(backbones)} ({len(parts)} parts) '
            'in the first steps, which takes a while.'
        )

    def before_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Tell CUDA graphs that the outputs of the last step are not needed."""
        torch.compiler.cudagraph_mark_step_begin()


def without_hooks(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the largest parts of a module that have no forward hooks inside.

    Args:
        module (nn.Module): Backbone; parts without children, such as a single
            convolution, are omitted.
    """
    if any(m._forward_hooks or m._forward_pre_hooks for m in module.modules()):
        for child in module.children():
            yield from without_hooks(child)
    elif next(module.children(), None) is not None:
        yield module
