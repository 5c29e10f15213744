"""Head of GCE, generalized cross-entropy, with truncation."""

from typing import Any, Dict, Mapping, Optional

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.heads import LinearHead, stack_labels
from mmfer.models.sample_state import (
    SampleTables,
    TrainingFacts,
    require_epochs,
    require_sample_ids,
)
from mmfer.models.utils import at_least_float32, full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range, positive_int, whole_number

from .losses import generalized_cross_entropy, kept, loss_at, truncated_loss


@MODELS.register_module()
class GCEHead(SampleTables, LinearHead):
    """Head of generalized cross-entropy (Zhang and Sabuncu, NeurIPS 2018).

    With ``truncate_from``, the network first trains that many epochs on all samples.
    From then on it leaves out samples whose given label has a probability of at most
    ``k``. The choice is made anew every ``refresh_interval`` epochs, for unaugmented
    images.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        q (float): Between cross-entropy (0, excluded) and mean absolute error (1).
            Defaults to 0.7.
        k (float): Threshold of the truncation, in (0, 1). Defaults to 0.5.
        truncate_from (int, optional): Number of epochs before the truncation starts.
            None: plain loss without truncation. Defaults to None.
        refresh_interval (int): Number of epochs between two choices. Defaults to 10.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        q: float = 0.7,
        k: float = 0.5,
        truncate_from: Optional[int] = None,
        refresh_interval: int = 10,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg)
        hint = 'Use CEHead for q = 0.' if q == 0 else ''
        self.q = in_range(self, 'q', q, 0, 1, open_low=True, hint=hint)
        self.k = in_range(self, 'k', k, 0, 1, open_low=True, open_high=True)
        self.truncate_from = whole_number(
            self, 'truncate_from', truncate_from, 0, optional=True
        )
        self.refresh_interval = positive_int(self, 'refresh_interval', refresh_interval)

    # -- truncation --------------------------------------------------------
    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """Raise if the run ends before the truncation starts.

        Raises:
            ValueError: It does, or it is counted in iterations.
        """
        if self.truncate_from is None:
            return
        require_epochs(
            self,
            'truncate_from',
            self.truncate_from,
            max_epochs,
            'no sample would ever be left out',
            'leave out none',
        )

    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return ``weight``, w of the truncated loss; without truncation no table."""
        if self.truncate_from is None:
            return {}
        return dict(weight=torch.ones(facts.num_samples))

    def refresh_due(self, epoch: int) -> bool:
        """Return whether samples are chosen anew before an epoch (0-based)."""
        if self.truncate_from is None or epoch < self.truncate_from:
            return False
        return (epoch - self.truncate_from) % self.refresh_interval == 0

    def refresh(self, ids: Tensor, scores: Tensor, labels: Tensor) -> None:
        """Choose the samples to train on, see :func:`kept`.

        If no label is more probable than ``k``, nothing could be learned from then on.
        So the weights stay as they are, and a warning says so.

        Args:
            ids (Tensor): Sample ids, int64 (n, ).
            scores (Tensor): Probabilities, float32 (n, C).
            labels (Tensor): Given labels, int64 (n, ).
        """
        weights = kept(scores.gather(1, labels[:, None])[:, 0], self.k)
        count = int(weights.sum())
        logger = MMLogger.get_current_instance()
        if not count:
            logger.warning(
                f'GCEHead: no given label is more probable than k={self.k}, so no '
                'sample would be left to train on. The choice of samples stays as it '
                f'is for {self.refresh_interval} epochs. Truncate later, or lower '
                'model.head.k.'
            )
            return
        table = self.table('weight')
        table[ids.to(table.device)] = weights.to(table)
        logger.info(f'GCEHead: trains on {count} of {len(ids)} samples.')

    # -- loss and scores ---------------------------------------------------
    def loss(self, feats: Any, data_samples: Samples, **kwargs: Any) -> dict:
        """Return L_q of a batch, truncated if ``truncate_from`` is set.

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``
                and, for the truncation, ``sample_id``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss``.
        """
        labels = stack_labels(data_samples)
        features = at_least_float32(self.pre_logits(feats))
        with full_precision(labels):
            log_prob = self.fc(features).log_softmax(dim=1)
            losses = generalized_cross_entropy(log_prob, labels, self.q)
            if self.truncate_from is None:
                return dict(loss=losses.mean())
            ids = require_sample_ids(self, data_samples)
            weights = self.rows('weight', ids, losses)
            return dict(loss=truncated_loss(losses, weights, loss_at(self.k, self.q)))

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return ``noise_score``, 1 - p_y, and the last ``weight`` if there is one.

        Args:
            predictions (Mapping[str, Tensor]): ``pred_score``, (N, C), and
                ``sample_id``, (N, ).
            labels (Tensor): Given labels, int64 (N, ).
        """
        own = predictions['pred_score'].gather(1, labels[:, None])[:, 0]
        if self.truncate_from is None:
            return dict(noise_score=1 - own)
        weight = self.table('weight').cpu()[predictions['sample_id']]
        return dict(weight=weight, noise_score=1 - own)
