r"""Class probabilities from held-out outputs of several classifiers, with a noise rate.

With the standardised outputs :math:`z_{ib}` (C numbers) of classifier b for image i,

.. math::
    p_i = \mathrm{softmax}\Big(b + \sum_b (a_b z_{ib} + z_{ib} W_b)\Big), \quad
    T = (1 - e) I + \frac{e}{C - 1} (1 1^\top - I), \quad
    \max_{a, W, b, e} \sum_i \log\, (p_i T)_{y_i}
    - \frac{\lambda}{2} \lVert W \rVert^2 - \frac{\rho}{2} \lVert a \rVert^2,

where y are the given labels and e is the noise rate. W, the differences between
classes, is held small. If a was, too, p would be too even, and e too small to explain
the labels. But with a few hundred samples and much noise, the likelihood can be largest
for an infinite a: then p is certain of one class, and e explains all errors. A small
:math:`\rho` prevents this. The probability that a given label is wrong is then

.. math:: s_i = 1 - \frac{(1 - e)\, p_{i, y_i}}{(p_i T)_{y_i}}.

The numbers of labels of further samples, whose outputs cannot be used, can be fitted,
too: :func:`with_label_counts`.
"""

from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Lambda, found by the likelihood of held-out given labels of FERPlus.
DECAY = 300.0
# Noise rate at which a fit starts, as a share of the largest one.
_START = 0.25


class Stack(NamedTuple):
    """Fitted stack.

    Attributes:
        scales (Tensor): a, one number for each of B classifiers, (B,).
        weights (Tensor): W, (B * C, C).
        bias (Tensor): b, (C,).
        noise_rate (Tensor): e, a number in [0, 1 - 1 / C).
    """

    scales: Tensor
    weights: Tensor
    bias: Tensor
    noise_rate: Tensor

    def log_probabilities(self, z: Tensor) -> Tensor:
        """Return log p, (n, C), from z, (n, B, C)."""
        logits = (z * self.scales[:, None]).sum(dim=1) + z.flatten(1) @ self.weights
        return F.log_softmax(logits + self.bias, dim=1)


def given_probabilities(p: Tensor, noise_rate: Tensor) -> Tensor:
    """Return the probabilities of the given labels, p T, (n, C)."""
    other = noise_rate / (p.shape[1] - 1)
    return p * (1 - noise_rate - other) + other


def fit_stack(
    z: Tensor,
    labels: Tensor,
    decay: float = DECAY,
    start: Optional[Stack] = None,
    ridge: float = 0.0,
) -> Stack:
    """Fit a stack by the likelihood of the given labels.

    Args:
        z (Tensor): Standardised outputs (n, B, C), float64, of C >= 2 classes.
        labels (Tensor): Given labels, int64 (n,).
        decay (float): Lambda. Defaults to :data:`DECAY`.
        start (Stack, optional): Where to start. Defaults to equal scales.
        ridge (float): Rho. Defaults to 0.
    """
    count, blocks, classes = z.shape
    most = 1 - 1 / classes
    if start is None:
        start = Stack(
            z.new_full((blocks,), 1 / blocks),
            z.new_zeros(blocks * classes, classes),
            z.new_zeros(classes),
            z.new_tensor(_START * most),
        )
    parts = [part.clone() for part in start[:3]]
    parts.append(torch.logit((start.noise_rate / most).clamp(1e-6, 1 - 1e-6)))
    optimizer = torch.optim.LBFGS(
        [part.requires_grad_() for part in parts],
        max_iter=100,
        tolerance_grad=1e-6,
        tolerance_change=1e-7,
        history_size=20,
        line_search_fn='strong_wolfe',
    )

    def current() -> Stack:
        scales, weights, bias, logit = parts
        return Stack(scales, weights, bias, most * torch.sigmoid(logit))

    def loss() -> Tensor:
        optimizer.zero_grad()
        stack = current()
        p = given_probabilities(stack.log_probabilities(z).exp(), stack.noise_rate)
        own = p.gather(1, labels[:, None]).clamp(min=1e-12).log().mean()
        squares = decay * stack.weights.square().sum()
        squares = squares + ridge * stack.scales.square().sum()
        value = squares / 2 / count - own
        value.backward()
        return value

    # The caller may have switched gradients off.
    with torch.enable_grad():
        optimizer.step(loss)
    return Stack(*(part.detach() for part in current()))


