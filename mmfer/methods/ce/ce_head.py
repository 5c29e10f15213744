"""Plain cross-entropy, the baseline of every table."""

from typing import Dict

from mmpretrain.models.heads import LinearClsHead
from torch import Tensor

from mmfer.models.heads import least_confidence
from mmfer.models.predictions import BatchPrediction
from mmfer.registry import MODELS


@MODELS.register_module()
class CEHead(BatchPrediction, LinearClsHead):
    """``LinearClsHead`` whose predictions say how sure they are.

    ``uncertainty`` is one minus the largest probability.
    """

    def predict_batch(self, feats) -> Dict[str, Tensor]:
        """``pred_score``, (B, C), and ``uncertainty``, (B, )."""
        scores = self(feats).float().softmax(dim=1)
        return dict(pred_score=scores, uncertainty=least_confidence(scores))
