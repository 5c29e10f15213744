r"""Small network on the features, trained on all folds but one at a time.

With the softmax outputs :math:`p_i` and the noise rate e of the stack, it minimises

.. math:: -\log\, (p_i T)_{y_i}, \quad T = (1 - e) I + \frac{e}{C - 1} (1 1^\top - I),

so that a wrong label costs no more than its probability.
"""

from typing import Optional, Sequence

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmfer.models.label_posterior import assign_folds, given_probabilities
from mmfer.utils.progress import Progress

from .nystroem import principal_axes
from .ridge import CHUNK, Samples

# Principal components of each block, width of the network, dropout, epochs.
COMPONENTS, WIDTH, DROPOUT, EPOCHS = 384, 512, 0.5, 15
FOLDS, BATCH, RATE, DECAY = 4, 256, 2e-3, 0.05


def held_out_logits(
    samples: Sequence[Samples],
    labels: np.ndarray,
    num_classes: int,
    noise_rate: float,
    groups: Optional[np.ndarray] = None,
    seed: int = 0,
) -> np.ndarray:
    """Return the outputs of networks that were trained without a sample's fold.

    Args:
        samples (Sequence[Samples]): Blocks of features of the same n samples.
        labels (np.ndarray): Given labels, int64 (n,).
        num_classes (int): Number of classes C.
        noise_rate (float): Share of wrong labels e.
        groups (np.ndarray, optional): Group of each sample, int64 (n,); a group is in
            one fold. Defaults to None: each sample is a group.
        seed (int): Seed of folds, weights and batches.

    Returns:
        np.ndarray: log p, float64 (n, C).
    """
    x = components(samples, seed)
    y = torch.from_numpy(np.asarray(labels, np.int64))
    fold = torch.from_numpy(assign_folds(len(y), groups, FOLDS, seed))
    result = torch.zeros(len(y), num_classes, dtype=torch.float64)
    progress = Progress('small head', 'epochs')
    total = FOLDS * EPOCHS
    progress(0, total)
    for number in range(FOLDS):
        out = fold == number
        network = _Trainer(x.shape[1], num_classes, noise_rate, seed + number)
        rows = torch.nonzero(~out)[:, 0]
        for epoch in range(EPOCHS):
            network.run_epoch(x, y, rows, epoch)
            progress(number * EPOCHS + epoch + 1, total)
        result[out] = network.log_probabilities(x[out]).double()
    return result.numpy()


def components(samples: Sequence[Samples], seed: int) -> Tensor:
    """Return the first principal components of each block, float32 (n, P)."""
    parts = []
    for block in samples:
        axes = principal_axes(block, COMPONENTS, seed)
        rows = block.rows
        chunks = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
        part = torch.cat([(block.standardised(c) @ axes).float() for c in chunks])
        parts.append(part / part.square().mean().sqrt().clamp(min=1e-6))
    return torch.cat(parts, dim=1)


class _Trainer:
    """Network with one hidden layer, and its optimiser.

    Args:
        size (int): Number of inputs.
        num_classes (int): Number of classes C.
        noise_rate (float): Share of wrong labels e.
        seed (int): Seed of weights, batches and dropout.
    """

    def __init__(self, size: int, num_classes: int, noise_rate: float, seed: int):
        self.generator = torch.Generator().manual_seed(seed)
        self.noise_rate = torch.tensor(noise_rate)
        self.first = nn.Linear(size, WIDTH)
        self.last = nn.Linear(WIDTH, num_classes)
        for layer in (self.first, self.last):
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=self.generator)
            nn.init.zeros_(layer.bias)
        parameters = [*self.first.parameters(), *self.last.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, RATE, weight_decay=DECAY)

    def log_probabilities(self, x: Tensor, masks: Optional[Tensor] = None) -> Tensor:
        """Return log p, (n, C); with factors of the hidden units while training."""
        with torch.set_grad_enabled(masks is not None):
            hidden = F.relu(self.first(x))
            return F.log_softmax(
                self.last(hidden if masks is None else hidden * masks), dim=1
            )

    @torch.enable_grad()
    def run_epoch(self, x: Tensor, y: Tensor, rows: Tensor, epoch: int) -> None:
        """Train on all samples of some rows once."""
        rate = RATE / 2 * (1 + np.cos(np.pi * epoch / EPOCHS))
        self.optimizer.param_groups[0]['lr'] = rate
        order = rows[torch.randperm(len(rows), generator=self.generator)]
        for batch in order.split(BATCH):
            drawn = torch.rand(len(batch), WIDTH, generator=self.generator)
            masks = (drawn >= DROPOUT) / (1 - DROPOUT)
            p = self.log_probabilities(x[batch], masks).exp()
            own = given_probabilities(p, self.noise_rate).gather(1, y[batch][:, None])
            loss = -own.clamp(min=1e-8).log().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
