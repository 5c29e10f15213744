"""Distributed training of models whose parts have separate optimizers."""

from typing import Any, List

import torch.nn as nn
from mmengine.model import MMSeparateDistributedDataParallel, is_model_wrapper

# Runners look for wrappers only in this registry, in every scope.
from mmengine.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class SeparateDataParallel(MMSeparateDistributedDataParallel):
    """``MMSeparateDistributedDataParallel`` that saves under unwrapped names.

    mmengine saves wrapped parts as ``part.module.*`` but loads them as
    ``part.*``, so it cannot load its own checkpoint. For the averaged weights
    of ``EMAHook`` it does the opposite. This class always uses ``part.*``,
    the names in a run of one process.

    Args:
        module (nn.Module): The model.
        **kwargs: See mmengine's ``MMSeparateDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, **kwargs: Any):
        super().__init__(module, **kwargs)
        name_as_unwrapped(module)


def wrapped_parts(model: nn.Module, prefix: str) -> List[str]:
    """Return the name prefixes of the wrapped parts, without ``module.``.

    Args:
        model (nn.Module): Model whose children may be wrapped.
        prefix (str): Text put before each name.
    """
    return [
        f'{prefix}{name}.'
        for name, child in model.named_children()
        if is_model_wrapper(child)
    ]


def name_as_unwrapped(model: nn.Module) -> None:
    """Give wrapped parts of a model the names of unwrapped ones.

    This can be removed once mmengine saves what its ``get_state_dict``
    returns, and loads averaged weights with its own ``load_state_dict``.
    """

    def on_save(module, state_dict, prefix, _):
        parts = wrapped_parts(module, prefix)
        entries = list(state_dict.items())
        state_dict.clear()
        for key, value in entries:
            for part in parts:
                if key.startswith(f'{part}module.'):
                    key = part + key[len(f'{part}module.') :]
            state_dict[key] = value

    def on_load(module, state_dict, prefix, *_):
        # Also rename the keys of the wrapper itself, which mmengine's own
        # loader does not visit.
        for key in [k for k in state_dict if k.startswith(prefix)]:
            if not key.startswith(f'{prefix}module.'):
                state_dict[f'{prefix}module.{key[len(prefix) :]}'] = state_dict.pop(key)

    model._register_state_dict_hook(on_save)
    for child in model.children():
        if is_model_wrapper(child):
            child.register_load_state_dict_pre_hook(on_load)
