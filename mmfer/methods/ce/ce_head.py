"""Head of plain cross-entropy."""

from typing import Any, Dict

from mmpretrain.models.heads import LinearClsHead
from torch import Tensor

from mmfer.datasets.batches import Samples, has_field, stack_field
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

    def _get_loss(
        self, cls_score: Tensor, data_samples: Samples, **kwargs: Any
    ) -> Dict[str, Tensor]:
        """Return the losses; labels are read as one tensor.

        mmpretrain's method reads them sample by sample.
        """
        if self.cal_acc:
            return super()._get_loss(cls_score, data_samples, **kwargs)
        soft = has_field(data_samples, 'gt_score')
        target = stack_field(data_samples, 'gt_score' if soft else 'gt_label')
        loss = self.loss_module(
            cls_score, target, avg_factor=cls_score.size(0), **kwargs
        )
        return dict(loss=loss)
