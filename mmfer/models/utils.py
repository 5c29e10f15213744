"""Helpers that several models share."""

from typing import Optional, Sequence, Union

import torch
import torch.nn as nn
from mmengine.model import is_model_wrapper
from torch import Tensor

from .protocols import PredictsClasses


def full_precision(x: Tensor) -> torch.autocast:
    """Switch autocast off: variances, mixing weights and losses need float32.

    The trunk, which costs the time, stays in the lower precision.
    """
    return torch.autocast(x.device.type, enabled=False)


def as_map(
    feature: Union[Tensor, Sequence[Tensor]], channels: Optional[int] = None
) -> Tensor:
    """Bring any backbone's output to (B, C, H, W).

    Vectors (B, C) become 1x1 maps; tokens (B, L, C) become (B, C, L, 1).
    Outputs of several branches (the two tokens of a distilled transformer,
    the convolution and the transformer of a Conformer) are concatenated.

    Args:
        feature (Tensor | Sequence[Tensor]): The output of one stage.
        channels (int, optional): C. With it, features whose channels come in
            another place are recognised: (B, C, L) of an MLP-Mixer and
            (B, H, W, C) of timm's Swin.

    Raises:
        ValueError: The output is of another shape, or its branches are of
            different sizes.
    """
    if isinstance(feature, (tuple, list)):
        return join_branches([as_map(branch) for branch in feature])
    shape = tuple(feature.shape)
    if len(shape) == 4:
        last = shape[1] != channels == shape[3]
        return feature.permute(0, 3, 1, 2) if last else feature
    if len(shape) == 3:
        first = shape[2] != channels == shape[1]
        return (feature if first else feature.transpose(1, 2)).unsqueeze(-1)
    if len(shape) == 2:
        return feature[:, :, None, None]
    raise ValueError(
        'expected a feature of shape (B, C), (B, L, C) or (B, C, H, W), got '
        f'{shape}; choose another output of the backbone.'
    )


def join_branches(maps: Sequence[Tensor]) -> Tensor:
    """Concatenate maps of the same height and width along the channels.

    Args:
        maps (Sequence[Tensor]): Each (B, C_i, H, W).

    Raises:
        ValueError: Their heights or widths differ.
    """
    if len({tuple(x.shape[2:]) for x in maps}) > 1:
        raise ValueError(
            'the backbone returns several outputs of different sizes for one '
            f'stage, {", ".join(str(tuple(x.shape[1:])) for x in maps)} '
            '(channels, height, width), which cannot be joined; choose one of '
            'them by its options, such as out_type.'
        )
    return torch.cat(list(maps), dim=1)


def last_feature(
    feats: Union[Tensor, Sequence[Tensor]],
) -> Union[Tensor, Sequence[Tensor]]:
    """Return the deepest feature of a backbone of one or several scales.

    It is a sequence where a stage has several branches, see :func:`as_map`.
    """
    return feats[-1] if isinstance(feats, (tuple, list)) else feats


@torch.no_grad()
def probe(module: nn.Module, *args):
    """Run ``module`` in eval mode without leaving a trace.

    Some mmpretrain backbones return None from ``train()``, so the mode of
    each submodule is put back by hand.
    """
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        return module(*args)
    finally:
        for m, mode in modes.items():
            m.training = mode


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the model inside a wrapper for DDP, or the model itself."""
    return model.module if is_model_wrapper(model) else model


def predicts_classes(model: nn.Module) -> bool:
    """Return whether predictions of a model have classes; most have.

    The model is asked, then its head; one that does not say so has classes.

    Args:
        model (nn.Module): Any classifier, without a wrapper for DDP.
    """
    for part in (model, getattr(model, 'head', None)):
        if isinstance(part, PredictsClasses):
            return part.predicts_classes
    return True
