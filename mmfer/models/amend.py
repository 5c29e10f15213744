"""ARM: a pooling that corrects the edges of the last feature map."""

from typing import Sequence, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmfer.models.utils import as_map, last_feature
from mmfer.registry import MODELS

UPSCALE, KERNEL, STRIDE = 16, 32, 8


@MODELS.register_module()
class AmendRepresentation(BaseModule):
    """Amend Representation Module (ARM, arXiv 2103.10189), in place of pooling.

    1. The channels of the map are arranged as pixels of a map that is 16 times as
       high and as wide.
    2. *De-albino*: one 32x32 convolution of stride 8, the same for all channels,
       weights the pixels. It sees those at the edge less often, because padding
       has eroded them. BatchNorm follows.
    3. *Affinity*: the mean over the channels, plus alpha times the mean over all
       images of the batch, which they share. alpha is learned.

    Published code takes the mean over the test batch, too. Here a running mean
    replaces it, as in BatchNorm: a prediction must not depend on the other images.

    Args:
        in_channels (int): Channels of the map, a multiple of 256.
        map_size (tuple[int, int]): Height and width of the map, at least 2.
        momentum (float): Weight of a batch in the running mean. Defaults to 0.1.

    Raises:
        ValueError: The map is too small, or its channels are no multiple of 256.
    """

    def __init__(
        self, in_channels: int, map_size: Tuple[int, int], momentum: float = 0.1
    ):
        super().__init__()
        if in_channels % UPSCALE**2 or min(map_size) * UPSCALE < KERNEL:
            raise ValueError(
                f'AmendRepresentation: the last feature map has {in_channels} '
                f'channels and {map_size} positions. The channels must be a multiple '
                'of 256, and height and width at least 2. Use ResNet-18 with images '
                'of 224 px.'
            )
        self.map_size = tuple(map_size)
        self.momentum = momentum
        self.de_albino = nn.Conv2d(1, 1, KERNEL, STRIDE, bias=False)
        self.bn = nn.BatchNorm2d(in_channels // UPSCALE**2)
        self.alpha = nn.Parameter(torch.ones(1))
        size = [(UPSCALE * side - KERNEL) // STRIDE + 1 for side in map_size]
        self.affinity: Tensor
        self.register_buffer('affinity', torch.zeros(size))

    def forward(self, feats: Union[Tensor, Sequence[Tensor]]) -> Tuple[Tensor]:
        """Pool the last map to (B, D), in a tuple; D is 121 for a 7x7 map.

        Args:
            feats (Tensor | Sequence[Tensor]): Output of the backbone.
        """
        x = F.pixel_shuffle(as_map(last_feature(feats)), UPSCALE)
        each = self.de_albino(x.flatten(0, 1)[:, None])
        x = self.bn(each.view(*x.shape[:2], *each.shape[2:]))
        if self.training:
            shared = x.mean(dim=(0, 1))
            with torch.no_grad():
                self.affinity.lerp_(shared.to(self.affinity.dtype), self.momentum)
        else:
            shared = self.affinity
        return ((x.mean(dim=1) + self.alpha * shared).flatten(1),)
