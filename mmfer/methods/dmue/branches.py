"""Copies of the last stage of a backbone, one for each class."""

import copy
from collections import OrderedDict
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.models.backbone_layers import layers_of
from mmfer.models.utils import last_feature, probe

from .grouped_norm import GroupedBatchNorm, Groups


def find_last_stage(
    backbone: nn.Module, example: Tensor, name: Optional[str] = None
) -> Tuple[str, nn.Module]:
    """Find the layer whose output is the feature of a backbone.

    Of several such layers the largest one is found: that of a ResNet is ``layer4``,
    not its last block.

    Args:
        backbone (nn.Module): Any backbone.
        example (Tensor): An input that it can process, (B, channels, H, W).
        name (str, optional): Name of the layer. Defaults to None: the largest one.

    Returns:
        tuple[str, nn.Module]: Name and layer.

    Raises:
        ValueError: There is no such layer, or it has another name.
    """
    layers = dict(layers_of(backbone))
    runs: Dict[str, List[Tuple[tuple, Any]]] = {key: [] for key in layers}
    handles = [
        layer.register_forward_hook(
            lambda module, args, output, key=key: runs[key].append((args, output))
        )
        for key, layer in layers.items()
    ]
    try:
        feature = last_feature(probe(backbone, example))
    finally:
        for handle in handles:
            handle.remove()

    def fits(key: str) -> bool:
        if len(runs[key]) != 1 or runs[key][0][1] is not feature:
            return False
        args = runs[key][0][0]
        return (
            len(args) == 1
            and isinstance(args[0], Tensor)
            # Branches that get the images would share nothing.
            and args[0] is not example
            # A normalisation alone is no branch.
            and any(p.ndim > 1 for p in layers[key].parameters())
        )

    found = {key: layers[key] for key in layers if fits(key)}
    network = type(backbone).__name__
    if not found:
        raise ValueError(
            'DMUEClassifier copies the last stage for each class: a layer that gets '
            f'one feature map and returns the feature of the backbone. {network} has '
            'no such layer. Use a backbone that has one, such as ResNet.'
        )
    if name is None:
        name = max(
            found, key=lambda key: sum(p.numel() for p in found[key].parameters())
        )
    if name not in found:
        raise ValueError(
            f'DMUEClassifier: last_stage={name!r} is no layer of {network} that '
            f'returns its feature. These do: {", ".join(map(repr, found))}.'
        )
    return name, found[name]


@contextmanager
def without_hooks(module: nn.Module) -> Iterator[None]:
    """Take the hooks off a module and its parts, inside the block."""
    names = ('_forward_hooks', '_forward_pre_hooks')
    kept = [(m, {name: getattr(m, name) for name in names}) for m in module.modules()]
    try:
        for part, _ in kept:
            for name in names:
                setattr(part, name, OrderedDict())
        yield
    finally:
        for part, hooks in kept:
            for name, value in hooks.items():
                setattr(part, name, value)


class Branch(nn.Module):
    """Copy of a stage, for samples with the class of the branch and for the others.

    Both groups are normalised by statistics of their own, the others first.

    Args:
        stage (nn.Module): The last stage of a backbone.
    """

    def __init__(self, stage: nn.Module):
        super().__init__()
        # Hooks may belong to the whole model, which must not be copied.
        with without_hooks(stage):
            self.stage = copy.deepcopy(stage)
        for part in list(self.stage.modules()):
            for name, child in part.named_children():
                if isinstance(child, _BatchNorm):
                    setattr(part, name, GroupedBatchNorm.like(child))
        self.norms = [
            m for m in self.stage.modules() if isinstance(m, GroupedBatchNorm)
        ]

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Return the feature of all samples.

        Args:
            x (Tensor): Input of the stage, (B, channels, H, W).
            own (Tensor): Whether a sample has the class of the branch, bool (B, ).
        """
        groups = Groups(own.long(), 2)
        for norm in self.norms:
            # They stay: checkpointed blocks run again in the backward pass.
            norm.groups = groups
        return self.stage(x)

    @torch.no_grad()
    def copy_weights(self, stage: nn.Module) -> None:
        """Take the weights and statistics of a stage."""
        self.stage.load_state_dict(stage.state_dict())