def with_label_counts(stack: Stack, z: Tensor, labels: Tensor, counts: Tensor) -> Stack:
    r"""Fit b and e of a stack again, to the labels of further samples, too.

    With the mean :math:`\bar q` of :math:`p_i T` over the n samples, scaled to a sum of
    1 over the classes that the further samples have, their :math:`n_c` labels of class
    c have the log-likelihood :math:`\sum_c n_c \log \bar q_c`. It is added to that of
    the n samples: the mean of the predicted labels comes near to the shares of the
    given ones, which a fit with a noise rate does not do by itself. Scales and W stay:
    the counts say nothing about them.

    Args:
        stack (Stack): Fitted to z and labels.
        z (Tensor): Standardised outputs (n, B, C), float64.
        labels (Tensor): Given labels, int64 (n,).
        counts (Tensor): Number of further samples with each given label, float64 (C,).
    """
    known = counts > 0
    if not known.any():
        return stack
    most = 1 - 1 / z.shape[2]
    logits = stack._replace(bias=torch.zeros_like(stack.bias)).log_probabilities(z)
    bias = stack.bias.clone().requires_grad_()
    logit = torch.logit(
        (stack.noise_rate / most).clamp(1e-6, 1 - 1e-6)
    ).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [bias, logit],
        max_iter=100,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        line_search_fn='strong_wolfe',
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        p = F.softmax(logits + bias, dim=1)
        q = given_probabilities(p, most * torch.sigmoid(logit))
        shares = q.mean(dim=0)[known].clamp(min=1e-12)
        value = (counts[known] * (shares / shares.sum()).log()).sum()
        value = value + q.gather(1, labels[:, None]).clamp(min=1e-12).log().sum()
        value = -value / (len(labels) + counts.sum())
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return stack._replace(
        bias=bias.detach(), noise_rate=most * torch.sigmoid(logit.detach())
    )


class Posterior(NamedTuple):
    """Out-of-sample result of a stack for n samples.

    Attributes:
        probabilities (np.ndarray): p, of the true class, (n, C).
        given (np.ndarray): p T, of the given label, (n, C).
        wrong (np.ndarray): s, the probability of a wrong given label, (n,).
        noise_rate (float): e, the mean over the folds.
    """

    probabilities: np.ndarray
    given: np.ndarray
    wrong: np.ndarray
    noise_rate: float


def apply_stack(stack: Stack, z: Tensor, labels: Tensor) -> Posterior:
    """Return the posterior of n samples.

    Args:
        stack (Stack): Fitted to other samples.
        z (Tensor): Standardised outputs (n, B, C), float64.
        labels (Tensor): Given labels, int64 (n,).
    """
    p = stack.log_probabilities(z).exp()
    q = given_probabilities(p, stack.noise_rate)
    own = labels[:, None]
    right = (1 - stack.noise_rate) * p.gather(1, own) / q.gather(1, own)
    wrong = 1 - right[:, 0].clamp(0, 1)
    return Posterior(p.numpy(), q.numpy(), wrong.numpy(), float(stack.noise_rate))


def cross_fit(
    outputs: Sequence[np.ndarray],
    labels: np.ndarray,
    groups: Optional[np.ndarray] = None,
    folds: int = 5,
    seed: int = 0,
    decay: float = DECAY,
    ridge: float = 0.0,
    counts: Optional[np.ndarray] = None,
) -> Posterior:
    """Fit stacks on all folds but one, and apply each to the fold it has not seen.

    Args:
        outputs (Sequence[np.ndarray]): Held-out outputs (n, C) of each classifier.
        labels (np.ndarray): Given labels, int64 (n,).
        groups (np.ndarray, optional): Group of each sample, int64 (n,); a group is in
            one fold. Defaults to None: each sample is a group.
        folds (int): Number of folds. Defaults to 5.
        seed (int): Seed of the folds. Defaults to 0.
        decay (float): See :func:`fit_stack`.
        ridge (float): See :func:`fit_stack`.
        counts (np.ndarray, optional): See :func:`with_label_counts`, (C,).
    """
    values = np.stack(outputs, axis=1)
    mean, scale = moments(values)
    z = torch.from_numpy((values - mean) / scale)
    y = torch.from_numpy(np.asarray(labels, np.int64))
    fold = assign_folds(len(y), groups, folds, seed)
    further = None if counts is None else torch.from_numpy(counts.astype(np.float64))
    # Stacks of the folds differ little from that of all samples: start there.
    start = fit_stack(z, y, decay, ridge=ridge)
    p = np.zeros((len(y), z.shape[2]))
    q, s = np.zeros_like(p), np.zeros(len(y))
    rates = []
    for number in range(folds):
        out = fold == number
        if not out.any():
            continue
        stack = fit_stack(z[~out], y[~out], decay, start, ridge)
        if further is not None:
            stack = with_label_counts(stack, z[~out], y[~out], further)
        p[out], q[out], s[out], rate = apply_stack(stack, z[out], y[out])
        rates.append(rate)
    return Posterior(p, q, s, float(np.mean(rates)))


def moments(outputs: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of outputs, by which they are standardised.

    Args:
        outputs (np.ndarray): (n, B, C).

    Returns:
        tuple[np.ndarray, np.ndarray]: (B, C) each. The scale of constant columns is
        infinite, so that they become 0.
    """
    scale = outputs.std(axis=0)
    return outputs.mean(axis=0), np.where(scale < 1e-12, np.inf, scale)


def assign_folds(
    count: int, groups: Optional[np.ndarray], folds: int, seed: int
) -> np.ndarray:
    """Return a fold in [0, folds) for each sample; a group stays together, (n,)."""
    place = np.arange(count)
    if groups is not None:
        place = np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(place.max() + 1)
    return order[place] % folds
