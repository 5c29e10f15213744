"""Triplet loss of ALUM, Eq. 14."""

import torch
from torch import Tensor


def triplet_hinge(
    mean: Tensor, positive: Tensor, negative: Tensor, margin: float
) -> Tensor:
    """Return the hinge of each triplet, one summand of ALUM Eq. 14.

    Args:
        mean (Tensor): mu of the images x, (N, D).
        positive (Tensor): mu of x+, (N, D).
        negative (Tensor): mu of x-, (N, D).
        margin (float): alpha.

    Returns:
        Tensor: max(|mu - mu+|^2 - |mu - mu-|^2 + alpha, 0), (N, ).
    """
    attraction = (mean - positive).square().sum(dim=1)
    repulsion = (mean - negative).square().sum(dim=1)
    return (attraction - repulsion + margin).clamp(min=0)


def reduce_triplets(
    hinges: Tensor, valid: Tensor, reduction: str, count: float
) -> Tensor:
    """Reduce the hinges of a batch to L_T of ALUM Eq. 14.

    The paper sums. The effective weight of its loss therefore depends on the
    batch size, on p and on the number of images without a positive. With
    ``'mean'`` the weight is always that of the sum at the paper's B = 128 and
    p = 0.2.

    Args:
        hinges (Tensor): Hinge of each triplet, (N, ).
        valid (Tensor): Whether a triplet counts, bool (N, ).
        reduction (str): ``'sum'`` (paper) or ``'mean'``.
        count (float): With ``'mean'``, the mean is multiplied by this number
            of triplets.

    Returns:
        Tensor: Scalar; 0 if no triplet is valid.
    """
    total = torch.where(valid, hinges, 0.0).sum()
    if reduction == 'sum':
        return total
    return total * count / valid.sum().clamp(min=1)
