"""Label noise model: from agreement with a given label to clean probability."""

import warnings
from typing import Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range, number_pair, whole_number

from .mixtures import TwoComponentMixture

# Repair of both published codes: constant from the largest posterior of the second
# component on. For ReSup's similarities this is the clean one, for the losses of
# Arazo et al. the noisy one. A large loss is a small score.
PUBLISHED = dict(similarity='right', loss='left')
MONOTONE = ('none', 'left', 'right', 'both')
# Losses outside of these quantiles are discarded before a fit, and the others are
# scaled to [0, 1] (Arazo et al.).
LOSS_QUANTILES = (0.05, 0.95)


def similarity(log_prob: Tensor, labels: Tensor) -> Tensor:
    """Return the cosine similarity of prediction and given label, ReSup Eq. 2.

    Args:
        log_prob (Tensor): Log-probabilities (B, C).
        labels (Tensor): Given labels, int64 (B, ).

    Returns:
        Tensor: In (0, 1], (B, ). 0.5 has no special meaning: the mixture finds
        the boundary between clean and noisy labels.
    """
    given = log_prob.gather(1, labels[:, None]).squeeze(1)
    # Computed with logarithms, so that the square of a small probability does
    # not underflow.
    return (given - 0.5 * torch.logsumexp(2 * log_prob, dim=1)).exp()


def negative_loss(log_prob: Tensor, labels: Tensor) -> Tensor:
    """Return the negative cross-entropy; larger is better agreement, (B, ).

    For the arguments see :func:`similarity`.
    """
    return -F.nll_loss(log_prob, labels, reduction='none')


AGREEMENTS = dict(similarity=similarity, loss=negative_loss)


def flatten_tails(table: Tensor, mode: str) -> Tensor:
    """Make a table of clean probabilities non-decreasing.

    The log-odds of two beta densities, and of two normal ones, have at most
    one turning point. So the posterior of *clean* has one of three shapes:

    - It is monotone.
    - It is a valley. Its left slope gives a larger clean probability to a
      *worse* agreement.
    - It is a hill. Its right slope gives a smaller clean probability to a
      *better* agreement.

    Args:
        table (Tensor): Posterior over equally spaced scores, (T, ).
        mode (str): ``'right'``: constant from the maximum on (ReSup's code);
            a valley whose left end is its maximum becomes constant as a
            whole. ``'left'``: constant up to the minimum (Arazo et al.); a hill
            whose right end is its minimum becomes constant as a whole.
            ``'both'``: a valley is constant up to its minimum, a hill from its
            maximum on. ``'none'``: no change.

    Returns:
        Tensor: A new tensor, (T, ).
    """
    # Do not write into the table: CUDA refuses to copy between overlapping
    # parts of one tensor, although the CPU allows it.
    positions = torch.arange(len(table), device=table.device)
    start = positions.new_zeros(())
    if mode in ('left', 'both'):
        start = table.argmin()
        if mode == 'both':
            # A curve with its minimum at the right end is not a valley.
            start = torch.where(table[-1] > table.min(), start, 0)
        table = torch.where(positions < start, table[start], table)
    if mode in ('right', 'both'):
        peak = table.where(positions >= start, -torch.inf).argmax()
        table = torch.where(positions > peak, table[peak], table)
    return table


