"""Small things that several hooks need."""
import torch.nn as nn
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


def bare_model(runner: Runner) -> nn.Module:
    """The model without a wrapper for DDP."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model
