"""Base classes and helpers of the heads of all methods."""

from typing import Any, Dict, Optional, Sequence

import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead, LinearClsHead
from torch import Tensor

from mmfer.datasets.batches import Samples, has_field, stack_field
from mmfer.utils.checks import choices

from .predictions import BatchPrediction
from .uncertainty_neck import GaussianFeature

UNCERTAINTIES = ('arithmetic', 'geometric', 'harmonic', 'confidence')


def stack_labels(data_samples: Samples) -> Tensor:
    """Return the integer labels of a batch, shape (B, ).

    Args:
        data_samples (SampleBatch | list[DataSample]): B samples with
            ``gt_label``.

    Raises:
        ValueError: The samples have soft labels, which mmfer's losses cannot
            use.
    """
    if has_field(data_samples, 'gt_score'):
        raise ValueError(
            'this method needs one label for each image, but the samples '
            'have a gt_score: remove MixUp or CutMix from model.train_cfg, '
            'ManifoldMixup from model.latent_compensation, and soft_labels from '
            'the data set.'
        )
    return stack_field(data_samples, 'gt_label')


def least_confidence(scores: Tensor) -> Tensor:
    """Return one minus the largest probability of each sample.

    Args:
        scores (Tensor): Probabilities, (B, C).

    Returns:
        Tensor: Shape (B, ); larger is less sure.
    """
    return 1 - scores.amax(dim=1)


class LinearHead(BatchPrediction, LinearClsHead):
    """Linear classifier of pooled features whose predictions have an uncertainty.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D.
        init_cfg (dict, optional): See mmengine's ``BaseModule``. Defaults to None:
            that of mmpretrain's ``LinearClsHead``.
        **kwargs (Any): See ``LinearClsHead``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        init_cfg: Optional[dict] = None,
        **kwargs: Any,
    ):
        if init_cfg is not None:
            kwargs['init_cfg'] = init_cfg
        super().__init__(num_classes, in_channels, **kwargs)

    def predict_batch(self, feats: Any) -> Dict[str, Tensor]:
        """Return ``pred_score``, (B, C), and ``uncertainty``, (B, ).

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
        """
        scores = self(feats).float().softmax(dim=1)
        return dict(pred_score=scores, uncertainty=least_confidence(scores))


class GaussianHead(BatchPrediction, ClsHead):
    """Base of heads after a :class:`GaussianFeature` (RUL, DUL, ALUM).

    For a prediction the head classifies the mean of the feature. Features are
    mixed or drawn only in the loss.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D.
        uncertainty (str): Uncertainty of a prediction. ``'arithmetic'``,
            ``'geometric'`` and ``'harmonic'`` are means of the learned variances
            over the dimensions, see :meth:`GaussianFeature.uncertainty`.
            ``'confidence'`` is one minus the largest probability. Defaults to
            ``'arithmetic'``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        uncertainty: str = 'arithmetic',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg=init_cfg)
        self.uncertainty = choices(self, 'uncertainty', uncertainty, UNCERTAINTIES)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, num_classes)

    def check_feature(self, feats: Any) -> GaussianFeature:
        """Return the feature if it has a mean and a log-variance.

        Raises:
            ValueError: The neck gives another kind of feature.
        """
        if isinstance(feats, GaussianFeature):
            return feats
        name = type(self).__name__
        raise ValueError(
            f'{name} needs a mean and a variance of each image, which the neck of this '
            "model does not give: set model.neck=dict(type='mmfer.UncertaintyNeck')."
        )

    def pre_logits(self, feats: GaussianFeature) -> Tensor:
        """Return the mean of the feature, (B, D)."""
        return self.check_feature(feats).mean

    def forward(self, feats: GaussianFeature) -> Tensor:
        """Compute the logits of the mean, (B, C)."""
        return self.fc(self.pre_logits(feats))

    def predict_batch(self, feats: GaussianFeature) -> Dict[str, Tensor]:
        """Return ``pred_score``, (B, C), and ``uncertainty``, (B, )."""
        scores = self(feats).float().softmax(dim=1)
        return dict(
            pred_score=scores,
            uncertainty=least_confidence(scores)
            if self.uncertainty == 'confidence'
            else feats.uncertainty(self.uncertainty),
        )


def label_cross_entropy(logits: Tensor, labels: Sequence[Tensor]) -> Tensor:
    """Compute the cross-entropy of one prediction against several labels.

    Args:
        logits (Tensor): Logits of a mixed feature, (B, C).
        labels (Sequence[Tensor]): Labels of the mixed images, each (B, ).

    Returns:
        Tensor: Sum over the labels, mean over the batch.
    """
    log_prob = F.log_softmax(logits, dim=1)
    losses = [F.nll_loss(log_prob, label) for label in labels]
    return sum(losses[1:], losses[0])
