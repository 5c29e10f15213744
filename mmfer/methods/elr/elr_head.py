"""Head of ELR, early-learning regularisation (Liu et al., NeurIPS 2020)."""

from typing import Any, Dict, Mapping, Optional

import torch
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.heads import LinearHead, stack_labels
from mmfer.models.predictions import suggest_by_margin
from mmfer.models.sample_state import SampleTables, TrainingFacts, require_sample_ids
from mmfer.models.utils import at_least_float32, full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range

from .losses import average_targets, clipped_softmax, elr_loss, label_evidence


@MODELS.register_module()
class ELRHead(SampleTables, LinearHead):
    """Linear classifier with early-learning regularisation.

    A running average of the predictions of each sample is its target. A term of the
    loss keeps the prediction near to this target, so that wrong labels are not
    memorised after the first epochs::

        L = CE(z, y) + weight * mean of log(1 - <t, p>)

    The term is negative, so the loss of a run may be, too.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        beta (float): Share of the old target, in [0, 1). Defaults to 0.7 (CIFAR-10
            with symmetric noise; 0.9 for asymmetric noise and for CIFAR-100).
        weight (float): lambda, at least 0. Defaults to 3 (CIFAR-10 with symmetric
            noise; 1 for asymmetric noise, 7 for CIFAR-100).
        init_cfg (dict, optional): See mmengine. Defaults to that of
            ``LinearClsHead``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        beta: float = 0.7,
        weight: float = 3.0,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg)
        self.beta = in_range(self, 'beta', beta, 0, 1, open_high=True)
        self.weight = in_range(self, 'weight', weight, 0)

    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return ``targets``, zeros of shape (N, C)."""
        return dict(targets=torch.zeros(facts.num_samples, self.num_classes))

    def loss(self, feats: Any, data_samples: Samples, **kwargs: Any) -> dict:
        """Move the targets of this batch, and return the loss with them.

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``
                and ``sample_id``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss``.
        """
        labels = stack_labels(data_samples)
        ids = require_sample_ids(self, data_samples)
        feature = at_least_float32(self.pre_logits(feats))
        with full_precision(feature):
            logits = self((feature,))
            targets = average_targets(
                self.rows('targets', ids, logits), clipped_softmax(logits), self.beta
            )
            self.write('targets', ids, targets)
            return dict(loss=elr_loss(logits, labels, targets, self.weight))

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return ``noise_score``, 1 - t of the given label, and ``suggested_label``.

        A sample that was never trained on is scored by its prediction.

        Args:
            predictions (Mapping[str, Tensor]): With ``pred_score`` (N, C) and
                ``sample_id`` (N, ).
            labels (Tensor): Given labels, int64 (N, ).
        """
        scores = predictions['pred_score']
        targets = self.table('targets').to(scores)[predictions['sample_id']]
        evidence = label_evidence(targets, scores)
        return dict(
            noise_score=1 - evidence.gather(1, labels[:, None])[:, 0],
            suggested_label=suggest_by_margin(evidence, labels),
        )
