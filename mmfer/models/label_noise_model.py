"""From how well predictions agree with labels to clean probabilities."""

import warnings
from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmfer.registry import MODELS

MONOTONE = ('none', 'right', 'both')
# Arazo et al.: losses are scaled between these, which outliers cannot move.
LOSS_QUANTILES = (0.05, 0.95)


def similarity(log_prob: Tensor, labels: Tensor) -> Tensor:
    """Cosine of prediction and one-hot label, ReSup Eq. 2.

    Args:
        log_prob (Tensor): Log-probabilities (B, C).
        labels (Tensor): int64 (B, ).

    Returns:
        Tensor: In (0, 1], (B, ); one half is not the point of doubt, that is
        left to the mixture.
    """
    given = log_prob.gather(1, labels[:, None]).squeeze(1)
    # In the logarithm, so that no square of a small probability underflows.
    return (given - 0.5 * torch.logsumexp(2 * log_prob, dim=1)).exp()


def negative_loss(log_prob: Tensor, labels: Tensor) -> Tensor:
    """Minus the cross-entropy, so that larger means better, (B, )."""
    return -F.nll_loss(log_prob, labels, reduction='none')


AGREEMENTS = dict(similarity=similarity, loss=negative_loss)


def flatten_tails(table: Tensor, mode: str) -> Tensor:
    """Make a table of clean probabilities non-decreasing.

    The log-odds of two beta densities, and of two normal ones, have at most
    one turning point: the posterior of *clean* is monotone, or a valley,
    whose left slope takes a *worse* agreement for cleaner, or a hill, whose
    right slope takes a better one for noise.

    Args:
        table (Tensor): Posterior over equally spaced scores, (T, ).
        mode (str): ``'right'``: flat from the maximum on (ReSup's code),
            which makes all of a valley flat whose left end is the higher
            one. ``'both'``: a valley is flat up to its minimum, a hill from
            its maximum on. ``'none'``: as it is.

    Returns:
        Tensor: (T, ); the argument stays as it is.
    """
    # Without writing into the table: CUDA refuses to copy between parts of
    # one tensor that overlap, and the CPU lets it pass.
    positions = torch.arange(len(table), device=table.device)
    start = positions.new_zeros(())
    if mode == 'both':
        # A hill may be lowest at its right end; this is none.
        valley = table[-1] > table.min()
        start = torch.where(valley, table.argmin(), 0)
        table = torch.where(positions < start, table[start], table)
    if mode != 'none':
        peak = table.where(positions >= start, -torch.inf).argmax()
        table = torch.where(positions > peak, table[peak], table)
    return table


