"""Equations of LTNet (ECCV 2018), one function for each.

B images, C classes, A annotators. h is the distribution of the latent true label. The
matrix P_a of annotator a is row-stochastic, (C, C): P_a[i, j] is the probability that
the annotator gives the label j to an image of the true class i. A label of -1 is
missing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Smaller entries of a matrix count as this one, so that their logarithm is finite.
TINY = 1e-12
MISSING = -1


def project_rows(matrices: Tensor, min_entry: float) -> Tensor:
    """Return stochastic matrices: negative entries become m, then rows sum to 1.

    Args:
        matrices (Tensor): Real numbers, (A, C, C). Each row has a positive sum after
            the first of the two steps.
        min_entry (float): m, above 0.
    """
    positive = matrices.masked_fill(matrices < 0, min_entry)
    return positive / positive.sum(dim=2, keepdim=True)


def initial_matrices(draw: Tensor, min_entry: float, diagonal: float = 999.0) -> Tensor:
    """Return the matrices at the start, which are nearly the identity.

    Args:
        draw (Tensor): Random numbers around 0, (A, C, C).
        min_entry (float): Replaces negative numbers, above 0.
        diagonal (float): Replaces the diagonal before the rows are divided by their
            sums. Defaults to 999, as in the published code.
    """
    start = draw.masked_fill(draw < 0, min_entry)
    start.diagonal(dim1=1, dim2=2).fill_(diagonal)
    return start / start.sum(dim=2, keepdim=True)


def observed_log_prob(log_prob: Tensor, matrices: Tensor) -> Tensor:
    """Return log(h P_a), the log-probabilities of the labels of each annotator.

    Args:
        log_prob (Tensor): log h, (B, C).
        matrices (Tensor): Row-stochastic, (A, C, C).

    Returns:
        Tensor: Shape (B, A, C).
    """
    joint = log_prob[:, None, :, None] + matrices.clamp_min(TINY).log()
    return torch.logsumexp(joint, dim=2)


def label_losses(
    log_prob: Tensor, labels: Tensor, matrices: Tensor, double_softmax: bool = False
) -> Tensor:
    """Return -log(h P_a)[y_a] of each label, 0 for missing ones.

    Args:
        log_prob (Tensor): log h, (B, C).
        labels (Tensor): Labels y, int64 (B, A); -1 where missing.
        matrices (Tensor): Row-stochastic, (A, C, C).
        double_softmax (bool): Apply a softmax to the probabilities h P_a, as the
            published code does. The loss then lies in
            [log(e + C - 1) - 1, log(e + C - 1)]. Defaults to False.

    Returns:
        Tensor: Shape (B, A), at least 0.
    """
    observed = observed_log_prob(log_prob, matrices)
    if double_softmax:
        observed = observed.exp().log_softmax(dim=2)
    return _nll(observed, labels)


def plain_losses(log_prob: Tensor, labels: Tensor) -> Tensor:
    """Return -log h[y_a] of each label, 0 for missing ones; the first stage.

    Args:
        log_prob (Tensor): log h, (B, C).
        labels (Tensor): Labels y, int64 (B, A); -1 where missing.

    Returns:
        Tensor: Shape (B, A), at least 0.
    """
    return _nll(log_prob[:, None].expand(-1, labels.shape[1], -1), labels)


def true_posterior(log_prob: Tensor, labels: Tensor, matrices: Tensor) -> Tensor:
    """Return the distribution of the true label, given image and labels, (N, C).

    pi_k is proportional to h_k times the product of P_a[k, y_a] over the annotators
    that gave a label.

    Args:
        log_prob (Tensor): log h, (N, C).
        labels (Tensor): Labels y, int64 (N, A); -1 where missing.
        matrices (Tensor): Row-stochastic, (A, C, C).
    """
    log_matrices = matrices.clamp_min(TINY).log()
    evidence = log_prob.clone()
    for own, given in zip(log_matrices, labels.T, strict=True):
        columns = own.T[given.clamp_min(0)]
        evidence += columns.masked_fill((given == MISSING)[:, None], 0)
    return evidence.softmax(dim=1)


def _nll(log_prob: Tensor, labels: Tensor) -> Tensor:
    """Return minus the log-probability of each label, 0 where missing, (B, A)."""
    losses = F.nll_loss(
        log_prob.flatten(0, 1), labels.flatten(), ignore_index=MISSING, reduction='none'
    )
    return losses.view(labels.shape)
