"""BatchNorm folded into the convolutions before it, for faster evaluation."""

from typing import Any, List, Optional, Tuple

import torch.nn as nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Fold each BatchNorm into the convolution before it, in place.

    A BatchNorm belongs to the convolution that is registered before it in the same
    module. This holds for the blocks of timm's EfficientNet, whose BatchNorm layers
    also contain the activation.

    Args:
        network (nn.Module): Network for evaluation only.

    Returns:
        nn.Module: The network.
    """
    for module in list(network.modules()):
        for convolution, name, norm in _pairs(module):
            weight, bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            convolution.weight, convolution.bias = weight, bias
            setattr(module, name, getattr(norm, 'act', nn.Identity()))
    return network


def _pairs(module: nn.Module) -> List[Tuple[Any, str, Any]]:
    """Return each convolution with the name and the BatchNorm after it."""
    found = []
    last: Optional[nn.Conv2d] = None
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            last = child
        elif isinstance(child, nn.BatchNorm2d) and last is not None:
            found.append((last, name, child))
            last = None
    return found
