"""Head of plain cross-entropy."""

from typing import Any, Dict

from torch import Tensor

from mmfer.datasets.batches import Samples, has_field, stack_field
from mmfer.models.heads import LinearHead
from mmfer.registry import MODELS


@MODELS.register_module()
class CEHead(LinearHead):
    """``LinearClsHead`` whose predictions have an uncertainty.

    ``uncertainty`` is one minus the largest probability.
    """

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
