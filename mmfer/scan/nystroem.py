r"""Kernel features: similarities to landmarks, by the method of Nystroem.

With landmarks :math:`m_1, ..., m_M` among the samples and the kernel

.. math:: k(x, m) = \exp(-\lVert x - m\rVert^2 / (2 \sigma^2)),

a sample has the features :math:`k(x, m)^\top K_{mm}^{-1/2}`, whose inner products
approximate the kernel. Sigma is the median distance between landmarks.
"""

from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from .ridge import Samples

# Number of landmarks, and of principal components in which distances are measured.
LANDMARKS, COMPONENTS = 2000, 256
# Smallest eigenvalue that is used, as a share of the largest one.
_SMALLEST = 1e-6


class NystroemFeatures:
    """Features (N, M) that are computed when rows of them are read.

    Args:
        blocks (Sequence[np.ndarray]): Features (N, D_b).
        rows (np.ndarray): Rows from which landmarks are drawn, int64 (n,).
        landmarks (int): Largest number of landmarks M.
        components (int): Principal components of all blocks together.
        seed (int): Seed of the draw.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        blocks: Sequence[np.ndarray],
        rows: np.ndarray,
        landmarks: int = LANDMARKS,
        components: int = COMPONENTS,
        seed: int = 0,
    ):
        self.blocks = [Samples(block, rows) for block in blocks]
        self.bases = [_principal(samples, components) for samples in self.blocks]
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(rows), min(landmarks, len(rows)), replace=False)
        self.landmarks = self._project(np.sort(rows[chosen]))
        distance = torch.cdist(self.landmarks, self.landmarks)
        self.sigma = float(distance[distance > 0].median())
        values, vectors = torch.linalg.eigh(self._kernel(self.landmarks).double())
        kept = values > _SMALLEST * values[-1]
        root = vectors[:, kept] * values[kept].rsqrt()
        self.root = root.float()
        self.shape = (len(blocks[0]), root.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of some rows, float32 (c, M)."""
        return (self._kernel(self._project(rows)) @ self.root).numpy()

    def _project(self, rows: np.ndarray) -> Tensor:
        """Return the principal components of some rows, (c, P)."""
        parts = [
            samples.standardised(rows) @ basis
            for samples, basis in zip(self.blocks, self.bases)
        ]
        return torch.cat(parts, dim=1)

    def _kernel(self, x: Tensor) -> Tensor:
        """Return the similarities to the landmarks, (c, M)."""
        return torch.exp(-(torch.cdist(x, self.landmarks) ** 2) / (2 * self.sigma**2))


def _principal(samples: Samples, components: int) -> Tensor:
    """Return the first principal components of a block, (D, P)."""
    nothing = torch.zeros(len(samples.rows), 0)
    gram = samples.moments(nothing)[0][:-1, :-1] / len(samples.rows)
    vectors = torch.linalg.eigh(gram)[1]
    return vectors[:, -components:].to(samples.dtype)
