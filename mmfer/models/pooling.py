"""Global average pooling for every kind of backbone output."""
from typing import Sequence, Tuple, Union

from mmpretrain.models.necks import GlobalAveragePooling
from torch import Tensor

from mmfer.registry import MODELS

from .uncertainty_neck import as_map


@MODELS.register_module()
class FeaturePooling(GlobalAveragePooling):
    """``GlobalAveragePooling`` that also takes vectors and tokens.

    ConvNeXt and DeiT return vectors, some timm models tokens.
    """

    def forward(self,
                feats: Union[Tensor, Sequence[Tensor]]) -> Tuple[Tensor, ...]:
        """Pool each scale to (B, C)."""
        if isinstance(feats, Tensor):
            feats = (feats, )
        return super().forward(tuple(as_map(x) for x in feats))
