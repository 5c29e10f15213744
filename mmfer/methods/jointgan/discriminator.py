"""Discriminator D: a score for each variable, and a joint score."""

from functools import partial
from typing import List, Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.utils.parametrizations import spectral_norm

from mmfer.registry import MODELS
from mmfer.utils.checks import choices

MLP_BRANCHES = 4
RESIDUAL_BLOCKS = ('pre_activation', 'plain')


def spectrally_normed(layer: nn.Module) -> nn.Module:
    """Add spectral normalisation, with one power iteration per forward pass."""
    return spectral_norm(layer, eps=1e-12)


class ResidualBlock(nn.Module):
    """Residual block of two convolutions (appendix, Fig. 2a).

    The paper describes two times a convolution and a ReLU, and one pooling. In the
    published code a ReLU comes before each convolution, so none comes before the sum.

    The skip connection is a 1 x 1 convolution. It is the identity if the number
    of channels is equal and nothing is downsampled.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output, and between the two
            convolutions.
        downsample (bool): Halve height and width. Defaults to True.
        first (bool): Omit the ReLU at the start, because the input is an
            image. Defaults to False.
        pre_activation (bool): Put the ReLU before each convolution, as the
            published code does. False: put it after each, as the paper says.
            Defaults to True.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        downsample: bool = True,
        first: bool = False,
        pre_activation: bool = True,
    ):
        super().__init__()
        self.conv1 = spectrally_normed(
            nn.Conv2d(in_channels, out_channels, 3, padding=1)
        )
        self.conv2 = spectrally_normed(
            nn.Conv2d(out_channels, out_channels, 3, padding=1)
        )
        self.skip = (
            spectrally_normed(nn.Conv2d(in_channels, out_channels, 1))
            if downsample or in_channels != out_channels
            else nn.Identity()
        )
        self.downsample = downsample
        self.first = first
        self.pre_activation = pre_activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out_channels, H, W), or to half of H and W."""
        if self.pre_activation:
            residual = self.conv1(x if self.first else F.relu(x))
            residual = self.conv2(F.relu(residual))
        else:
            residual = F.relu(self.conv2(F.relu(self.conv1(x))))
        if self.downsample:
            # Pooling before a 1 x 1 convolution gives the same result as pooling
            # after it, and costs less.
            residual, x = F.avg_pool2d(residual, 2), F.avg_pool2d(x, 2)
        return residual + self.skip(x)


