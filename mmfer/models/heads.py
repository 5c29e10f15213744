"""What the heads of all methods share."""

from typing import Dict, List, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from .predictions import BatchPrediction
from .uncertainty_neck import GaussianFeature

UNCERTAINTIES = ('arithmetic', 'geometric', 'confidence')


def stack_labels(data_samples: List[DataSample]) -> Tensor:
    """Integer labels of a batch, shape (B, ).

    Raises:
        ValueError: The samples have soft labels, which these losses have no
            use for.
    """
    if 'gt_score' in data_samples[0]:
        raise ValueError(
            'this method needs one label for each image, but the samples '
            'have a gt_score: remove MixUp or CutMix from model.train_cfg, '
            'and soft_labels from the data set.'
        )
    return torch.cat([sample.gt_label for sample in data_samples])


def least_confidence(scores: Tensor) -> Tensor:
    """One minus the largest probability: plain (un)confidence, (B, )."""
    return 1 - scores.amax(dim=1)


class GaussianHead(BatchPrediction, ClsHead):
    """Base of heads over a :class:`GaussianFeature` (RUL, ALUM).

    Prediction classifies the mean; nothing is mixed. ``uncertainty`` is a
    mean of the variances over the dimensions.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D.
        uncertainty (str): Which mean, ``'arithmetic'`` or ``'geometric'``,
            see :meth:`GaussianFeature.uncertainty`; or ``'confidence'``: not
            what was learned, but one minus the largest probability.
            Defaults to ``'arithmetic'``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        uncertainty: str = 'arithmetic',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg=init_cfg)
        if uncertainty not in UNCERTAINTIES:
            raise ValueError(
                f'{type(self).__name__} has no uncertainty {uncertainty!r}, '
                f'only {", ".join(UNCERTAINTIES)}.'
            )
        self.uncertainty = uncertainty
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, num_classes)

    def pre_logits(self, feats: GaussianFeature) -> Tensor:
        """The mean, (B, D)."""
        return feats.mean

    def forward(self, feats: GaussianFeature) -> Tensor:
        """Logits of the mean, (B, C)."""
        return self.fc(self.pre_logits(feats))

    def predict_batch(self, feats: GaussianFeature) -> Dict[str, Tensor]:
        """``pred_score``, (B, C), and ``uncertainty``, (B, )."""
        scores = self(feats).float().softmax(dim=1)
        return dict(
            pred_score=scores,
            uncertainty=least_confidence(scores)
            if self.uncertainty == 'confidence'
            else feats.uncertainty(self.uncertainty),
        )


def label_cross_entropy(logits: Tensor, labels: Tuple[Tensor, ...]) -> Tensor:
    """Cross-entropy of one prediction against several labels at once.

    Args:
        logits (Tensor): Logits of a mixed feature, (B, C).
        labels (tuple[Tensor, ...]): Labels of what was mixed, each (B, ).

    Returns:
        Tensor: Sum over the labels, mean over the batch.
    """
    log_prob = F.log_softmax(logits, dim=1)
    return sum(F.nll_loss(log_prob, label) for label in labels)
