"""Two-component mixtures over scores in [0, 1], fitted by EM.

EM is expectation maximisation. A score measures how well a prediction agrees
with the given label. So the clean labels belong to the component with the
larger mean. Equation numbers are those of ReSup.
"""

import math
import warnings
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import in_range, positive_int

NOISY, CLEAN = 0, 1
# Smallest likelihood of a component at any score during EM. It prevents
# responsibilities of 0 / 0 (Arazo et al., ICML'19, and ReSup's code).
LIKELIHOOD_FLOOR = 1e-12
# Scores are moved to at least this distance from 0 and 1, where beta densities
# can be infinite.
INTERIOR = 1e-12
# Smallest share of a component in a score, where nothing else bounds it.
EMPTY = 1e-15


class TwoComponentMixture(nn.Module):
    """Mixture of a noisy (0) and a clean (1) component, fitted by EM.

    All parameters are float64 buffers, so that checkpoints contain them and they
    move to a device with the model. They and all results are never NaN:
    variances are bounded from both sides, and likelihoods from below.

    Args:
        iterations (int): EM iterations of a fit. Every fit begins at the same
            parameters and makes all iterations. Defaults to 10 (ReSup's
            code).
        eps (float): Scores are clipped to [eps, 1 - eps] for the fit.
            Defaults to 1e-4 (ReSup's code).
        fix_order (bool): Swap the components, with a warning, if the clean
            component has the smaller mean after a fit. False: never swap
            (ReSup's code). Defaults to True.
    """

    # Smallest variance of a component, a standard deviation of 1e-4.
    MIN_VARIANCE = 1e-8

    weight: Tensor
    fitted: Tensor

    def __init__(self, iterations: int = 10, eps: float = 1e-4, fix_order: bool = True):
        super().__init__()
        self.iterations = positive_int(self, 'iterations', iterations)
        self.eps = in_range(self, 'eps', eps, 0, 0.5, open_low=True, open_high=True)
        self.fix_order = fix_order
        self.register_buffer('weight', torch.empty(2, dtype=torch.float64))
        self.register_buffer('fitted', torch.tensor(False))

    # -- defined by each family of distributions ---------------------------
    def reset(self) -> None:
        """Set the parameters to those at which EM begins."""
        raise NotImplementedError

    def log_component_density(self, scores: Tensor) -> Tensor:
        """Return log p(s | m) of both components, float64 (2, N).

        Args:
            scores (Tensor): In (0, 1), (N, ).
        """
        raise NotImplementedError

    def set_moments(self, mean: Tensor, variance: Tensor) -> None:
        """Set the parameters from weighted moments (the maximisation step).

        Args:
            mean (Tensor): Mean of each component, (2, ).
            variance (Tensor): Variance of each component, (2, ).
        """
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """Means of the noisy and the clean component, (2, )."""
        raise NotImplementedError

    def parameters_of(self) -> dict:
        """Return the parameters by name, each (2, ), for reports."""
        raise NotImplementedError

    # -- EM ----------------------------------------------------------------
    @torch.no_grad()
    def fit(self, scores: Tensor) -> 'TwoComponentMixture':
        """Fit the mixture; return the mixture itself.

        Args:
            scores (Tensor): In [0, 1], at least one.

        Raises:
            ValueError: There are no scores, or a score is not finite or not
                in [0, 1].
        """
        scores = scores.detach().flatten()
        if not scores.numel():
            raise ValueError(
                f'{type(self).__name__}.fit: there are no scores to fit to.'
            )
        bad = int((~scores.isfinite()).sum())
        if bad:
            raise ValueError(
                f'{type(self).__name__}.fit: {bad} of {scores.numel()} '
                'scores are not finite; look for NaN in the predictions.'
            )
        low, high = scores.min().item(), scores.max().item()
        # Rounding in float32 may leave [0, 1] by a little.
        if low < -1e-5 or high > 1 + 1e-5:
            raise ValueError(
                f'{type(self).__name__}.fit: scores range from {low:.4g} to '
                f'{high:.4g} instead of within [0, 1]; scale them first. '
                "LabelNoiseModel(agreement='loss') does so for losses."
            )
        scores = self._prepare(scores, self.eps)
        self._run_em(scores)
        self.fitted.fill_(True)
        if self.fix_order and self.separation < 0:
            warnings.warn(
                f'{type(self).__name__}: after EM the clean component has the '
                f'smaller mean ({self.mean[CLEAN]:.3f} against '
                f'{self.mean[NOISY]:.3f}); the components are swapped.',
                stacklevel=2,
            )
            for buffer in self.buffers():
                if buffer.shape == (2,):
                    buffer.copy_(buffer.flip(0))
        return self

    def responsibilities(self, scores: Tensor) -> Tensor:
        """Return p(m | s), (2, N) (the expectation step).

        Args:
            scores (Tensor): In (0, 1), (N, ).
        """
        joint = self._log_joint(scores).exp().clamp_min(LIKELIHOOD_FLOOR)
        return joint / joint.sum(dim=0)

    def _run_em(self, scores: Tensor) -> None:
        """Set the parameters to those that EM finds.

        Args:
            scores (Tensor): In (0, 1), float64 (N, ).
        """
        self.reset()
        for _ in range(self.iterations):
            self._maximise(scores, self.responsibilities(scores))

    def _maximise(self, scores: Tensor, shares: Tensor) -> None:
        total = shares.sum(dim=1)
        mean = (shares @ scores) / total
        variance = (shares * (scores - mean[:, None]).square()).sum(dim=1) / total
        self.set_moments(mean, variance.clamp_min(self.MIN_VARIANCE))
        self.weight.copy_(total / scores.numel())

    # -- use ---------------------------------------------------------------
    @torch.no_grad()
    def posterior(self, scores: Tensor) -> Tensor:
        """Return p(clean | s), Eq. 5, float64 of the shape of ``scores``."""
        joint = self._log_joint(self._prepare(scores).flatten())
        return torch.sigmoid(joint[CLEAN] - joint[NOISY]).view(scores.shape)

    @torch.no_grad()
    def component_densities(self, scores: Tensor) -> Tensor:
        """Return p(m) p(s | m) of the noisy and the clean component.

        Args:
            scores (Tensor): Shape (N, ).

        Returns:
            Tensor: float64 (2, N). The sum of both is :meth:`density`.
        """
        return self._log_joint(self._prepare(scores)).exp()

    @torch.no_grad()
    def density(self, scores: Tensor) -> Tensor:
        """Return p(s), Eq. 3, float64 of the shape of ``scores``."""
        joint = self._log_joint(self._prepare(scores).flatten())
        return joint.logsumexp(dim=0).exp().view(scores.shape)

    @property
    def separation(self) -> float:
        """Mean of the clean component minus that of the noisy one."""
        return float(self.mean[CLEAN] - self.mean[NOISY])

    @property
    def noise_rate(self) -> float:
        """Weight of the noisy component, an estimate of the noise rate."""
        return float(self.weight[NOISY])

    def extra_repr(self) -> str:
        """Return the parameters as text, for ``print``."""
        if not self.fitted:
            return 'not fitted'
        values = dict(weight=self.weight, **self.parameters_of())
        return ', '.join(
            f'{name}=({v[NOISY]:.3g}, {v[CLEAN]:.3g})' for name, v in values.items()
        )

    def _log_joint(self, scores: Tensor) -> Tensor:
        """Return log p(m) p(s | m), (2, N)."""
        weight = self.weight.double()[:, None]
        return weight.log() + self.log_component_density(scores)

    def _prepare(self, scores: Tensor, margin: float = INTERIOR) -> Tensor:
        # Use float64 even if the model has lower precision: beta densities can
        # diverge at 1, and the largest float32 below 1 is too far from it.
        scores = scores.detach().to(self.weight.device, torch.float64)
        return scores.clamp(margin, 1 - margin)