class SelfAttention(nn.Module):
    """Self-attention as in SAGAN (appendix, Fig. 2b).

    Args:
        channels (int): C. Queries and keys have C / 8 channels, values C / 2.
    """

    def __init__(self, channels: int):
        super().__init__()

        def point_wise(inputs: int, outputs: int) -> nn.Module:
            return spectrally_normed(nn.Conv2d(inputs, outputs, 1, bias=False))

        self.query = point_wise(channels, max(1, channels // 8))
        self.key = point_wise(channels, max(1, channels // 8))
        self.value = point_wise(channels, channels // 2)
        self.output = point_wise(channels // 2, channels)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Add attention to a map (B, C, H, W) with even H and W."""
        query = self.query(x).flatten(2)
        key = F.max_pool2d(self.key(x), 2).flatten(2)
        value = F.max_pool2d(self.value(x), 2).flatten(2)
        attention = (query.transpose(1, 2) @ key).softmax(dim=2)
        attended = (attention @ value.transpose(1, 2)).transpose(1, 2)
        return x + self.gain * self.output(attended.unflatten(2, x.shape[2:]))


class MLPBlock(nn.Module):
    """Linear layer, and four small networks on its output (appendix, Fig. 2c).

    Args:
        in_features (int): Size of the input vectors.
        out_features (int): Size of the output vectors.
        shortcut (bool): Add the output of the linear layer to those of the four
            networks, as the published code does. False: sum only these four, as
            the paper says. Defaults to True.
    """

    def __init__(self, in_features: int, out_features: int, shortcut: bool = True):
        super().__init__()
        self.shortcut = shortcut
        self.linear = spectrally_normed(nn.Linear(in_features, out_features))
        self.branches = nn.ModuleList(
            nn.Sequential(
                spectrally_normed(nn.Linear(out_features, out_features)),
                nn.ReLU(),
                spectrally_normed(nn.Linear(out_features, out_features)),
            )
            for _ in range(MLP_BRANCHES)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        hidden = self.linear(x)
        active = F.relu(hidden)
        total = sum(branch(active) for branch in self.branches)
        return hidden + total if self.shortcut else total


class ImageStream(nn.Module):
    """Map images to features, with residual blocks and one attention block.

    Args:
        in_channels (int): Channels of the images.
        image_size (int): Side of the images. Images above 32 are first halved.
        base_channels (int): Unit for the number of channels. There are 8 times
            as many features.
        residual_block (str): See :class:`JointGANDiscriminator`.

    Raises:
        ValueError: The images are too small.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        base_channels: int,
        residual_block: str = 'pre_activation',
    ):
        super().__init__()
        if image_size < 32 or 32 < image_size < 64:
            raise ValueError(
                f'JointGANDiscriminator: images of {image_size} x {image_size} '
                'pixels are too small for its five halvings. Use a side of 32, '
                'or of at least 64.'
            )
        self.halve = image_size > 32
        c = base_channels
        block = partial(
            ResidualBlock, pre_activation=residual_block == 'pre_activation'
        )
        self.blocks = nn.Sequential(
            block(in_channels, c, first=True),
            SelfAttention(c),
            block(c, 2 * c),
            block(2 * c, 4 * c),
            block(4 * c, 8 * c),
            block(8 * c, 8 * c),
            block(8 * c, 8 * c, downsample=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) to features (B, 8 * base_channels)."""
        if self.halve:
            images = F.avg_pool2d(images, 2)
        return F.relu(self.blocks(images)).sum(dim=(2, 3))


@MODELS.register_module()
class JointGANDiscriminator(BaseModule):
    """Discriminator D: a stream and a score per variable, and a joint score.

    All layers have spectral normalisation. The scores are in this order: image,
    latent vector, each label set, and all variables jointly.

    Args:
        label_dims (Sequence[int]): Classes or dimensions of each label set.
        latent_dim (int): Length L of the latent vector. 0: no latent vector
            (the ablation without decoder). Defaults to 100.
        image_score (bool): Whether the image alone has a score. Defaults to
            True.
        image_size (int): Side of the images. Defaults to 32.
        in_channels (int): Channels of the images. Defaults to 3.
        base_channels (int): Unit for the number of channels of the image
            stream. All streams end in vectors of 8 times this length.
            Defaults to 64.
        residual_block (str): Order in the blocks of the image stream:
            ``'pre_activation'`` as in the published code, or ``'plain'`` as in
            the paper, see :class:`ResidualBlock`. Defaults to
            ``'pre_activation'``.
        mlp_shortcut (bool): ``shortcut`` of each :class:`MLPBlock`. Defaults to
            True.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        label_dims: Sequence[int],
        latent_dim: int = 100,
        image_score: bool = True,
        image_size: int = 32,
        in_channels: int = 3,
        base_channels: int = 64,
        residual_block: str = 'pre_activation',
        mlp_shortcut: bool = True,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        choices(self, 'residual_block', residual_block, RESIDUAL_BLOCKS)
        width = 8 * base_channels
        self.image_stream = ImageStream(
            in_channels, image_size, base_channels, residual_block
        )
        dims = ([latent_dim] if latent_dim else []) + list(label_dims)
        self.vector_streams = nn.ModuleList(
            MLPBlock(dim, width, mlp_shortcut) for dim in dims
        )
        self.image_score = image_score
        self.marginal_scores = nn.ModuleList(
            spectrally_normed(nn.Linear(width, 1))
            for _ in range(image_score + len(dims))
        )
        self.joint_stream = MLPBlock((1 + len(dims)) * width, 2 * width, mlp_shortcut)
        self.joint_score = spectrally_normed(nn.Linear(2 * width, 1))

    @property
    def num_scores(self) -> int:
        """Number of scores K."""
        return len(self.marginal_scores) + 1

    def forward(self, images: Tensor, vectors: List[Tensor]) -> Tensor:
        """Compute the scores of tuples, (B, K).

        Args:
            images (Tensor): Images, (B, C, H, W).
            vectors (list[Tensor]): Latent vector (B, L) if there is one, then
                each label set in the order of ``label_dims``. A label set has
                logits, probabilities, one-hot vectors, or valence and arousal.
        """
        features = [self.image_stream(images)] + [
            stream(vector)
            for stream, vector in zip(self.vector_streams, vectors, strict=True)
        ]
        scores = [
            score(feature)
            for score, feature in zip(
                self.marginal_scores,
                features if self.image_score else features[1:],
                strict=True,
            )
        ]
        joint = self.joint_stream(torch.cat(features, dim=1))
        return torch.cat([*scores, self.joint_score(joint)], dim=1)
