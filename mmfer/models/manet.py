"""MA-Net: a ResNet with a multi-scale branch and a local attention branch."""

from typing import Any, Dict, List, Optional, Tuple, Type

import torch
import torch.nn as nn
from mmengine.model import kaiming_init
from mmpretrain.models.backbones import ResNet
from mmpretrain.models.backbones.resnet import BasicBlock, ResLayer
from mmpretrain.models.heads import LinearClsHead
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range

from .heads import least_confidence, stack_labels
from .predictions import BatchPrediction


class ConvAttention(nn.Module):
    """Convolutional block attention (CBAM, ECCV 2018).

    The channels are weighted first, by a perceptron on their means and maxima. Then
    the positions are weighted, by a 7x7 convolution on the mean and the maximum of
    all channels.

    Args:
        channels (int): Channels of the feature.
        reduction (int): Channels per hidden unit. Defaults to 16.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.position = nn.Sequential(
            nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weight a feature (B, C, H, W)."""
        weights = self.channel(x.mean((2, 3))) + self.channel(x.amax((2, 3)))
        x = x * weights.sigmoid()[:, :, None, None]
        seen = torch.stack([x.amax(1), x.mean(1)], dim=1)
        return x * self.position(seen).sigmoid()


class AttentionBlock(BasicBlock):
    """``BasicBlock`` of ResNet with attention before the sum."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.attention = ConvAttention(self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output of the block, (B, C, H, W)."""
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.attention(self.norm2(self.conv2(out)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class MultiScaleBlock(BasicBlock):
    """``BasicBlock`` of ResNet whose second convolution has several scales.

    The channels are divided into four groups. Each group has its own 3x3 convolution,
    and its output is added to the input of the next group. This is done twice, from
    the first group to the last one and back, and both results are added.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # The groups take the place of these two layers.
        del self.conv2
        delattr(self, self.norm2_name)
        width = self.out_channels // 4
        self.forth, self.back = (
            nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(width, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                )
                for _ in range(4)
            )
            for _ in range(2)
        )

    def _chain(self, layers: nn.ModuleList, groups: List[Tensor]) -> List[Tensor]:
        """Convolve the groups one after the other."""
        outs: List[Tensor] = []
        for layer, group in zip(layers, groups):
            outs.append(layer(group + outs[-1].relu() if outs else group))
        return outs

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output of the block, (B, C, H, W)."""
        groups = list(self.relu(self.norm1(self.conv1(x))).chunk(4, dim=1))
        forth = self._chain(self.forth, groups)
        back = self._chain(self.back, groups[::-1])[::-1]
        out = torch.cat(forth, dim=1) + torch.cat(back, dim=1)
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


@MODELS.register_module()
class MANet(ResNet):
    """Backbone with multi-scale and local attention features (TIP 2021).

    Stem and two stages are those of ResNet-18. Two branches follow:

    - *local*: each quarter of the map has two stages of its own, with attention.
      Their four outputs are put together and averaged.
    - *global*: two stages of multi-scale blocks on the whole map, averaged.

    Weights of a ResNet-18 fit the stem and the first two stages. The branches then
    have random weights, which needs ``model.partial_weights=True``.

    Args:
        in_channels (int): Channels of an image. Defaults to 3.
        base_channels (int): Channels of the first stage. Defaults to 64.
        **kwargs: Further options of mmpretrain's ``ResNet``.
    """

    def __init__(self, in_channels: int = 3, base_channels: int = 64, **kwargs: Any):
        kwargs.setdefault('zero_init_residual', False)
        super().__init__(
            18,
            in_channels=in_channels,
            stem_channels=base_channels,
            base_channels=base_channels,
            num_stages=2,
            strides=(1, 2),
            dilations=(1, 1),
            out_indices=(1,),
            **kwargs,
        )
        self.local = nn.ModuleList(
            self._two_stages(AttentionBlock, base_channels, last_stride=1)
            for _ in range(4)
        )
        self.multiscale = self._two_stages(
            MultiScaleBlock, base_channels, last_stride=2
        )
        for branch in (*self.local, self.multiscale):
            for layer in branch.modules():
                if isinstance(layer, nn.Conv2d):
                    kaiming_init(layer)

    @staticmethod
    def _two_stages(
        block: Type[nn.Module], base_channels: int, last_stride: int
    ) -> nn.Sequential:
        """Build the two stages of a branch."""
        return nn.Sequential(
            ResLayer(block, 2, 2 * base_channels, 4 * base_channels, 1, stride=2),
            ResLayer(
                block, 2, 4 * base_channels, 8 * base_channels, 1, stride=last_stride
            ),
        )

    def forward(self, images: Tensor) -> Tuple[Tensor]:
        """Return local and global features, (B, 16 * base_channels), in a tuple."""
        (x,) = super().forward(images)
        height, width = x.shape[2] // 2, x.shape[3] // 2
        top, bottom = x[:, :, :height], x[:, :, height:]
        parts = [
            part
            for half in (top, bottom)
            for part in (half[..., :width], half[..., width:])
        ]
        outs = [stages(part) for stages, part in zip(self.local, parts)]
        rows = [torch.cat(outs[:2], dim=3), torch.cat(outs[2:], dim=3)]
        near = torch.cat(rows, dim=2).mean(dim=(2, 3))
        far = self.multiscale(x).mean(dim=(2, 3))
        return (torch.cat([near, far], dim=1),)


@MODELS.register_module()
class MANetHead(BatchPrediction, LinearClsHead):
    """Two linear classifiers, one for each half of the feature (TIP 2021).

    Loss and logits are weighted sums: ``w`` times those of the local half, plus
    ``1 - w`` times those of the global half.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Channels of both halves together.
        weight (float): w in [0, 1]. Defaults to 0.6, as in the published code.
        **kwargs: Further options of mmpretrain's ``LinearClsHead``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        weight: float = 0.6,
        init_cfg: Optional[dict] = None,
        **kwargs: Any,
    ):
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        self.weight = in_range(self, 'weight', weight, 0, 1)
        # Both classifiers in one layer: each group sees its half only.
        self.fc = nn.Conv1d(in_channels, 2 * num_classes, 1, groups=2)

    def both_logits(self, feats: Tuple[Tensor, ...]) -> Tensor:
        """Compute the logits of the local and the global half, (B, 2, C)."""
        return self.fc(feats[-1][:, :, None]).view(-1, 2, self.num_classes)

    def forward(self, feats: Tuple[Tensor, ...]) -> Tensor:
        """Compute the weighted logits, (B, C)."""
        local, whole = self.both_logits(feats).unbind(dim=1)
        return self.weight * local + (1 - self.weight) * whole

    def loss(
        self, feats: Tuple[Tensor, ...], data_samples: Samples, **kwargs: Any
    ) -> Dict[str, Tensor]:
        """Compute the weighted sum of both losses.

        Args:
            feats (tuple[Tensor]): Features; the last one is (B, ``in_channels``).
            data_samples (SampleBatch | list[DataSample]): Samples with labels.
            **kwargs: Further arguments of the loss.
        """
        labels = stack_labels(data_samples)
        local, whole = (
            self.loss_module(logits, labels, avg_factor=len(labels), **kwargs)
            for logits in self.both_logits(feats).unbind(dim=1)
        )
        return dict(loss=self.weight * local + (1 - self.weight) * whole)

    def predict_batch(self, feats: Tuple[Tensor, ...]) -> Dict[str, Tensor]:
        """Return ``pred_score``, (B, C), and ``uncertainty``, (B, )."""
        scores = self(feats).float().softmax(dim=1)
        return dict(pred_score=scores, uncertainty=least_confidence(scores))
