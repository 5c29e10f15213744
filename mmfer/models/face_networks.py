"""Backbones of face recognition: IResNet (IR-50 of ArcFace) and MobileFaceNet.

Both are made for aligned faces of 112 px, which they turn into maps of 7x7 px. The
layers that turn these maps into an embedding of the identity are not part of them.
``tools/model_converters/import_face_weights.py`` brings published weights into the
names used here.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch.nn as nn
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import choices, is_whole
from mmfer.utils.text_files import clipped

STYLES = ('insightface', 'face_evolve')
SCALES = (1, 2, 4)
MAX_BLOCKS = 64
INIT: List[dict] = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer='_BatchNorm'),
]
"""Initial weights without a file."""


class SqueezeExcitation(nn.Module):
    """Scale channels by a function of their means, x * sigmoid(W2 relu(W1 mean(x))).

    Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, Eq. 2 to 4, without bias.

    Args:
        channels (int): Channels C of the maps.
        reduction (int): The hidden layer has C / reduction units. Defaults to 16.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return scaled maps (B, C, H, W)."""
        hidden = self.fc1(x.mean((2, 3), keepdim=True)).relu()
        return x * self.fc2(hidden).sigmoid()


class IBasicBlock(nn.Module):
    """Improved residual block of ArcFace.

    y = BN(conv(PReLU(BN(conv(BN(x)))))) + shortcut(x), with 3x3 convolutions; the
    second one has the stride. Style ``face_evolve`` lacks the BatchNorm between the
    first convolution and the PReLU. It may scale the branch by
    :class:`SqueezeExcitation` before the sum. If the number of channels stays, its
    shortcut takes every second pixel, where style ``insightface`` has a 1x1
    convolution with BatchNorm.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the output.
        stride (int): 1 or 2.
        style (str): ``'insightface'`` or ``'face_evolve'``.
        se (bool): Whether there is squeeze and excitation.
    """

    def __init__(
        self, in_channels: int, channels: int, stride: int, style: str, se: bool
    ):
        super().__init__()
        insightface = style == 'insightface'
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels) if insightface else nn.Identity()
        self.prelu = nn.PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcitation(channels) if se else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if in_channels != channels or (insightface and stride != 1):
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False),
                nn.BatchNorm2d(channels),
            )
        elif stride != 1:
            self.downsample = nn.MaxPool2d(1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        branch = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        branch = self.se(self.bn3(self.conv2(branch)))
        return branch + self.downsample(x)


@MODELS.register_module()
class IResNet(BaseBackbone):
    """Residual network of ArcFace, also called IR-50 or LResNet50E-IR.

    Deng et al., ArcFace, CVPR 2019, Sec. 3.1: a 3x3 stem without stride, four stages
    of :class:`IBasicBlock` that each halve the map, and a BatchNorm. Faces of 112 px
    become maps of 512 channels and 7x7 px.

    There are two published designs with this name, which compute different
    functions. ``'insightface'`` is that of InsightFace's ``arcface_torch``, and
    ``'face_evolve'`` that of face.evoLVe, InsightFace_Pytorch and TFace.

    Args:
        depth (int): 18, 34, 50, 100 or 200; or 152 of face.evoLVe. Defaults to 50.
        style (str): ``'insightface'`` or ``'face_evolve'``. Defaults to
            ``'insightface'``.
        se (bool): Squeeze and excitation in each block (IR-SE-50), of style
            ``face_evolve`` only. Defaults to False.
        in_channels (int): Channels of an image. Defaults to 3.
        out_indices (Sequence[int]): Stages, from 0 to 3, whose maps are returned.
            Defaults to (3, ).
        init_cfg (dict | list[dict], optional): See mmengine's ``BaseModule``.
    """

    arch_settings: Dict[int, Tuple[int, ...]] = {
        18: (2, 2, 2, 2),
        34: (3, 4, 6, 3),
        50: (3, 4, 14, 3),
        100: (3, 13, 30, 3),
        152: (3, 8, 36, 3),
        200: (6, 26, 60, 6),
    }
    channels = (64, 128, 256, 512)

    def __init__(
        self,
        depth: int = 50,
        style: str = 'insightface',
        se: bool = False,
        in_channels: int = 3,
        out_indices: Sequence[int] = (3,),
        init_cfg: Any = None,
    ):
        choices(self, 'depth', depth, tuple(self.arch_settings))
        choices(self, 'style', style, STYLES)
        if se and style != 'face_evolve':
            raise ValueError(
                f"IResNet: se=True needs style='face_evolve', but style={style!r}. "
                'The other design has no squeeze and excitation.'
            )
        super().__init__(INIT if init_cfg is None else init_cfg)
        self.out_indices = tuple(out_indices)
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        before = 64
        for index, blocks in enumerate(self.arch_settings[depth]):
            width = self.channels[index]
            stage = nn.Sequential(
                *(
                    IBasicBlock(width if i else before, width, 1 if i else 2, style, se)
                    for i in range(blocks)
                )
            )
            self.add_module(f'layer{index + 1}', stage)
            before = width
        self.bn2 = nn.BatchNorm2d(before)

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Map images (B, C, H, W) to maps, (B, 512, H / 16, W / 16) by default."""
        x = self.prelu(self.bn1(self.conv1(x)))
        maps = []
        for index in range(4):
            x = getattr(self, f'layer{index + 1}')(x)
            if index == 3:
                x = self.bn2(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)


