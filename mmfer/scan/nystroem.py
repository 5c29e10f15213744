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
LANDMARKS, COMPONENTS = 2000, 128
# Smallest eigenvalue that is used, as a share of the largest one.
_SMALLEST = 1e-6
# Rounds of subspace iteration.
_ROUNDS = 4


class NystroemFeatures:
    """Features (N, M) that are computed when rows of them are read.

    Args:
        blocks (Sequence[Samples]): Blocks of features of the same n samples.
        landmarks (int): Largest number of landmarks M.
        components (int): Principal components of all blocks together.
        seed (int): Seed of the draw.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        blocks: Sequence[Samples],
        landmarks: int = LANDMARKS,
        components: int = COMPONENTS,
        seed: int = 0,
    ):
        self.blocks = blocks
        self.bases = [principal_axes(block, components, seed) for block in blocks]
        rng = np.random.default_rng(seed)
        rows = blocks[0].rows
        chosen = rng.choice(len(rows), min(landmarks, len(rows)), replace=False)
        self.landmarks = self._project(np.sort(rows[chosen]))
        distance = torch.cdist(self.landmarks, self.landmarks)
        self.sigma = float(distance[distance > 0].median())
        values, vectors = torch.linalg.eigh(self._kernel(self.landmarks).double())
        kept = values > _SMALLEST * values[-1]
        root = vectors[:, kept] * values[kept].rsqrt()
        self.root = root.float()
        self.shape = (len(blocks[0].features), root.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of some rows, float32 (c, M)."""
        return (self._kernel(self._project(rows)) @ self.root).numpy()

    def _project(self, rows: np.ndarray) -> Tensor:
        """Return the principal components of some rows, (c, P)."""
        parts = [
            (samples.standardised(rows) @ basis).float()
            for samples, basis in zip(self.blocks, self.bases)
        ]
        return torch.cat(parts, dim=1)

    def _kernel(self, x: Tensor) -> Tensor:
        """Return the similarities to the landmarks, (c, M)."""
        return torch.exp(-(torch.cdist(x, self.landmarks) ** 2) / (2 * self.sigma**2))


def principal_axes(samples: Samples, components: int, seed: int = 0) -> Tensor:
    """Return the first principal axes of a block, orthonormal (D, P).

    They come from a few rounds of subspace iteration on Z'Z (Halko, Martinsson and
    Tropp, 2011), which is much faster than all its eigenvectors.
    """
    gram = samples.gram[:-1, :-1].to(samples.dtype)
    generator = torch.Generator().manual_seed(seed)
    size = min(components, len(gram))
    axes = torch.randn(len(gram), size, generator=generator, dtype=samples.dtype)
    for _ in range(_ROUNDS):
        axes = torch.linalg.qr(gram @ axes).Q
    return axes