@MODELS.register_module()
class BetaMixture(TwoComponentMixture):
    """Beta mixture of ReSup (Eqs. 3 to 5), after Arazo et al. (ICML'19).

    EM begins at Beta(1, 2) and Beta(2, 1). The maximisation step matches
    weighted moments, as in the code of both publications.

    Args:
        **kwargs: See :class:`TwoComponentMixture`.
    """

    # Range of alpha + beta. Below it, all scores are 0 or 1, and both parameters
    # come from rounding errors. Above it, the density is a single point.
    CONCENTRATION = (1e-2, 1e6)

    alpha: Tensor
    beta: Tensor

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.register_buffer('alpha', torch.empty(2, dtype=torch.float64))
        self.register_buffer('beta', torch.empty(2, dtype=torch.float64))
        self.reset()

    def reset(self) -> None:
        """See the base class."""
        self.alpha.copy_(torch.tensor([1.0, 2.0]))
        self.beta.copy_(torch.tensor([2.0, 1.0]))
        self.weight.fill_(0.5)

    def log_component_density(self, scores: Tensor) -> Tensor:
        """Return log p(s | m) of both components, Eq. 4."""
        alpha = self.alpha.double()[:, None]
        beta = self.beta.double()[:, None]
        return (
            (alpha - 1) * scores.log()
            + (beta - 1) * torch.log1p(-scores)
            + torch.lgamma(alpha + beta)
            - torch.lgamma(alpha)
            - torch.lgamma(beta)
        )

    def set_moments(self, mean: Tensor, variance: Tensor) -> None:
        """See the base class."""
        concentration = (mean * (1 - mean) / variance - 1).clamp(*self.CONCENTRATION)
        self.alpha.copy_(mean * concentration)
        # As in the published code, which does not use the equivalent
        # (1 - mean) * concentration.
        self.beta.copy_(self.alpha * (1 - mean) / mean)

    @property
    def mean(self) -> Tensor:
        """See the base class."""
        return self.alpha / (self.alpha + self.beta)

    def parameters_of(self) -> dict:
        """See the base class."""
        return dict(alpha=self.alpha, beta=self.beta)


