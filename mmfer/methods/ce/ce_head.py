"""Plain cross-entropy, the baseline of every table."""
from typing import List

from mmpretrain.models.heads import LinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.heads import least_confidence, set_uncertainty
from mmfer.registry import MODELS


@MODELS.register_module()
class CEHead(LinearClsHead):
    """``LinearClsHead`` whose predictions say how sure they are.

    ``uncertainty`` is one minus the largest probability.
    """

    def _get_predictions(self, cls_score: Tensor,
                         data_samples) -> List[DataSample]:
        data_samples = super()._get_predictions(cls_score, data_samples)
        return set_uncertainty(
            data_samples, least_confidence(cls_score.float().softmax(dim=1)))
