"""Head of plain cross-entropy."""

from typing import Any, Dict

from mmpretrain.models.heads import LinearClsHead
from torch import Tensor

from mmfer.models.heads import least_confidence
from mmfer.models.predictions import BatchPrediction
from mmfer.registry import MODELS


@MODELS.register_module()
class CEHead(BatchPrediction, LinearClsHead):
    """``LinearClsHead`` whose predictions have an uncertainty.

    ``uncertainty`` is one minus the largest probability.
    """

    def predict_batch(self, feats: Any) -> Dict[str, Tensor]:
        """Return ``pred_score``, (B, C), and ``uncertainty``, (B, ).

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
        """
        scores = self(feats).float().softmax(dim=1)
        return dict(pred_score=scores, uncertainty=least_confidence(scores))
