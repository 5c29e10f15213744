"""Decoder G_X: generate an image from labels and a latent vector."""

from typing import List, Optional

import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.utils.parametrizations import spectral_norm

from mmfer.registry import MODELS

# Output channels of all transposed convolutions but the last one, for each image
# size, in multiples of ``base_channels``.
WIDTHS = {32: (8, 8, 4, 2), 64: (8, 8, 4, 2, 1), 128: (8, 8, 8, 4, 2, 1)}


@MODELS.register_module()
class JointGANDecoder(BaseModule):
    """Decoder G_X: transposed convolutions from 1 x 1 to an image in [-1, 1].

    The linear layer and all convolutions have spectral normalisation. BatchNorm
    and ReLU follow each convolution but the last one.

    Args:
        in_features (int): Length of latent vector and label vectors together.
        image_size (int): Side of the image: 32, 64 or 128.
        out_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Unit for the number of channels. The widest
            layers have 8 times as many. Defaults to 64.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.

    Raises:
        ValueError: There is no decoder for this size.
    """

    def __init__(
        self,
        in_features: int,
        image_size: int,
        out_channels: int = 3,
        base_channels: int = 64,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        if image_size not in WIDTHS:
            raise ValueError(
                f'JointGANDecoder: there is no decoder for images of {image_size} '
                f'x {image_size} pixels, only for sides of '
                f'{", ".join(map(str, WIDTHS))}. Resize or crop the images '
                'in all pipelines, and set data_preprocessor.input_shape.'
            )
        width = 8 * base_channels
        self.linear = nn.Sequential(
            spectral_norm(nn.Linear(in_features, width), eps=1e-12),
            nn.ReLU(inplace=True),
        )
        layers: List[nn.Module] = []
        for factor in WIDTHS[image_size]:
            layers += [
                upsampling(width, factor * base_channels),
                nn.BatchNorm2d(factor * base_channels),
                nn.ReLU(inplace=True),
            ]
            width = factor * base_channels
        layers += [upsampling(width, out_channels), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map vectors (B, in_features) to images (B, C, H, W) in [-1, 1]."""
        return self.layers(self.linear(inputs)[:, :, None, None])


def upsampling(in_channels: int, out_channels: int) -> nn.Module:
    """Build a transposed convolution that doubles height and width."""
    return spectral_norm(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1), eps=1e-12
    )
