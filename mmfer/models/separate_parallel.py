"""Several processes for models whose parts are updated apart."""

from typing import List

import torch.nn as nn
from mmengine.model import MMSeparateDistributedDataParallel, is_model_wrapper

# A runner looks for wrappers here, whatever the scope.
from mmengine.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class SeparateDataParallel(MMSeparateDistributedDataParallel):
    """``MMSeparateDistributedDataParallel`` with the names of one process.

    mmengine saves wrapped parts as ``part.module.*`` and loads them as
    ``part.*``, so that nothing of a checkpoint would be found again, and the
    average of ``EMAHook`` the other way round. Here they are ``part.*``.

    Args:
        module (nn.Module): The model.
        **kwargs: See mmengine.
    """

    def __init__(self, module: nn.Module, **kwargs):
        super().__init__(module, **kwargs)
        name_as_unwrapped(module)


def wrapped_parts(model: nn.Module, prefix: str) -> List[str]:
    """Prefixes of the parts that are wrapped, without ``module.``."""
    return [
        f'{prefix}{name}.'
        for name, child in model.named_children()
        if is_model_wrapper(child)
    ]


def name_as_unwrapped(model: nn.Module) -> None:
    """Have wrapped parts of a model saved and loaded as unwrapped ones.

    Goes away when mmengine saves what its ``get_state_dict`` returns, and
    loads averages with its own ``load_state_dict``.
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
        # Of the wrapper itself: mmengine's own loader passes it over.
        for key in [k for k in state_dict if k.startswith(prefix)]:
            if not key.startswith(f'{prefix}module.'):
                state_dict[f'{prefix}module.{key[len(prefix) :]}'] = state_dict.pop(key)

    model._register_state_dict_hook(on_save)
    for child in model.children():
        if is_model_wrapper(child):
            child.register_load_state_dict_pre_hook(on_load)
