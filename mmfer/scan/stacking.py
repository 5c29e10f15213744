r"""One classifier over the held-out outputs of several ridges, with a noise rate.

.. math::
    p_i = \mathrm{softmax}(b + z_i W), \quad
    T = (1 - e) I + \frac{e}{C - 1} (1 1^\top - I), \quad
    \max_{W, b, e} \sum_i \log\, (p_i T)_{y_i} - \frac{\lambda}{2} \lVert W \rVert^2

where z are the standardised outputs, y the given labels and e the noise rate. The
probability that a given label is wrong is then

.. math:: s_i = 1 - \frac{(1 - e)\, p_{i, y_i}}{(p_i T)_{y_i}}.
"""

from typing import NamedTuple, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Stack(NamedTuple):
    """Fitted stack.

    Attributes:
        weights (Tensor): (K + 1, C), the last row is b.
        noise_rate (Tensor): e, a number in [0, 1 - 1 / C).
    """

    weights: Tensor
    noise_rate: Tensor

    def log_probabilities(self, z: Tensor) -> Tensor:
        """Return log p, (n, C)."""
        return F.log_softmax(z @ self.weights[:-1] + self.weights[-1], dim=1)


def given_probabilities(p: Tensor, noise_rate: Tensor) -> Tensor:
    """Return the probabilities of the given labels, p T, (n, C)."""
    other = noise_rate / (p.shape[1] - 1)
    return p * (1 - noise_rate - other) + other


def fit_stack(
    z: Tensor,
    labels: Tensor,
    num_classes: int,
    noise: bool = True,
    decay: float = 1.0,
    start: Optional[Stack] = None,
) -> Stack:
    """Fit weights, biases and the noise rate by the likelihood of the given labels.

    Args:
        z (Tensor): Standardised outputs (n, K), float64.
        labels (Tensor): Given labels, int64 (n,).
        num_classes (int): Number of classes C.
        noise (bool): Fit a noise rate; else it is 0. Defaults to True.
        decay (float): Lambda. Defaults to 1.
        start (Stack, optional): Where to start.
    """
    most = 1 - 1 / num_classes
    weights = torch.zeros(z.shape[1] + 1, num_classes, dtype=z.dtype)
    # A rate of 0.2 at the start.
    rate = torch.tensor(float(np.log(0.2 / (most - 0.2 + 1e-9))), dtype=z.dtype)
    if start is not None:
        weights = start.weights.clone()
        share = (start.noise_rate / most).clamp(1e-6, 1 - 1e-6)
        rate = torch.logit(share)
    weights.requires_grad_()
    rate.requires_grad_(noise)

    def current() -> Stack:
        e = most * torch.sigmoid(rate) if noise else torch.zeros((), dtype=z.dtype)
        return Stack(weights, e)

    optimizer = torch.optim.LBFGS(
        [weights, rate] if noise else [weights],
        max_iter=200,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        history_size=20,
        line_search_fn='strong_wolfe',
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        stack = current()
        p = given_probabilities(stack.log_probabilities(z).exp(), stack.noise_rate)
        own = p.gather(1, labels[:, None]).clamp(min=1e-12).log().mean()
        loss = decay / 2 * weights[:-1].square().sum() / len(z) - own
        loss.backward()
        return loss

    optimizer.step(closure)
    fitted = current()
    return Stack(fitted.weights.detach(), fitted.noise_rate.detach())
