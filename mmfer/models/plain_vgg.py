"""VGG-16 of any width."""

from typing import List, Optional, Tuple

import torch.nn as nn
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor

from mmfer.registry import MODELS

# One pair per block: number of convolutions, and width as a multiple of the
# width of the first block.
VGG16_BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))


@MODELS.register_module()
class PlainVGG16(BaseBackbone):
    """Convolutional part of VGG-16, of any width.

    It is mmpretrain's ``VGG(depth=16)`` with two more options, ``in_channels``
    and ``base_channels``. Weights of torchvision's VGG-16 fit by name.

    Args:
        in_channels (int): Channels of an image. Defaults to 3.
        base_channels (int): Channels of the first of the five blocks. The
            others have 2, 4, 8 and 8 times as many. Defaults to 64.
        init_cfg (dict, optional): Initialisation. Defaults to normal weights
            of variance 2 / (k * k * C_out), and zero biases.
    """

    def __init__(
        self,
        in_channels: int = 3,
        base_channels: int = 64,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        layers: List[nn.Module] = []
        for depth, factor in VGG16_BLOCKS:
            for _ in range(depth):
                width = factor * base_channels
                layers += [
                    nn.Conv2d(in_channels, width, 3, padding=1),
                    nn.ReLU(inplace=True),
                ]
                in_channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tuple[Tensor]:
        """Return features (B, 8 * base_channels, H / 32, W / 32), in a tuple."""
        return (self.features(images),)
