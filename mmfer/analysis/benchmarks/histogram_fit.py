"""Measure how exactly mixtures are fitted to a histogram of the scores."""

from typing import Any, Dict, List, Sequence, Tuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from mmfer.models.label_noise_model import similarity
from mmfer.models.mixtures import BetaMixture, GaussianMixture, TwoComponentMixture

FAMILIES = dict(beta=BetaMixture, Gaussian=GaussianMixture)
GRID = torch.linspace(0, 1, 100, dtype=torch.float64)
"""Scores at which posteriors are compared, those of the lookup table."""

EDGE = 1e-3
Pair = Tuple[float, float]
Mixture = TypeVar('Mixture', bound=TwoComponentMixture)


def fit_to_histogram(mixture: Mixture, counts: Tensor) -> Mixture:
    """Fit a mixture to a histogram: each bin stands for its scores.

    Args:
        mixture (TwoComponentMixture): Mixture to fit; its components are not
            swapped.
        counts (Tensor): Number of scores in equal bins of [0, 1], (B,).

    Returns:
        TwoComponentMixture: The mixture itself.
    """
    counts = counts.double()
    centres = (torch.arange(len(counts)).double() + 0.5) / len(counts)
    centres = centres.clamp(mixture.eps, 1 - mixture.eps)
    mixture.reset()
    for _ in range(mixture.iterations):
        shares = mixture.responsibilities(centres) * counts
        total = shares.sum(dim=1)
        mean = shares @ centres / total
        variance = (shares * (centres - mean[:, None]).square()).sum(dim=1) / total
        mixture.set_moments(mean, variance.clamp_min(mixture.MIN_VARIANCE))
        mixture.weight.copy_(total / counts.sum())
    return mixture


def histogram(scores: Tensor, bins: int) -> Tensor:
    """Count scores in [0, 1] in equal bins, int64 (``bins``,)."""
    places = (scores.double() * bins).long().clamp_max(bins - 1)
    return torch.bincount(places, minlength=bins)


def made_scores(count: int, seed: int = 0) -> Dict[str, Tensor]:
    """Make scores of three shapes, 30 % of them of wrong labels.

    Args:
        count (int): Number of scores N.
        seed (int): Seed of the draws. Defaults to 0.

    Returns:
        dict[str, Tensor]: float64 (N,) by the name of the shape.
    """
    rng = np.random.default_rng(seed)
    wrong = int(0.3 * count)

    def beta(noisy: Pair, clean: Pair) -> Tensor:
        parts = [rng.beta(*noisy, wrong), rng.beta(*clean, count - wrong)]
        return torch.from_numpy(np.concatenate(parts))

    log_prob = torch.from_numpy(2 * rng.standard_normal((count, 8))).log_softmax(1)
    labels = log_prob.argmax(dim=1)
    labels[:wrong] = torch.from_numpy(rng.integers(0, 8, wrong))
    shapes = dict(
        overlapping=beta((2, 6), (8, 1.5)),
        narrow=beta((0.3, 5), (30, 0.3)),
        similarities=similarity(log_prob, labels),
    )
    return {name: s.clamp(EDGE, 1 - EDGE) for name, s in shapes.items()}


def compare_fits(
    scores: Tensor, family: str, bins: Sequence[int], draws: int = 8
) -> Dict[str, float]:
    """Compare fits to histograms with the fit to all scores.

    Args:
        scores (Tensor): In (0, 1), float64 (N,).
        family (str): One of :data:`FAMILIES`.
        bins (Sequence[int]): Numbers of bins.
        draws (int): Number of bootstrap samples. Defaults to 8.

    Returns:
        dict[str, float]: Largest change of the posterior on :data:`GRID`:
        ``bins_<B>`` for each number of bins, and ``drawn_again``, the largest
        over bootstrap samples of the scores.
    """

    def new() -> TwoComponentMixture:
        return FAMILIES[family](fix_order=False)

    full = new().fit(scores).posterior(GRID)

    def change(mixture: TwoComponentMixture) -> float:
        return (mixture.posterior(GRID) - full).abs().max().item()

    found = {
        f'bins_{b}': change(fit_to_histogram(new(), histogram(scores, b))) for b in bins
    }
    generator = torch.Generator().manual_seed(0)
    again = (
        torch.randint(len(scores), scores.shape, generator=generator)
        for _ in range(draws)
    )
    found['drawn_again'] = max(change(new().fit(scores[rows])) for rows in again)
    return found


def measure(samples: int, bins: Sequence[int]) -> List[Dict[str, Any]]:
    """Compare both families on all made scores; one row for each pair.

    Args:
        samples (int): Number of scores.
        bins (Sequence[int]): Numbers of bins.
    """
    return [
        dict(shape=name, mixture=family, **compare_fits(scores, family, bins))
        for name, scores in made_scores(samples).items()
        for family in FAMILIES
    ]