class ConvUnit(nn.Module):
    """Convolution without bias, BatchNorm, and PReLU unless ``linear``.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the output.
        kernel (int): 1 or 3; the map keeps its size but for the stride.
        stride (int): Defaults to 1.
        groups (int): Groups of the convolution. Defaults to 1.
        linear (bool): No PReLU. Defaults to False.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ):
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            channels,
            kernel,
            stride,
            kernel // 2,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(channels)
        self.prelu = nn.Identity() if linear else nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        return self.prelu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Inverted bottleneck of MobileNetV2 with PReLU: expand, depthwise, project.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the output.
        hidden (int): Channels in between.
        stride (int): Defaults to 1, with a shortcut. With 2 there is none.
    """

    def __init__(self, in_channels: int, channels: int, hidden: int, stride: int = 1):
        super().__init__()
        self.expand = ConvUnit(in_channels, hidden)
        self.depthwise = ConvUnit(hidden, hidden, 3, stride, groups=hidden)
        self.project = ConvUnit(hidden, channels, linear=True)
        self.has_shortcut = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.has_shortcut else y


@MODELS.register_module()
class MobileFaceNet(BaseBackbone):
    """Face-recognition network for phones, with 1 million parameters.

    Chen et al., MobileFaceNets, CCBR 2018, Table 1, up to the 1x1 convolution before
    the global depthwise convolution. Faces of 112 px become maps of 512 channels and
    7x7 px.

    Args:
        scale (int): Factor on the widths 64 and 128. The paper and
            InsightFace_Pytorch have 1, InsightFace's ``get_mbf`` 2 and its
            ``get_mbf_large`` 4. Defaults to 1.
        blocks (Sequence[int]): Number of blocks at 56, 28, 14 and 7 px. With 1, the
            first is a grouped 3x3 convolution, which is depthwise for ``scale=1``.
            Defaults to (1, 4, 6, 2).
        in_channels (int): Channels of an image. Defaults to 3.
        init_cfg (dict | list[dict], optional): See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        scale: int = 1,
        blocks: Sequence[int] = (1, 4, 6, 2),
        in_channels: int = 3,
        init_cfg: Optional[Any] = None,
    ):
        choices(self, 'scale', scale, SCALES)
        if len(blocks) != 4 or not all(
            is_whole(number) and 1 <= number <= MAX_BLOCKS for number in blocks
        ):
            raise ValueError(
                'MobileFaceNet: blocks must be four numbers of blocks from 1 to '
                f'{MAX_BLOCKS}, got {clipped(str(blocks))}.'
            )
        super().__init__(INIT if init_cfg is None else init_cfg)
        narrow, wide = 64 * scale, 128 * scale

        def repeated(channels: int, number: int, hidden: int) -> nn.Sequential:
            return nn.Sequential(
                *(Bottleneck(channels, channels, hidden) for _ in range(number))
            )

        self.stem = ConvUnit(in_channels, narrow, 3, stride=2)
        self.first: nn.Module = (
            ConvUnit(narrow, narrow, 3, groups=64)
            if blocks[0] == 1
            else repeated(narrow, blocks[0], 128)
        )
        self.down1 = Bottleneck(narrow, narrow, 128, stride=2)
        self.stage1 = repeated(narrow, blocks[1], 128)
        self.down2 = Bottleneck(narrow, wide, 256, stride=2)
        self.stage2 = repeated(wide, blocks[2], 256)
        self.down3 = Bottleneck(wide, wide, 512, stride=2)
        self.stage3 = repeated(wide, blocks[3], 256)
        self.last = ConvUnit(wide, 512)

    def forward(self, x: Tensor) -> Tuple[Tensor]:
        """Map images (B, C, H, W) to maps (B, 512, H / 16, W / 16), in a tuple."""
        for part in (
            self.stem,
            self.first,
            self.down1,
            self.stage1,
            self.down2,
            self.stage2,
            self.down3,
            self.stage3,
            self.last,
        ):
            x = part(x)
        return (x,)
