"""Necks for backbone outputs in any layout: pooled, or as a map."""

from typing import Optional, Sequence, Tuple, Union

from mmengine.model import BaseModule
from mmpretrain.models.necks import GlobalAveragePooling
from torch import Tensor

from mmfer.models.utils import as_map, last_feature
from mmfer.registry import MODELS


@MODELS.register_module()
class FeaturePooling(GlobalAveragePooling):
    """``GlobalAveragePooling`` that also takes vectors and tokens.

    ConvNeXt and DeiT return vectors, and some models of timm return tokens.

    Args:
        in_channels (int, optional): Channels of the deepest feature. Its
            layout is recognised by them, see
            :func:`~mmfer.models.utils.as_map`. :class:`FERClassifier` fills
            them in. Defaults to None.
    """

    def __init__(self, in_channels: Optional[int] = None):
        super().__init__()
        self.in_channels = in_channels

    def forward(self, feats: Union[Tensor, Sequence[Tensor]]) -> Tuple[Tensor, ...]:
        """Pool the feature of each scale to (B, C).

        Args:
            feats (Tensor | Sequence[Tensor]): Features of one or several scales.
        """
        if isinstance(feats, Tensor):
            feats = (feats,)
        *others, last = feats
        return super().forward((*map(as_map, others), as_map(last, self.in_channels)))


@MODELS.register_module()
class LastMap(BaseModule):
    """Keep the deepest feature as a map (B, C, H, W), without pooling.

    It is for heads that need positions. Vectors become 1x1 maps, and tokens become
    maps of width 1, see :func:`~mmfer.models.utils.as_map`.

    Args:
        in_channels (int, optional): See :class:`FeaturePooling`. Defaults to None.
    """

    def __init__(self, in_channels: Optional[int] = None):
        super().__init__()
        self.in_channels = in_channels

    def forward(self, feats: Union[Tensor, Sequence[Tensor]]) -> Tuple[Tensor]:
        """Return the map, in a tuple.

        Args:
            feats (Tensor | Sequence[Tensor]): Features of one or several scales.
        """
        return (as_map(last_feature(feats), self.in_channels),)
