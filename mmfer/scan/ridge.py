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

from typing import Iterator, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

# Number of rows that are read at once.
CHUNK = 2048


def held_out_predictions(
    features: np.ndarray,
    targets: np.ndarray,
    rows: np.ndarray,
    groups: Optional[np.ndarray] = None,
    penalty: float = 1.0,
) -> np.ndarray:
    """Return what a ridge predicts for each sample when its group is left out.

    Standardisation uses all rows; it sees no label.

    Args:
        features (np.ndarray): (N, D), may be a memory map. Computed in float64 if it
            is of this type, otherwise in float32.
        targets (np.ndarray): (n, C), such as one-hot labels.
        rows (np.ndarray): Rows of the samples in ``features``, int64 (n,).
        groups (np.ndarray, optional): Group of each sample, int64 (n,). Defaults to
            None: each sample is a group.
        penalty (float): Lambda. Defaults to 1.

    Returns:
        np.ndarray: float64 (n, C).

    Raises:
        ValueError: All samples are in one group.
    """
    if groups is not None and len(np.unique(groups)) < 2:
        raise ValueError(
            'scan: all images are in one group, so nothing is left to compare them '
            'with. Give other groups, or none.'
        )
    order = (
        np.arange(len(rows)) if groups is None else np.argsort(groups, kind='stable')
    )
    ordered = Samples(features, np.asarray(rows)[order])
    given = torch.from_numpy(np.ascontiguousarray(targets[order], np.float64))
    sizes = _group_sizes(None if groups is None else groups[order], len(rows))
    gram, product = ordered.moments(given)
    diagonal = torch.full((len(gram),), penalty * len(rows), dtype=torch.float64)
    diagonal[-1] = 0
    gram += diagonal.diag()
    factor = torch.linalg.cholesky(gram)
    weights = torch.cholesky_solve(product, factor)
    result = np.empty((len(rows), targets.shape[1]))
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
        features (np.ndarray): (N, D).
        rows (np.ndarray): Rows of the samples, int64 (n,).
    """

    def __init__(self, features: np.ndarray, rows: np.ndarray):
        self.features = features
        self.rows = rows
        double = features.dtype == np.float64
        self.dtype = torch.float64 if double else torch.float32
        self.mean = self.scale = torch.zeros(0)
        self._standardise()

    def raw(self, first: int, last: int) -> Tensor:
        """Return the features of a range of samples, (c, D)."""
        # Sorted rows are read faster from a disk.
        rows = self.rows[first:last]
        values = torch.from_numpy(np.asarray(self.features[rows])).to(self.dtype)
        return values.flatten(1)

    def chunk(self, first: int, last: int) -> Tensor:
        """Return standardised features with a column of ones, (c, D + 1)."""
        z = (self.raw(first, last) - self.mean) * self.scale
        return torch.cat([z, z.new_ones(len(z), 1)], dim=1)

    def _chunks(self, first: int, last: int) -> Iterator[Tuple[int, int]]:
        """Yield ranges of at most ``CHUNK`` samples."""
        for start in range(first, last, CHUNK):
            yield start, min(start + CHUNK, last)

    def _standardise(self) -> None:
        """Find mean and scale of each feature; a constant feature becomes 0."""
        count = len(self.rows)
        total: Tensor = torch.tensor(0.0)
        square: Tensor = torch.tensor(0.0)
        shift = self.raw(0, min(CHUNK, count)).double().mean(dim=0)
        for first, last in self._chunks(0, count):
            x = self.raw(first, last).double() - shift
            total, square = total + x.sum(dim=0), square + (x * x).sum(dim=0)
        mean = total / count
        deviation = (square / count - mean**2).clamp(min=0).sqrt()
        constant = deviation <= 1e-6 * (shift + mean).abs() + 1e-12
        self.mean = (shift + mean).to(self.dtype)
        self.scale = torch.where(constant, 0, 1 / deviation).to(self.dtype)

    def moments(
        self, given: Tensor, first: int = 0, last: Optional[int] = None
    ) -> Tuple[Tensor, Tensor]:
        """Return Z'Z and Z'Y of a range of samples, in float64."""
        gram: Tensor = torch.zeros((), dtype=torch.float64)
        product: Tensor = torch.zeros((), dtype=torch.float64)
        for start, end in self._chunks(first, len(self.rows) if last is None else last):
            z = self.chunk(start, end)
            gram = gram + (z.T @ z).double()
            product = product + (z.T @ given[start:end].to(z.dtype)).double()
        return gram, product

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
        parts = [self.chunk(a, b) @ weights for a, b in self._chunks(first, last)]
        return torch.cat(parts).double()


def _group_sizes(groups: Optional[np.ndarray], count: int) -> np.ndarray:
    """Return the number of samples of each group, in the order of the groups."""
    if groups is None:
        return np.ones(count, np.int64)
    return np.unique(groups, return_counts=True)[1]


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