@MODELS.register_module()
class LabelNoiseModel(nn.Module):
    """Label noise model of ReSup (Sec. 3.2).

    It maps the agreement of a prediction with a given label to the probability
    that the label is clean. All of its state is in buffers, so that a resumed
    run computes the same weights.

    Args:
        agreement (str): ``'similarity'`` (ReSup, Eq. 2) or ``'loss'`` (Arazo
            et al.). Losses outside of ``quantiles`` are discarded before a fit.
            The score is one minus the loss, after these quantiles are scaled to
            0 and 1. Defaults to ``'similarity'``.
        mixture (dict, optional): Config of a ``BetaMixture`` (default), a
            ``GaussianMixture`` or a ``ClusteredGaussianMixture``.
        table_size (int, optional): Posteriors are looked up in a table of
            that many equally spaced scores, as in ReSup's code. None: they
            are computed by Eq. 5, which requires ``monotone='none'``.
            Defaults to 100.
        monotone (str): See :func:`flatten_tails`. ``'published'`` is
            ``'right'`` for similarities and ``'left'`` for losses, as in the
            codes of ReSup and of Arazo et al. Defaults to ``'both'``.
        edge (float): Scores of exactly 0 and 1, which occur in float32, become
            edge and 1 - edge; with 0 they stay. Defaults to 1e-3 (ReSup's
            code).
        margin (float): Weights are clipped to [margin, 1 - margin].
            Defaults to 1e-4 (ReSup's code).
        min_separation (float, optional): Smallest distance between the means
            of the two components. A fit below it is not used: the model stays
            as it was, and warns. Networks that have learned nothing yet agree
            equally well with all labels, and weights from such a fit would
            only stop the learning. None: use every fit (ReSup's code).
            Defaults to 0.05.
        threshold (float, optional): Select samples instead of weighting them:
            the weight is 1 for scores of at least the threshold, and 0 for
            others (threshold on ReSup's scheme, Sec. 4.6). Defaults to None.
        quantiles (tuple[float, float]): Two quantiles of the negative losses. With
            (0, 1) all losses are in the fit (DivideMix). Defaults to (0.05, 0.95)
            (Arazo et al.).
    """

    mixture: TwoComponentMixture
    table: Tensor
    bounds: Tensor

    def __init__(
        self,
        agreement: str = 'similarity',
        mixture: Optional[dict] = None,
        table_size: Optional[int] = 100,
        monotone: str = 'both',
        edge: float = 1e-3,
        margin: float = 1e-4,
        min_separation: Optional[float] = 0.05,
        threshold: Optional[float] = None,
        quantiles: Tuple[float, float] = LOSS_QUANTILES,
    ):
        super().__init__()
        self.quantiles = number_pair(self, 'quantiles', quantiles, 0, 1)
        choices(self, 'monotone', monotone, (*MONOTONE, 'published'))
        if table_size is None and monotone != 'none':
            raise ValueError(
                'LabelNoiseModel: a monotone posterior needs a table: give '
                "table_size, or monotone='none' for the posterior of Eq. 5 as it is."
            )
        self.agreement = choices(self, 'agreement', agreement, AGREEMENTS)
        self.mixture = MODELS.build(dict(dict(type='BetaMixture'), **(mixture or {})))
        self.table_size = whole_number(self, 'table_size', table_size, 2, optional=True)
        self.monotone = PUBLISHED[agreement] if monotone == 'published' else monotone
        self.edge = in_range(self, 'edge', edge, 0, 0.5, open_high=True)
        self.margin = in_range(self, 'margin', margin, 0, 0.5, open_high=True)
        self.min_separation = min_separation
        self.threshold = in_range(self, 'threshold', threshold, 0, 1, optional=True)
        self.register_buffer('table', torch.ones(table_size or 0))
        # As precise as any agreements: a rounded bound would discard its own loss.
        self.register_buffer('bounds', torch.tensor([0.0, 1.0], dtype=torch.float64))

    @property
    def fitted(self) -> bool:
        """Whether a fit is in use."""
        return bool(self.mixture.fitted)

    def measure(self, log_prob: Tensor, labels: Tensor) -> Tensor:
        """Return the agreement of predictions and labels, (B, ).

        Args:
            log_prob (Tensor): Log-probabilities (B, C).
            labels (Tensor): Given labels, int64 (B, ).

        Returns:
            Tensor: Larger is better agreement.
        """
        return AGREEMENTS[self.agreement](log_prob, labels)

    def reset(self) -> None:
        """Forget the fit; all weights are 1 again."""
        self.mixture.reset()
        self.mixture.fitted.fill_(False)

    @torch.no_grad()
    def fit(self, agreements: Tensor) -> bool:
        """Fit the model to the agreements of a whole training set.

        Args:
            agreements (Tensor): Shape (N, ).

        Returns:
            bool: Whether the new fit is in use.
        """
        before = {k: v.clone() for k, v in self.state_dict().items()}
        if self.agreement == 'loss':
            self.bounds.copy_(
                torch.stack([quantile(agreements, q) for q in self.quantiles])
            )
        outlier = self.is_outlier(agreements)
        # Of two losses, both are outside of the quantiles.
        kept = agreements if outlier.all() else agreements[~outlier]
        self.mixture.fit(self.scale(kept))
        separation = self.mixture.separation
        if self.min_separation is not None and separation < self.min_separation:
            self.load_state_dict(before)
            warnings.warn(
                'a fit of the label noise model is not used: the means of '
                f'clean and noisy labels are {separation:.3f} apart, less '
                f'than min_separation={self.min_separation}. The model stays '
                f'{"as it was" if self.fitted else "switched off"}. If this '
                'continues, train longer before the first fit (warmup_epochs).',
                stacklevel=2,
            )
            return False
        if self.table_size is not None:
            grid = torch.linspace(
                0, 1, self.table_size, dtype=torch.float64, device=self.table.device
            )
            table = flatten_tails(self.mixture.posterior(grid), self.monotone)
            self.table.copy_(table)
        return True

    def is_outlier(self, agreements: Tensor) -> Tensor:
        """Return which agreements are discarded before a fit, bool (N, ).

        Args:
            agreements (Tensor): Shape (N, ).

        Returns:
            Tensor: Losses outside of the quantiles of the last fit. No
            similarity, and no NaN, is an outlier.
        """
        if self.agreement != 'loss':
            return torch.zeros_like(agreements, dtype=torch.bool)
        low, high = self.bounds.to(agreements.device)
        return (agreements < low) | (agreements > high)

    def scale(self, agreements: Tensor) -> Tensor:
        """Scale agreements to scores in [0, 1], (N, ).

        Args:
            agreements (Tensor): Shape (N, ).
        """
        if self.agreement == 'loss':
            low, high = self.bounds.to(agreements)
            agreements = (agreements - low) / (high - low + 1e-6)
        scores = agreements.clamp(0, 1)
        if self.edge:
            scores = scores.where(scores > 0, self.edge)
            scores = scores.where(scores < 1, 1 - self.edge)
        return scores

    @torch.no_grad()
    def weigh(self, agreements: Tensor) -> Tensor:
        """Return importance weights by Eq. 5: p(clean), float32 (B, ).

        They are 1 before the first fit.

        Args:
            agreements (Tensor): Shape (B, ).
        """
        scores = self.scale(agreements)
        if self.threshold is not None:
            weights = (scores >= self.threshold).float()
        elif self.table_size is None:
            weights = self.mixture.posterior(scores).float()
        else:
            # If a prediction is NaN, the loss is NaN too, and a hook reports it
            # after the step. Without nan_to_num, an index out of range would
            # fail before that report.
            index = (scores.nan_to_num(0) * self.table_size).long()
            weights = self.table[index.clamp_max(self.table_size - 1)]
        weights = weights.clamp(self.margin, 1 - self.margin)
        # A Python if would make the CPU wait for the GPU in every step.
        return torch.where(self.mixture.fitted, weights, 1.0)


def quantile(values: Tensor, q: float) -> Tensor:
    """Return an empirical quantile, interpolated linearly between two values.

    ``torch.quantile`` takes at most 2^24 values. ``kthvalue`` is not allowed
    on CUDA in deterministic runs. So the values are sorted.

    Args:
        values (Tensor): Shape (N, ).
        q (float): In [0, 1].
    """
    ordered = values.sort().values
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], position - below)
