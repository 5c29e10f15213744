"""Helpers that several models and methods share."""

import logging
from typing import Any, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor

from mmfer.compat import crashes_in_channels_last

from .protocols import PredictsClasses

# Output of one stage of a backbone: one feature, or one for each branch.
Feature = Union[Tensor, List[Tensor], Tuple[Tensor, ...]]


def full_precision(x: Tensor) -> torch.autocast:
    """Switch autocast off on the device of ``x``.

    Variances, mixing weights and losses need float32. The backbone, which takes
    most of the time, stays in the lower precision.

    Tensors that were computed before stay in bfloat16. Convert them with
    ``float()`` before a layer with float32 weights.
    """
    return torch.autocast(x.device.type, enabled=False)


def at_least_float32(x: Tensor) -> Tensor:
    """Return bfloat16 and float16 as float32, and other floats as they are.

    Args:
        x (Tensor): Floats of any shape.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def as_map(feature: Feature, channels: Optional[int] = None) -> Tensor:
    """Bring the output of any backbone to the layout (B, C, H, W).

    Vectors (B, C) become 1x1 maps, and tokens (B, L, C) become (B, C, L, 1).
    Outputs of several branches are concatenated along the channels. Examples
    are the two tokens of a distilled transformer, and the convolution and
    transformer branches of a Conformer.

    Args:
        feature (Tensor | Sequence[Tensor]): Output of one stage.
        channels (int, optional): C. With it, two more layouts are recognised:
            (B, C, L) of an MLP-Mixer and (B, H, W, C) of timm's Swin.

    Raises:
        ValueError: The output does not have 2, 3 or 4 dimensions, or its
            branches have different sizes.
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
            'them by an option of the backbone, such as out_type.'
        )
    return torch.cat(list(maps), dim=1)


def last_feature(feats: Any) -> Any:
    """Return the deepest feature of a backbone with one or several scales.

    Args:
        feats (Tensor | Sequence): Output of the backbone.

    Returns:
        Tensor | Sequence[Tensor]: A sequence if the last stage has several
        branches, see :func:`as_map`.
    """
    return feats[-1] if isinstance(feats, (tuple, list)) else feats


def has_channels_last(feature: Tensor, images: Tensor) -> bool:
    """Return whether a feature has the layout (B, H, W, C).

    This is so if its second and third axes have the aspect ratio of the
    images, and its third and fourth axes do not.

    Args:
        feature (Tensor): Of any shape.
        images (Tensor): Input that it was computed from, (B, C, H, W).
    """
    if feature.ndim != 4:
        return False
    height, width = images.shape[2:]

    def is_size(rows: int, columns: int) -> bool:
        # Rounding by strides changes each side by less than one.
        return abs(rows * width - columns * height) < max(height, width)

    return not is_size(*feature.shape[2:]) and is_size(*feature.shape[1:3])


@torch.no_grad()
def probe(module: nn.Module, *args: Any) -> Any:
    """Run ``module`` in eval mode, then restore the mode of each submodule.

    Modes are restored one by one, because some backbones of mmpretrain
    return None from ``train()``.
    """
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        return module(*args)
    finally:
        for m, mode in modes.items():
            m.training = mode


def unwrap_model(model: nn.Module) -> Any:
    """Return the model inside a wrapper for DDP, or the model itself."""
    return model.module if is_model_wrapper(model) else model


def predicts_classes(model: nn.Module) -> bool:
    """Return whether a model predicts classes; most models do.

    The answer of the model counts, else that of its head, see
    :class:`~mmfer.models.protocols.PredictsClasses`.

    Args:
        model (nn.Module): Any classifier, without a wrapper for DDP.
    """
    for part in (model, getattr(model, 'head', None)):
        if isinstance(part, PredictsClasses):
            return part.predicts_classes
    return True


def to_channels_last(module: nn.Module, name: str) -> bool:
    """Bring the weights of a module to channels-last order, where that is safe.

    Args:
        module (nn.Module): Changed in place.
        name (str): What the warning calls it.

    Returns:
        bool: False if a convolution of the module is too narrow for this
        order, see :func:`~mmfer.compat.crashes_in_channels_last`. Then the
        module is not changed, and one warning is logged.
    """
    if crashes_in_channels_last(module):
        print_log(
            f'{name}: channels_last=True is ignored, because a strided 1x1 '
            'convolution of fewer than 16 channels can crash in this order on a '
            'CPU. Results are the same up to rounding. Make the network wider, or '
            'set channels_last=False to silence this warning.',
            logger='current',
            level=logging.WARNING,
        )
        return False
    module.to(memory_format=torch.channels_last)
    return True


def masked_mean(values: Tensor, mask: Tensor, dim: int = 0) -> Tensor:
    """Return the mean of the chosen values along an axis; 0 if none is chosen.

    Args:
        values (Tensor): Any shape.
        mask (Tensor): True or 1 for the values that count, the same shape.
        dim (int): The axis. Defaults to 0.
    """
    mask = mask.bool()
    chosen = torch.where(mask, values, torch.zeros_like(values))
    return chosen.sum(dim) / mask.sum(dim).clamp_min(1)
