"""Head of SCN, the self-cure network (Wang, Peng, Yang, Lu and Qiao, CVPR'20).

An importance weight between 0 and 1 scales the logits of each image, so that an image
of small weight teaches little. A rank regularisation spreads the weights. From some
epoch on, labels that the network contradicts are replaced.
"""

from typing import Any, Dict, List, Mapping, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.gathering import gather_batch, own_images
from mmfer.models.heads import least_confidence, stack_labels
from mmfer.models.predictions import BatchPrediction
from mmfer.models.sample_state import (
    SampleTables,
    TrainingFacts,
    require_epochs,
    require_sample_ids,
)
from mmfer.models.utils import full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range, whole_number
from mmfer.utils.presets import with_preset

from .equations import corrected_labels, important_images, rank_regularization

# The text of the paper relabels images of the low group only; the published code
# relabels all.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(relabel_group='all'),
    official=dict(relabel_group='all'),
    paper=dict(relabel_group='low'),
)
UNCERTAINTIES = ('importance', 'confidence')
NOISE_SCORES = ('importance', 'probability')
# Row of a label that was never changed.
UNCHANGED = -1


@MODELS.register_module()
class SCNHead(SampleTables, BatchPrediction, ClsHead):
    """Self-attention importance weights, rank regularisation and relabelling.

    With a feature x, the importance weight is ``sigmoid(alpha(x))``, and the logits
    are the weight times ``fc(x)``. The loss is their cross-entropy plus the rank
    regularisation.

    Labels change after the step, by the logits of the same step, and stay changed in
    later epochs. The head keeps them by ``sample_id`` in the table ``label``, which
    is in checkpoints. The data set keeps the given labels.

    In several processes, the images of the global batch are ranked together, see
    :mod:`mmfer.models.gathering`.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        high_share (float): beta, the share of a batch that counts as important, in
            (0, 1). Defaults to 0.7.
        margin (float): delta_1, in [0, 1]. Defaults to 0.15.
        rank_weight (float): Weight of the rank regularisation, at least 0. Defaults
            to 1.
        relabel_epoch (int, optional): First epoch (0-based) in which labels change,
            at least 1. None: no label changes. Defaults to 9, the tenth epoch, as in
            the published code, which counts from 1.
        relabel_threshold (float): delta_2, in [0, 1]. Defaults to 0.2.
        preset (str): ``'default'``, ``'official'`` (the published code) or
            ``'paper'``. It sets ``relabel_group`` if this is not given. Defaults to
            ``'default'``.
        relabel_group (str, optional): Images whose label may change: ``'all'``, or
            ``'low'``, those that are not important. Defaults to that of the preset.
        uncertainty (str): Uncertainty of a prediction: ``'importance'``, one minus the
            importance weight, or ``'confidence'``, one minus the largest
            probability. Defaults to ``'importance'``.
        noise_score (str): Noise score of a label: ``'importance'``, one minus the
            importance weight, as the paper has it, or ``'probability'``, one minus
            the predicted probability of the label. The weight follows from the image
            alone, so it says little about the label; see the page of the method.
            Defaults to ``'importance'``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        high_share: float = 0.7,
        margin: float = 0.15,
        rank_weight: float = 1.0,
        relabel_epoch: Optional[int] = 9,
        relabel_threshold: float = 0.2,
        preset: str = 'default',
        relabel_group: Optional[str] = None,
        uncertainty: str = 'importance',
        noise_score: str = 'importance',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg=init_cfg)
        chosen = with_preset(
            type(self), PRESETS, preset, dict(relabel_group=relabel_group)
        )
        self.relabel_group = choices(
            self, 'relabel_group', chosen['relabel_group'], ('all', 'low')
        )
        self.high_share = in_range(
            self, 'high_share', high_share, 0, 1, open_low=True, open_high=True
        )
        self.margin = in_range(self, 'margin', margin, 0, 1)
        self.rank_weight = in_range(self, 'rank_weight', rank_weight, 0)
        self.relabel_epoch = whole_number(
            self,
            'relabel_epoch',
            relabel_epoch,
            1,
            optional=True,
            hint='An untrained model cannot correct labels.',
        )
        self.relabel_threshold = in_range(
            self, 'relabel_threshold', relabel_threshold, 0, 1
        )
        self.uncertainty = choices(self, 'uncertainty', uncertainty, UNCERTAINTIES)
        self.noise_score = choices(self, 'noise_score', noise_score, NOISE_SCORES)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, num_classes)
        self.alpha = nn.Linear(in_channels, 1)

    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """Raise if no label would change; see :class:`SampleTables`."""
        if self.relabel_epoch is None:
            return
        require_epochs(
            self,
            'relabel_epoch',
            self.relabel_epoch,
            max_epochs,
            'no label would change',
            'change no label',
        )

    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return ``label``, int64 (N, ); -1 stands for the given label."""
        if self.relabel_epoch is None:
            return {}
        return dict(label=torch.full((facts.num_samples,), UNCHANGED))

    def changed_labels(self) -> Optional[Tensor]:
        """See :class:`~mmfer.models.protocols.ChangesLabels`."""
        return None if self.relabel_epoch is None else self.table('label')

    def weigh(self, feature: Tensor) -> Tuple[Tensor, Tensor]:
        """Return importance weights, (B, ), and weighted logits, (B, C).

        Args:
            feature (Tensor): Pooled features, (B, D).
        """
        importance = self.alpha(feature).sigmoid()
        return importance.squeeze(1), importance * self.fc(feature)

    def forward(self, feats: Tuple[Tensor, ...]) -> Tensor:
        """Compute the weighted logits, (B, C)."""
        return self.weigh(self.pre_logits(feats))[1]

    def loss(
        self, feats: Tuple[Tensor, ...], data_samples: List[DataSample], **kwargs: Any
    ) -> Dict[str, Tensor]:
        """Return the losses of a batch, and relabel it.

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
            data_samples (list[DataSample]): Samples with ``gt_label``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss_cls`` and ``loss_rank``.
        """
        feature = self.pre_logits(feats)
        labels = stack_labels(data_samples)
        if self.relabel_epoch is not None:
            ids = require_sample_ids(self, data_samples)
            known = self.rows('label', ids, feature)
            labels = torch.where(known == UNCHANGED, labels, known)
        with full_precision(feature):
            importance, logits = self.weigh(feature.float())
            every = gather_batch(importance)
            high = important_images(every, self.high_share)
            losses = dict(
                loss_cls=F.cross_entropy(logits, labels),
                loss_rank=self.rank_weight
                * rank_regularization(every, high, self.margin),
            )
            if self.relabel_epoch is not None and self.epoch >= self.relabel_epoch:
                low = own_images(~high)
                if self.relabel_group == 'all':
                    low = torch.ones_like(low)
                new = corrected_labels(logits, labels, self.relabel_threshold, low)
                self.write('label', ids, torch.where(new == labels, known, new))
        return losses

    def predict_batch(self, feats: Tuple[Tensor, ...]) -> Dict[str, Tensor]:
        """Return ``pred_score``, (B, C), ``uncertainty`` and ``importance``, (B, )."""
        importance, logits = self.weigh(self.pre_logits(feats).float())
        scores = logits.softmax(dim=1)
        return dict(
            pred_score=scores,
            uncertainty=least_confidence(scores)
            if self.uncertainty == 'confidence'
            else 1 - importance,
            importance=importance,
        )

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return ``clean_probability``, the importance weight, and ``noise_score``."""
        importance = predictions['importance']
        own = predictions['pred_score'].gather(1, labels[:, None]).squeeze(1)
        clean = importance if self.noise_score == 'importance' else own
        return dict(clean_probability=importance, noise_score=1 - clean)
