"""ReSup: two networks that weigh each other's samples."""

from typing import Dict, List, Optional

import torch
from torch import Tensor

from mmfer.models.dual_network import DualNetwork
from mmfer.registry import MODELS
from mmfer.utils.config import merge_options

from .losses import consistency, exchange_weights, weighted_cross_entropy

EXCHANGES = ('swap', 'own', 'mean')
# Where the paper, the published code and good sense differ. The paper has no
# table, no clipping and no repair of the posterior, and sums over a batch;
# the code repairs the right end only and fits to a second, augmented pass.
PRESETS = dict(
    default=dict(score_source='epoch', reduction='mean', noise_model=dict()),
    official=dict(
        score_source='augmented_pass',
        reduction='mean',
        noise_model=dict(
            monotone='right', min_separation=None, mixture=dict(fix_order=False)
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

    Agreements of each network's prediction with the labels are modelled by a
    beta mixture; its posterior, the clean probability, weighs the loss of
    the *other* network, and a consistency term pulls both together::

        L = w_2 CE_1 + w_1 CE_2 + lambda (1/C) |p_1 - p_2|^2

    Args:
        consistency_weight (float): lambda of Eq. 6. Defaults to 5.
        exchange (str): See :func:`exchange_weights`. Defaults to ``'swap'``.
        preset (str): ``'default'``; ``'official'``, the published code; or
            ``'paper'``, its text. It sets what is not given of
            ``score_source``, ``reduction`` and ``noise_model``, see
            ``PRESETS``. Defaults to ``'default'``.
        reduction (str, optional): ``'mean'`` or ``'sum'`` over the batch;
            over that of one process, where there are several, whose
            gradients are averaged.
        noise_model (dict, optional): Options of :class:`LabelNoiseModel`,
            on top of the preset's.
        score_source (str, optional): See :class:`DualNetwork`.
        **kwargs: Further options of :class:`DualNetwork`: ``network1``,
            ``network2``, ``predict_with``, ``warmup_epochs``, ...
    """

    def __init__(
        self,
        consistency_weight: float = 5.0,
        exchange: str = 'swap',
        preset: str = 'default',
        reduction: Optional[str] = None,
        noise_model: Optional[dict] = None,
        score_source: Optional[str] = None,
        **kwargs,
    ):
        if exchange not in EXCHANGES:
            raise ValueError(
                f'ReSup has no exchange {exchange!r}, only {", ".join(EXCHANGES)}.'
            )
        if preset not in PRESETS:
            raise ValueError(
                f'ReSup has no preset {preset!r}, only {", ".join(PRESETS)}.'
            )
        if consistency_weight < 0:
            raise ValueError(
                f'consistency_weight must not be negative, got {consistency_weight}'
            )
        chosen = PRESETS[preset]
        reduction = reduction or chosen['reduction']
        if reduction not in ('mean', 'sum'):
            raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
        super().__init__(
            noise_model=merge_options(chosen['noise_model'], noise_model),
            score_source=score_source or chosen['score_source'],
            **kwargs,
        )
        self.consistency_weight = consistency_weight
        self.exchange = exchange
        self.reduction = reduction

    def joint_loss(
        self, log_prob: List[Tensor], labels: Tensor, agreements: Tensor
    ) -> Dict[str, Tensor]:
        """Eq. 6; plain cross-entropy in the warm-up epochs."""
        if self.warming_up:
            weights = torch.ones_like(agreements)
        else:
            weights = exchange_weights(
                self.clean_probability(agreements), self.exchange
            )
        reduce = getattr(torch, self.reduction)
        losses = {
            f'loss_network{k + 1}': reduce(
                weighted_cross_entropy(log_prob[k], labels, weights[k])
            )
            for k in range(2)
        }
        if not self.warming_up and self.consistency_weight:
            losses['loss_consistency'] = self.consistency_weight * reduce(
                consistency(*log_prob)
            )
        return losses
