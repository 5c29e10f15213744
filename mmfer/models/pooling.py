"""Global average pooling of backbone outputs in any layout."""

from typing import Optional, Sequence, Tuple, Union

from mmpretrain.models.necks import GlobalAveragePooling
from torch import Tensor

from mmfer.models.utils import as_map
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