@MODELS.register_module()
class LabelNoiseModel(nn.Module):
    """Label noise modelling of ReSup (Sec. 3.2).

    Agreements of predictions and labels go in, probabilities that the labels
    are clean come out. All state are buffers, so that a resumed run weighs
    as before.

    Args:
        agreement (str): ``'similarity'`` (ReSup, Eq. 2) or ``'loss'`` (Arazo
            et al.; losses are scaled to [0, 1] by their 5 % and 95 %
            quantiles). Defaults to ``'similarity'``.
        mixture (dict): ``BetaMixture`` or ``GaussianMixture``.
        table_size (int, optional): Posteriors are looked up in a table of
            that many equally spaced scores, as in ReSup's code. None: they
            are computed, Eq. 5; goes with ``monotone='none'`` only.
            Defaults to 100.
        monotone (str): See :func:`flatten_tails`. Defaults to ``'both'``.
        edge (float): Scores of exactly 0 and 1, which float32 reaches, are
            taken for edge and 1 - edge; 0 leaves them. Defaults to 1e-3
            (ReSup's code).
        margin (float): Weights are clipped to [margin, 1 - margin].
            Defaults to 1e-4 (ReSup's code).
        min_separation (float, optional): Keep the model as it was, with a
            warning, when the means of the two components of a new fit are
            closer than this. Networks that have not learned anything yet
            agree with all labels alike; weights made of that would only
            switch the learning off. None: take every fit (ReSup's code).
            Defaults to 0.05.
    """

    def __init__(
        self,
        agreement: str = 'similarity',
        mixture: Optional[dict] = None,
        table_size: Optional[int] = 100,
        monotone: str = 'both',
        edge: float = 1e-3,
        margin: float = 1e-4,
        min_separation: Optional[float] = 0.05,
    ):
        super().__init__()
        if agreement not in AGREEMENTS:
            raise ValueError(
                f'LabelNoiseModel has no agreement '
                f'{agreement!r}, only {", ".join(AGREEMENTS)}.'
            )
        if monotone not in MONOTONE:
            raise ValueError(
                f'monotone must be one of {", ".join(MONOTONE)}, got {monotone!r}'
            )
        if table_size is None and monotone != 'none':
            raise ValueError(
                'a monotone posterior needs a table: give table_size, or '
                "monotone='none' for the posterior of Eq. 5 as it is."
            )
        if table_size is not None and table_size < 2:
            raise ValueError(f'table_size must be at least 2 or None, got {table_size}')
        for name, value in (('edge', edge), ('margin', margin)):
            if not 0 <= value < 0.5:
                raise ValueError(f'{name} must lie in [0, 0.5), got {value}')
        self.agreement = agreement
        self.mixture = MODELS.build(dict(dict(type='BetaMixture'), **(mixture or {})))
        self.table_size = table_size
        self.monotone = monotone
        self.edge = edge
        self.margin = margin
        self.min_separation = min_separation
        self.register_buffer('table', torch.ones(table_size or 0))
        self.register_buffer('bounds', torch.tensor([0.0, 1.0]))

    @property
    def fitted(self) -> bool:
        """Whether there is anything to weigh by."""
        return bool(self.mixture.fitted)

    def measure(self, log_prob: Tensor, labels: Tensor) -> Tensor:
        """Agreement of predictions and labels, larger is better, (B, )."""
        return AGREEMENTS[self.agreement](log_prob, labels)

    def reset(self) -> None:
        """Forget any fit; all weigh one again."""
        self.mixture.reset()
        self.mixture.fitted.fill_(False)

    @torch.no_grad()
    def fit(self, agreements: Tensor) -> bool:
        """Fit to the agreements of a whole training set, (N, ).

        Returns:
            bool: Whether the new fit is in use.
        """
        before = {k: v.clone() for k, v in self.state_dict().items()}
        if self.agreement == 'loss':
            self.bounds.copy_(
                torch.stack([quantile(agreements, q) for q in LOSS_QUANTILES])
            )
        self.mixture.fit(self.scale(agreements))
        separation = self.mixture.separation
        if self.min_separation is not None and separation < self.min_separation:
            self.load_state_dict(before)
            warnings.warn(
                'a fit of the label noise model was not taken: the means of '
                f'clean and noisy labels are {separation:.3f} apart, less '
                f'than min_separation={self.min_separation}. The model stays '
                f'{"as it was" if self.fitted else "switched off"}; if this '
                'goes on, train longer before (warmup_epochs).',
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

    def scale(self, agreements: Tensor) -> Tensor:
        """Agreements to scores in [0, 1], (N, )."""
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
        """Importance weights, Eq. 5: p(clean), float32 (B, ).

        One before the first fit.
        """
        scores = self.scale(agreements)
        if self.table_size is None:
            weights = self.mixture.posterior(scores).float()
        else:
            # A prediction may be NaN. The loss is then, too, and is reported
            # when the step is done, which an index out of range would spoil.
            index = (scores.nan_to_num(0) * self.table_size).long()
            weights = self.table[index.clamp_max(self.table_size - 1)]
        weights = weights.clamp(self.margin, 1 - self.margin)
        # Not an if: the host would wait for the device in every step.
        return torch.where(self.mixture.fitted, weights, 1.0)


def quantile(values: Tensor, q: float) -> Tensor:
    """Lower empirical quantile; ``torch.quantile`` ends at 2^24 values.

    Sorted, because CUDA refuses ``kthvalue`` where runs are to repeat bit for
    bit.
    """
    return values.sort().values[int(q * (values.numel() - 1))]
