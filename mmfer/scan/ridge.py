r"""Ridge regression whose predictions for a sample leave the sample's group out.

With the features :math:`Z` (n, D + 1), which are standardised and have a column of
ones, and the targets :math:`Y` (n, C),

.. math::
    A = Z^\top Z + n \lambda\, \mathrm{diag}(1, ..., 1, 0), \quad
    F = Z A^{-1} Z^\top Y, \quad H = Z A^{-1} Z^\top.

The fit without the samples of a group G predicts for them, exactly,

.. math:: Y_G - (I - H_{GG})^{-1} (Y_G - F_G).

Features are read in chunks: the memory is that of A and of one chunk, whatever n is.
"""

import copy
from typing import Any, Dict, Iterator, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

# Number of rows that are read at once.
CHUNK = 2048


def held_out_predictions(
    samples: 'Samples',
    targets: np.ndarray,
    groups: Optional[np.ndarray] = None,
    penalty: float = 1.0,
) -> np.ndarray:
    """Return what a ridge predicts for each sample when its group is left out.

    Standardisation uses all samples; it sees no label.

    Args:
        samples (Samples): Features of n samples.
        targets (np.ndarray): (n, C), such as one-hot labels.
        groups (np.ndarray, optional): Group of each sample, int64 (n,). Defaults to
            None: each sample is a group.
        penalty (float): Lambda. Defaults to 1.

    Returns:
        np.ndarray: float64 (n, C).

    Raises:
        ValueError: All samples are in one group.
    """
    count = len(samples.rows)
    order, sizes = np.arange(count), np.ones(count, np.int64)
    if groups is not None:
        order = np.argsort(groups, kind='stable')
        sizes = np.unique(groups, return_counts=True)[1]
    if len(sizes) < 2:
        raise ValueError(
            'scan: all images are in one group, so nothing is left to compare them '
            'with. Give other groups, or none.'
        )
    ordered = samples.in_order(order)
    given = torch.from_numpy(np.ascontiguousarray(targets[order], np.float64))
    gram, product = ordered.moments(given)
    diagonal = torch.full((len(product),), penalty * count, dtype=torch.float64)
    diagonal[-1] = 0
    gram = gram + diagonal.diag()
    factor = torch.linalg.cholesky(gram)
    weights = torch.cholesky_solve(product, factor)
    result = np.empty(targets.shape)
    for first, last, counts in _spans(sizes):
        if len(counts) == 1 and last - first > len(gram):
            found = ordered.refit(first, last, gram, product, given)
        else:
            z = ordered.chunk(first, last)
            found = _leave_out(z, given[first:last], factor, weights, counts)
        result[order[first:last]] = found.numpy()
    return result


def _leave_out(
    z: Tensor, given: Tensor, factor: Tensor, weights: Tensor, counts: np.ndarray
) -> Tensor:
    """Return held-out predictions for whole groups that lie one after the other.

    Args:
        z (Tensor): Standardised features (c, D + 1).
        given (Tensor): Targets (c, C), float64.
        factor (Tensor): Cholesky factor L of A.
        weights (Tensor): :math:`A^{-1} Z^T Y`, (D + 1, C).
        counts (np.ndarray): Number of samples of each group; the sum is c.
    """
    residual = given - (z @ weights.to(z.dtype)).double()
    # H = U'U with U = L^-1 Z'.
    u = torch.linalg.solve_triangular(factor.to(z.dtype), z.T, upper=False).T
    starts = np.cumsum(counts) - counts
    for size in np.unique(counts):
        members = starts[counts == size][:, None] + np.arange(size)
        part = u[torch.from_numpy(members)]
        hat = (part @ part.transpose(1, 2)).double()
        rest = torch.eye(int(size), dtype=torch.float64) - hat
        residual[torch.from_numpy(members)] = torch.linalg.solve(
            rest, residual[torch.from_numpy(members)]
        )
    return given - residual


