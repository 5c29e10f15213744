"""ReSup: two networks that weight each other's samples."""

from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

from mmfer.models.dual_network import DualNetwork
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range
from mmfer.utils.presets import with_preset

from .losses import CONSISTENCIES, EXCHANGES, exchange_weights, weighted_cross_entropy

# The paper and its published code differ. The paper has no table of posteriors,
# does not clip the posterior or make it monotone, and sums over a batch. The
# code makes only one end monotone, and fits to scores of a second pass with
# augmentation. It also keeps the last incomplete batch, as the configs do
# (train_dataloader.drop_last).
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(score_source='epoch', reduction='mean', noise_model=dict()),
    official=dict(
        score_source='augmented_pass',
        reduction='mean',
        noise_model=dict(
            monotone='published', min_separation=None, mixture=dict(fix_order=False)
        ),
    ),
    paper=dict(
        score_source='pass',
        reduction='sum',
        noise_model=dict(
            table_size=None, monotone='none', edge=0.0, margin=0.0, min_separation=None
        ),
    ),
)


@MODELS.register_module()
class ReSup(DualNetwork):
    """Reliable label noise suppression (arXiv 2305.17895).

    A beta mixture models how well the predictions of each network agree with
    the given labels. Its posterior, the clean probability, weights the loss of
    the *other* network. A consistency term pulls both networks together::

        L = w_2 CE_1 + w_1 CE_2 + lambda (1/C) |p_1 - p_2|^2

    Args:
        consistency_weight (float): lambda of Eq. 6. Defaults to 5.
        consistency (str): Term that makes both networks predict alike:
            ``'squared'`` (Eq. 8), or ``'symmetric_kl'`` (the JoCoR-like rows of
            Sec. 4.5, with 0.1 lambda in place of lambda). Defaults to
            ``'squared'``.
        exchange (str): See
            :func:`~mmfer.methods.resup.losses.exchange_weights`. Defaults to
            ``'swap'``.
        preset (str): ``'default'``, ``'official'`` (the published code) or
            ``'paper'``. It sets ``score_source``, ``reduction`` and
            ``noise_model`` where these are not given, see ``PRESETS``.
            Defaults to ``'default'``.
        reduction (str, optional): ``'mean'`` or ``'sum'`` over the global
            batch. Defaults to that of the preset.
        noise_model (dict, optional): Options of
            :class:`~mmfer.models.LabelNoiseModel`. They are merged into those
            of the preset.
        score_source (str, optional): See :class:`~mmfer.models.DualNetwork`.
            Defaults to that of the preset.
        **kwargs: Further options of :class:`~mmfer.models.DualNetwork`:
            ``network1``, ``network2``, ``predict_with``, ``warmup_epochs``, ...
    """

    def __init__(
        self,
        consistency_weight: float = 5.0,
        consistency: str = 'squared',
        exchange: str = 'swap',
        preset: str = 'default',
        reduction: Optional[str] = None,
        noise_model: Optional[dict] = None,
        score_source: Optional[str] = None,
        **kwargs: Any,
    ):
        choices(self, 'exchange', exchange, EXCHANGES)
        choices(self, 'consistency', consistency, CONSISTENCIES)
        in_range(self, 'consistency_weight', consistency_weight, 0)
        given = dict(
            reduction=reduction, noise_model=noise_model, score_source=score_source
        )
        chosen = with_preset(type(self), PRESETS, preset, given)
        reduction = chosen.pop('reduction')
        choices(self, 'reduction', reduction, ('mean', 'sum'))
        super().__init__(**chosen, **kwargs)
        self.consistency_weight = consistency_weight
        self.consistency = consistency
        self.exchange = exchange
        self.reduction = reduction

    def joint_loss(
        self, log_prob: List[Tensor], labels: Tensor, agreements: Tensor
    ) -> Dict[str, Tensor]:
        """Return the terms of Eq. 6; in warm-up epochs plain cross-entropy.

        Args:
            log_prob (list[Tensor]): Log-probabilities of both networks, each
                (B, C).
            labels (Tensor): Given labels, int64 (B, ).
            agreements (Tensor): Agreement of each network's predictions with
                the labels, (2, B).
        """
        if self.warming_up:
            weights = torch.ones_like(agreements)
        else:
            weights = exchange_weights(
                self.clean_probability(agreements), self.exchange
            )
        reduce = torch.mean if self.reduction == 'mean' else torch.sum
        losses = {
            f'loss_network{k + 1}': reduce(
                weighted_cross_entropy(log_prob[k], labels, weights[k])
            )
            for k in range(2)
        }
        if not self.warming_up and self.consistency_weight:
            difference = CONSISTENCIES[self.consistency](*log_prob)
            losses['loss_consistency'] = self.consistency_weight * reduce(difference)
        return losses
