"""Attention maps of EAC (ECCV'22) and their consistency, as functions of tensors."""

import torch
from torch import Tensor


def attention_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Return where each class is seen, ``A_c = sum over d of W_cd f_d``.

    No bias is added, and negative values stay. The mean over the positions is the
    logit of the class without its bias.

    Args:
        features (Tensor): Last feature map f, (B, D, H, W).
        weight (Tensor): Weight W of the classifier, (C, D). It gets no gradient:
            otherwise smaller weights would make all maps consistent.

    Returns:
        Tensor: Shape (B, C, H, W), with gradients to ``features``.
    """
    return torch.einsum('bdhw,cd->bchw', features, weight.detach())


def flip_consistency(first: Tensor, mirrored: Tensor) -> Tensor:
    """Return the distance of the attention maps of a view and of its mirror image.

    Args:
        first (Tensor): Attention maps of the first view, (B, C, H, W).
        mirrored (Tensor): Attention maps of the mirrored view, (B, C, H, W). They are
            mirrored back here.

    Returns:
        Tensor: Mean of the squared differences over B, C, H and W, at least 0, with
        gradients to both.
    """
    return (first - mirrored.flip(3)).square().mean()
