r"""Kernel features: similarities to landmarks, by the method of Nystroem.

With landmarks :math:`m_1, ..., m_M` among the samples and the kernel

.. math:: k(x, m) = \exp(-\lVert x - m\rVert^2 / (2 \sigma^2)),

a sample has the features :math:`k(x, m)^\top L^{-\top}` with
:math:`K_{mm} = L L^\top`, whose inner products approximate the kernel. Sigma is the
median distance between landmarks.
"""

from typing import Dict, Sequence

import numpy as np
import torch
from torch import Tensor

from .ridge import Samples

# Number of landmarks, and of principal components in which distances are measured.
LANDMARKS, COMPONENTS = 2000, 128
# Added to the diagonal of the kernel matrix, so that copies do no harm.
_JITTER = 1e-3
# Features are kept in memory up to this size, and computed again beyond.
_MOST_BYTES = 1 << 28
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
        apart = distance[distance > 0]
        # All landmarks may be copies of one image.
        self.sigma = float(apart.median()) if len(apart) else 1.0
        kernel = self._kernel(self.landmarks).double()
        factor = torch.linalg.cholesky(kernel + _JITTER * torch.eye(len(kernel)))
        self.root = torch.linalg.inv(factor).T.float()
        self.shape = (len(blocks[0].features), len(kernel))
        self.stored: Dict[int, np.ndarray] = {}
        self.storable = _MOST_BYTES // (4 * len(kernel))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of some rows, float32 (c, M)."""
        # Each chunk is read several times; keep as many as fit.
        key = hash(rows.tobytes())
        if key in self.stored:
            return self.stored[key]
        values = (self._kernel(self._project(rows)) @ self.root).numpy()
        if len(rows) <= self.storable:
            self.storable -= len(rows)
            self.stored[key] = values
        return values

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