@MODELS.register_module()
class GaussianMixture(TwoComponentMixture):
    """Gaussian mixture in place of the beta mixture of ReSup.

    EM begins with the same means and variances as in :class:`BetaMixture`.
    :class:`ClusteredGaussianMixture` is that of DivideMix.

    Args:
        **kwargs: See :class:`TwoComponentMixture`.
    """

    MIN_VARIANCE = 1e-6

    center: Tensor
    variance: Tensor

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.register_buffer('center', torch.empty(2, dtype=torch.float64))
        self.register_buffer('variance', torch.empty(2, dtype=torch.float64))
        self.reset()

    def reset(self) -> None:
        """See the base class."""
        self.center.copy_(torch.tensor([1.0, 2.0], dtype=torch.float64) / 3)
        self.variance.fill_(1 / 18)
        self.weight.fill_(0.5)

    def log_component_density(self, scores: Tensor) -> Tensor:
        """Return log p(s | m) of both components, normal densities."""
        center = self.center.double()[:, None]
        variance = self.variance.double()[:, None]
        return -0.5 * (
            (scores - center).square() / variance + (2 * math.pi * variance).log()
        )

    def set_moments(self, mean: Tensor, variance: Tensor) -> None:
        """See the base class."""
        self.center.copy_(mean)
        self.variance.copy_(variance)

    @property
    def mean(self) -> Tensor:
        """See the base class."""
        return self.center

    def parameters_of(self) -> dict:
        """See the base class."""
        return dict(mean=self.center, variance=self.variance)


def two_clusters(scores: Tensor) -> Tensor:
    """Return which scores belong to the lower of two clusters, bool (N, ).

    Lloyd's algorithm (k-means) begins at the smallest and the largest score.

    Args:
        scores (Tensor): Shape (N, ). If all are equal, none is in the lower cluster.
    """
    low, high = scores.min(), scores.max()
    lower = (scores - low) < (high - scores)
    # Each round moves the boundary in one direction only, so the rounds come to an end.
    while lower.any():
        boundary = (scores[lower].mean() + scores[~lower].mean()) / 2
        moved = scores < boundary
        if torch.equal(moved, lower):
            break
        lower = moved
    return lower


@MODELS.register_module()
class ClusteredGaussianMixture(GaussianMixture):
    """Gaussian mixture of DivideMix (ICLR'20).

    It differs from :class:`GaussianMixture` as scikit-learn's mixture does:

    - EM begins at two clusters of the scores, see :func:`two_clusters`.
    - EM ends when the mean log-likelihood changes by less than ``tolerance``.
    - A constant is added to every variance. There is no other bound.

    Args:
        tolerance (float): Smallest change of the mean log-likelihood, at least 0.
            Defaults to 1e-2.
        added_variance (float): Added to every variance, above 0. Defaults to 5e-4.
        eps (float): Scores are clipped to [eps, 1 - eps]. Defaults to 1e-12.
        **kwargs: See :class:`TwoComponentMixture`.
    """

    MIN_VARIANCE = 0.0

    def __init__(
        self,
        tolerance: float = 1e-2,
        added_variance: float = 5e-4,
        eps: float = INTERIOR,
        **kwargs: Any,
    ):
        super().__init__(eps=eps, **kwargs)
        self.tolerance = in_range(self, 'tolerance', tolerance, 0)
        self.added_variance = in_range(
            self, 'added_variance', added_variance, 0, open_low=True
        )

    def set_moments(self, mean: Tensor, variance: Tensor) -> None:
        """See the base class."""
        super().set_moments(mean, variance + self.added_variance)

    def _run_em(self, scores: Tensor) -> None:
        """See the base class."""
        lower = two_clusters(scores).to(scores)
        # A component without any score would have no mean.
        self._maximise(scores, torch.stack([lower, 1 - lower]).clamp_min(EMPTY))
        before = -math.inf
        for _ in range(self.iterations):
            joint = self._log_joint(scores)
            self._maximise(scores, joint.softmax(dim=0).clamp_min(EMPTY))
            likelihood = joint.logsumexp(dim=0).mean().item()
            if abs(likelihood - before) < self.tolerance:
                break
            before = likelihood
