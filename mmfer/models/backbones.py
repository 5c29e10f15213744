"""Backbones for small images."""

from typing import Any, List, Optional, Sequence, Tuple

import torch.nn as nn
from mmcv.cnn import build_conv_layer, build_norm_layer
from mmpretrain.models.backbones import ResNet_CIFAR
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor

from mmfer.registry import MODELS


@MODELS.register_module()
class ResNetSmallStem(ResNet_CIFAR):
    """ResNet with a 3x3 stem and no max-pool, for images of 32 to 64 px.

    ``ResNet_CIFAR`` is the case ``stem_stride=1``. A stride of 2 saves three
    quarters of the work of the first stage. It turns a face of 44 px into a
    3x3 map.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        stem_stride (int): Stride of the first convolution. Defaults to 2.
        in_channels (int): Channels of an image. Defaults to 3.
        **kwargs: See mmpretrain's ``ResNet``.
    """

    def __init__(
        self, depth: int, stem_stride: int = 2, in_channels: int = 3, **kwargs: Any
    ):
        self.stem_stride = stem_stride
        super().__init__(depth, in_channels=in_channels, **kwargs)

    def _make_stem_layer(self, in_channels: int, base_channels: int) -> None:
        self.conv1 = build_conv_layer(
            self.conv_cfg,
            in_channels,
            base_channels,
            kernel_size=3,
            stride=self.stem_stride,
            padding=1,
            bias=False,
        )
        self.norm1_name, norm1 = build_norm_layer(
            self.norm_cfg, base_channels, postfix=1
        )
        self.add_module(self.norm1_name, norm1)
        self.relu = nn.ReLU(inplace=True)


@MODELS.register_module()
class CNN7(BaseBackbone):
    """The 7-layer CNN of JoCoR, which ReSup also uses on CIFAR (Table 5).

    It has six 3x3 convolutions with BatchNorm and ReLU, and a 2x2 max-pool
    after every second one. The classifier is the seventh layer. Images of
    32 px become vectors of length 256.

    Args:
        in_channels (int): Channels of an image. Defaults to 3.
        channels (Sequence[int]): Channels of the six convolutions. Defaults to
            (64, 64, 128, 128, 196, 16).
        init_cfg (dict, optional): See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (64, 64, 128, 128, 196, 16),
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        layers: List[nn.Module] = []
        for index, width in enumerate(channels):
            layers += [
                nn.Conv2d(in_channels, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            if index % 2:
                layers.append(nn.MaxPool2d(2))
            in_channels = width
        self.layers = nn.Sequential(*layers, nn.Flatten())

    def forward(self, x: Tensor) -> Tuple[Tensor]:
        """Map images (B, C, H, W) to vectors (B, 16 H W / 64), in a tuple."""
        return (self.layers(x),)
