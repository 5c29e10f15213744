"""Head of DMUE (She et al., CVPR'21): one BNNeck, and a classifier for each branch."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.dropout import dropout
from mmfer.models.gathering import gather_batch
from mmfer.models.heads import least_confidence, stack_labels
from mmfer.models.predictions import BatchPrediction
from mmfer.models.sample_state import SampleTables, TrainingFacts, require_epochs
from mmfer.models.utils import at_least_float32, full_precision, last_feature
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range, invalid, positive_int, whole_number
from mmfer.utils.presets import with_preset

from .certainty import Certainty, class_similarities, min_max
from .grouped_norm import GroupedBatchNorm, Groups
from .losses import (
    FEWEST,
    auxiliary_loss,
    own_class,
    ramp_down,
    ramp_up,
    similarity_loss,
    soft_label_loss,
    soft_labels,
)

LONE_CLASSES = ('mask', 'skip')
NOISE_SCORES = ('certainty', 'similarity')
# The published code never gives BNNeck and the certainty network to its optimizer, and
# skips batches in which a class has fewer than two samples. The paper has neither.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(on_lone_class='mask', train_certainty=True),
    official=dict(on_lone_class='skip', train_certainty=False),
)


@MODELS.register_module()
class DMUEHead(SampleTables, BatchPrediction, ClsHead):
    """Head of :class:`DMUEClassifier`, after a pooling neck.

    With w, gamma and the ramps up and down over A epochs, the loss is::

        L = up (CE(s z, y) + w L_soft + gamma L_sp) + down L_aux

    Args:
        num_classes (int): Number of classes C, at least 3.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        ramp_epochs (int): A. Until epoch A the auxiliary branches count fully, and
            the target branch less; then the other way round. Defaults to 6.
        soft_weight (float): w. Defaults to 0.5.
        similarity_weight (float): gamma. Defaults to 1000.
        temperature (float): T of the soft labels. Defaults to 1.2.
        dropout (float): Share of the pooled features that are dropped before BNNeck.
            Soft labels are predicted without it. Defaults to 0.5.
        preset (str): ``'default'`` or ``'official'``, the published code. It sets
            the following options where they are not given. Defaults to ``'default'``.
        on_lone_class (str, optional): What to do if a class has fewer than two samples
            in a batch. ``'mask'``: it takes no part in the terms that need two.
            ``'skip'``: the loss of this batch is 0. Defaults to that of the preset.
        train_certainty (bool, optional): Train the certainty network and the scale of
            BNNeck. Without it they keep their start, random and 1. Defaults to that of
            the preset.
        noise_score (str, optional): One minus which column of the score table ranks
            the labels: ``'certainty'``, s, or ``'similarity'``, that of the sample to
            the class of its label. Defaults to ``'certainty'`` if it is trained.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        ramp_epochs: int = 6,
        soft_weight: float = 0.5,
        similarity_weight: float = 1000.0,
        temperature: float = 1.2,
        dropout: float = 0.5,
        preset: str = 'default',
        on_lone_class: Optional[str] = None,
        train_certainty: Optional[bool] = None,
        noise_score: Optional[str] = None,
        init_cfg: Optional[dict] = None,
    ):
        given = dict(on_lone_class=on_lone_class, train_certainty=train_certainty)
        chosen = with_preset(type(self), PRESETS, preset, given)
        super().__init__(init_cfg=init_cfg)
        self.num_classes = whole_number(
            self,
            'num_classes',
            num_classes,
            3,
            hint='A branch has all classes but one.',
        )
        self.in_channels = in_channels
        self.ramp_epochs = positive_int(self, 'ramp_epochs', ramp_epochs)
        self.soft_weight = in_range(self, 'soft_weight', soft_weight, 0)
        self.similarity_weight = in_range(
            self, 'similarity_weight', similarity_weight, 0
        )
        self.temperature = in_range(self, 'temperature', temperature, 0, open_low=True)
        self.dropout = in_range(self, 'dropout', dropout, 0, 1, open_high=True)
        self.on_lone_class = choices(
            self, 'on_lone_class', chosen['on_lone_class'], LONE_CLASSES
        )
        self.train_certainty: bool = choices(
            self, 'train_certainty', chosen['train_certainty'], (True, False)
        )
        choices(self, 'noise_score', noise_score, NOISE_SCORES, optional=True)
        if noise_score == 'certainty' and not self.train_certainty:
            raise invalid(
                self,
                'noise_score',
                noise_score,
                "'similarity' without train_certainty",
                'A network that is not trained has no certainty.',
            )
        self.noise_score = noise_score or NOISE_SCORES[not self.train_certainty]
        self.bnneck = GroupedBatchNorm(in_channels, shift=False)
        self.fc = nn.Linear(in_channels, num_classes, bias=False)
        self.fc_auxiliary = nn.ModuleList(
            nn.Linear(in_channels, num_classes - 1, bias=False)
            for _ in range(num_classes)
        )
        self.certainty = Certainty(num_classes)
        if not self.train_certainty:
            for part in (self.bnneck, self.certainty):
                part.requires_grad_(False)

    # -- training ----------------------------------------------------------
    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return no tables: only the epoch is needed."""
        return {}

    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """Raise if the target branch would never count fully.

        Raises:
            ValueError: The run has too few epochs, or it is counted in iterations.
        """
        require_epochs(
            self,
            'ramp_epochs',
            self.ramp_epochs,
            max_epochs,
            'the branch that predicts would never be trained with its full weight',
        )

    def pre_logits(self, feats: Any) -> Tensor:
        """Return the pooled feature of the target branch, (B, D)."""
        return at_least_float32(last_feature(feats))

    def forward(self, feats: Any) -> Tensor:
        """Compute the logits of the target branch, (B, C)."""
        with full_precision(last_feature(feats)):
            return self.fc(self.bnneck(self.pre_logits(feats)))

    def branch_outputs(self, pooled: Tensor, auxiliary: Tensor, own: Tensor) -> tuple:
        """Normalise and classify the features of all branches.

        Args:
            pooled (Tensor): Features of the target branch, (B, D).
            auxiliary (Tensor): Features of the auxiliary branches, (C, B, D).
            own (Tensor): See :func:`own_class`, bool (C, B).

        Returns:
            tuple[Tensor, Tensor, Tensor]: What the target branch classifies, (B, D),
            its logits, (B, C), and those of the others, (C, B, C - 1).
        """
        count = self.num_classes
        rows = torch.cat([auxiliary, pooled[None]])
        # Soft labels are predicted without dropout.
        keeps = torch.cat([own, torch.zeros_like(own[:1])])[..., None]
        rows = torch.where(keeps, rows, dropout(rows, self.dropout, self.training))
        # In this order the published code lets its running statistics advance.
        branch = torch.arange(count + 1, device=own.device)[:, None]
        ids = branch + (count + 1) * keeps.squeeze(-1).long()
        groups = Groups(ids.flatten(), 2 * count + 1)
        normed = self.bnneck(rows.flatten(0, 1), groups).view_as(rows)
        layers = cast(Sequence[nn.Linear], self.fc_auxiliary)
        weights = torch.stack([fc.weight for fc in layers])
        return normed[-1], self.fc(normed[-1]), normed[:-1] @ weights.mT

    def loss(
        self,
        feats: Any,
        data_samples: List[DataSample],
        auxiliary: Optional[Tensor] = None,
        **kwargs: Any,
    ) -> Dict[str, Tensor]:
        """Compute the losses of all branches.

        Args:
            feats (Any): Pooled features of the target branch; the last one counts,
                (B, D).
            data_samples (list[DataSample]): Samples with ``gt_label``.
            auxiliary (Tensor): Pooled features of the auxiliary branches, (C, B, D).
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_soft``, ``loss_similarity`` and
            ``loss_auxiliary``, with their weights.

        Raises:
            ValueError: The model has no auxiliary branches.
        """
        if auxiliary is None:
            raise ValueError(
                'DMUEHead needs the branches of a DMUEClassifier. Set '
                "model.type='DMUEClassifier'."
            )
        labels = stack_labels(data_samples)
        with full_precision(labels):
            pooled = self.pre_logits(feats)
            features, logits, others = self.branch_outputs(
                pooled, at_least_float32(auxiliary), own_class(labels, self.num_classes)
            )
            return self.global_loss(
                gather_batch(pooled),
                gather_batch(features),
                gather_batch(logits),
                gather_batch(others.transpose(0, 1)).transpose(0, 1),
                gather_batch(labels),
            )

    def global_loss(
        self,
        pooled: Tensor,
        features: Tensor,
        logits: Tensor,
        others: Tensor,
        labels: Tensor,
    ) -> Dict[str, Tensor]:
        """Compute the losses of the global batch of B samples.

        Args:
            pooled (Tensor): Pooled features of the target branch, (B, D).
            features (Tensor): The same after dropout and BNNeck, (B, D).
            logits (Tensor): Logits of the target branch, (B, C).
            others (Tensor): Logits of the auxiliary branches, (C, B, C - 1).
            labels (Tensor): Given labels, int64 (B, ).
        """
        up, down = (ramp(self.epoch, self.ramp_epochs) for ramp in (ramp_up, ramp_down))
        scale = self.certainty(pooled, labels)[:, None]
        targets = soft_labels(others.detach(), labels, self.temperature)
        losses = dict(
            loss_cls=up * F.cross_entropy(scale * logits, labels),
            loss_soft=up * self.soft_weight * soft_label_loss(logits, labels, targets),
            loss_similarity=up
            * self.similarity_weight
            * similarity_loss(features, others, labels),
            loss_auxiliary=down * auxiliary_loss(others, labels),
        )
        if self.on_lone_class == 'skip':
            sizes = own_class(labels, self.num_classes).sum(1)
            used = (sizes >= FEWEST).all()
            losses = {name: value * used for name, value in losses.items()}
        return losses

    # -- prediction --------------------------------------------------------
    def predict_batch(self, feats: Any) -> Dict[str, Tensor]:
        """Return the predictions of the target branch.

        Args:
            feats (Any): Pooled features; the last one counts, (B, D).

        Returns:
            dict[str, Tensor]: ``pred_score`` (B, C); ``uncertainty`` (B, ), one minus
            the largest probability; and ``unit_feature`` (B, D), of length 1, from
            which :meth:`score_labels` computes similarities.
        """
        scores = self(feats).float().softmax(dim=1)
        return dict(
            pred_score=scores,
            uncertainty=least_confidence(scores),
            unit_feature=F.normalize(self.pre_logits(feats), dim=1),
        )

    @torch.no_grad()
    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return the certainty of each label, compared with the whole training set.

        Args:
            predictions (Mapping[str, Tensor]): With ``unit_feature`` (N, D).
            labels (Tensor): Given labels, int64 (N, ).

        Returns:
            dict[str, Tensor]: ``similarity`` to the class of the label, scaled to
            [0, 1]; ``clean_probability``, the certainty s; and ``noise_score``, one
            minus one of them, each (N, ).
        """
        features = predictions['unit_feature']
        found = min_max(*class_similarities(features, labels, self.num_classes))
        similarity = found[torch.arange(len(labels)), labels]
        certainty = self.certainty(features, labels).cpu()
        chosen = certainty if self.noise_score == 'certainty' else similarity
        return dict(
            similarity=similarity, clean_probability=certainty, noise_score=1 - chosen
        )

    def _not_started(self) -> RuntimeError:
        return RuntimeError(
            'DMUEHead weights its losses by the epoch, and nobody told it the epoch: '
            "add sample_state=dict(type='SampleStateHook') to default_hooks."
        )
