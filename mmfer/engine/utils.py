"""Small things that several hooks need."""
import random
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn as nn
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


def bare_model(runner: Runner) -> nn.Module:
    """The model without a wrapper for DDP."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def predicts_classes(model: nn.Module) -> bool:
    """Whether predictions of a model have classes; most have.

    Args:
        model (nn.Module): Without a wrapper for DDP.
    """
    model = getattr(model, 'encoder', model)
    head = getattr(getattr(model, 'module', model), 'head', None)
    return getattr(head, 'predicts_classes', True)


@contextmanager
def random_state_kept():
    """Restore the global random states on exit."""
    states = random.getstate(), np.random.get_state()
    # Without a list, torch takes all GPUs, and warns of it.
    devices = [torch.cuda.current_device()] \
        if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