class Samples:
    """Standardised features of some samples, read chunk by chunk.

    Args:
        features (np.ndarray): (N, D), may be a memory map. Computed in float64 if it
            is of this type, otherwise in float32.
        rows (np.ndarray): Rows of the n samples, int64 (n,).
        equalise (bool): Give each feature the variance 1. Otherwise only their mean
            variance becomes 1. Defaults to True.
    """

    def __init__(self, features: Any, rows: np.ndarray, equalise: bool = True):
        self.features = features
        self.equalise = equalise
        self.rows = np.asarray(rows)
        double = features.dtype == np.float64
        self.dtype = torch.float64 if double else torch.float32
        self.known: Dict[str, Tensor] = {}
        self.mean, self.scale = self._mean_and_scale()

    def in_order(self, order: np.ndarray) -> 'Samples':
        """Return the same samples in another order."""
        other = copy.copy(self)
        other.rows = self.rows[order]
        return other

    def raw(self, rows: np.ndarray) -> Tensor:
        """Return features as they are stored, (c, D)."""
        return torch.from_numpy(np.asarray(self.features[rows])).to(self.dtype)

    def standardised(self, rows: np.ndarray) -> Tensor:
        """Return features of mean 0 over the samples, (c, D)."""
        return (self.raw(rows) - self.mean) * self.scale

    def chunk(self, first: int, last: int) -> Tensor:
        """Return standardised features with a column of ones, (c, D + 1)."""
        z = self.standardised(self.rows[first:last])
        return torch.cat([z, z.new_ones(len(z), 1)], dim=1)

    def _mean_and_scale(self) -> Tuple[Tensor, Tensor]:
        """Return mean and scale of each feature; the scale of a constant one is 0."""
        count = len(self.rows)
        shift = self.raw(self.rows[:CHUNK]).double().mean(dim=0)
        total, square = torch.zeros_like(shift), torch.zeros_like(shift)
        for first, last in _ranges(0, count):
            x = self.raw(self.rows[first:last]).double() - shift
            total += x.sum(dim=0)
            square += (x * x).sum(dim=0)
        mean = total / count
        variance = (square / count - mean**2).clamp(min=0)
        deviation = (variance if self.equalise else variance.mean()).sqrt()
        constant = deviation <= 1e-6 * (shift + mean).abs() + 1e-12
        scale = torch.where(constant, 0, 1 / deviation)
        return (shift + mean).to(self.dtype), scale.to(self.dtype)

    def moments(
        self, given: Tensor, begin: int = 0, end: Optional[int] = None
    ) -> Tuple[Tensor, Tensor]:
        """Return Z'Z (D + 1, D + 1) and Z'Y (D + 1, C) of a range, in float64."""
        size = len(self.mean) + 1
        gram = torch.zeros(size, size, dtype=torch.float64)
        product = torch.zeros(size, given.shape[1], dtype=torch.float64)
        for first, last in _ranges(begin, len(self.rows) if end is None else end):
            z = self.chunk(first, last)
            gram += z.T @ z
            product += z.T @ given[first:last].to(z.dtype)
        if begin == 0 and end is None:
            # The order of the samples does not matter, so copies share it.
            self.known['gram'] = gram
        return gram, product

    @property
    def gram(self) -> Tensor:
        """Z'Z of all samples, float64 (D + 1, D + 1); it is computed once."""
        if 'gram' not in self.known:
            self.moments(torch.zeros(len(self.rows), 0, dtype=torch.float64))
        return self.known['gram']

    def refit(
        self, first: int, last: int, gram: Tensor, product: Tensor, given: Tensor
    ) -> Tensor:
        """Return held-out predictions for one group of more samples than features.

        The matrix of the group's size would be larger than A, so fit anew without
        the group.
        """
        own_gram, own_product = self.moments(given, first, last)
        weights = torch.linalg.solve(gram - own_gram, product - own_product)
        weights = weights.to(self.dtype)
        parts = [self.chunk(a, b) @ weights for a, b in _ranges(first, last)]
        return torch.cat(parts).double()


def _ranges(begin: int, end: int) -> Iterator[Tuple[int, int]]:
    """Yield ranges of at most ``CHUNK`` samples."""
    for first in range(begin, end, CHUNK):
        yield first, min(first + CHUNK, end)


def _spans(sizes: np.ndarray) -> Iterator[Tuple[int, int, np.ndarray]]:
    """Yield ranges of whole groups: about ``CHUNK`` samples, or one larger group."""
    first = total = 0
    counts: list = []
    for size in sizes.tolist():
        if counts and total + size > CHUNK:
            yield first, first + total, np.array(counts)
            first, counts, total = first + total, [], 0
        counts.append(size)
        total += size
    yield first, first + total, np.array(counts)
