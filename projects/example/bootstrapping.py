"""Soft bootstrapping (Reed et al., ICLR 2015 workshop): a method of one head."""

from typing import Dict, List

import torch.nn.functional as F
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.heads import least_confidence, stack_labels
from mmfer.models.predictions import BatchPrediction
from mmfer.registry import MODELS


def bootstrapping_loss(logits: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Cross-entropy against a mixture of given label and prediction.

    Args:
        logits (Tensor): Predictions, shape (B, C).
        labels (Tensor): Given labels, integers, shape (B,).
        beta (float): Weight of the given label, in [0, 1].

    Returns:
        Tensor: Mean over the batch.
    """
    log_prob = F.log_softmax(logits, dim=1)
    entropy = -(log_prob.exp() * log_prob).sum(dim=1)
    return (beta * F.nll_loss(log_prob, labels) + (1 - beta) * entropy).mean()


@MODELS.register_module()
class BootstrappingHead(BatchPrediction, LinearClsHead):
    """Linear classifier that is trained with :func:`bootstrapping_loss`.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Dimension of a feature.
        beta (float): Weight of the given label. Defaults to 0.95.
        **kwargs: See mmpretrain's ``LinearClsHead``.
    """

    def __init__(self, num_classes: int, in_channels: int, beta=0.95, **kwargs):
        super().__init__(num_classes, in_channels, **kwargs)
        self.beta = beta

    def loss(self, feats, data_samples: List[DataSample], **kwargs) -> dict:
        """Return the loss of a batch."""
        labels = stack_labels(data_samples)
        return dict(loss=bootstrapping_loss(self(feats), labels, self.beta))

    def predict_batch(self, feats) -> Dict[str, Tensor]:
        """Return ``pred_score``, shape (B, C), and ``uncertainty``, (B,)."""
        scores = self(feats).float().softmax(dim=1)
        return dict(pred_score=scores, uncertainty=least_confidence(scores))
