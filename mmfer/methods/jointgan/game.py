"""Tuples of encoder and decoder, and helpers for a step of the game."""

from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Sequence

import torch
import torch.nn as nn
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor


class Tuples(NamedTuple):
    """Tuples of one batch, see Eq. 5.

    Each is a list of images, latent vectors (only with a decoder) and the labels
    of each label set, all (B, ...).

    Attributes:
        real (list[Tensor]): Tuples of the encoder: real images with the
            predicted latent vectors, logits, and valence and arousal.
        generated (list[Tensor]): Tuples of the decoder: generated images with
            the latent vectors and labels from which they were made.
    """

    real: List[Tensor]
    generated: List[Tensor]


def exchange_labels(real: List[Tensor], label_sets: int) -> List[Tensor]:
    """Return tuples of the encoder, each with the labels of the one before it.

    Args:
        real (list[Tensor]): Tuples of the encoder, see :class:`Tuples`.
        label_sets (int): Number of label sets. They are the last entries of
            ``real``.
    """
    first = len(real) - label_sets
    return real[:first] + [labels.roll(1, 0) for labels in real[first:]]


def mean_by_kind(
    prefix: str, parts: Tensor, score_names: Sequence[str]
) -> Dict[str, Tensor]:
    """Return the mean loss of each kind of score, for the log.

    Args:
        prefix (str): Prefix of the names, ``'d'`` or ``'g'``.
        parts (Tensor): Loss of each score, (K, ).
        score_names (Sequence[str]): Kind of each score.
    """
    parts = parts.detach()
    return {
        f'{prefix}_{kind}': torch.stack(
            [
                part
                for part, name in zip(parts, score_names, strict=True)
                if name == kind
            ]
        ).mean()
        for kind in dict.fromkeys(score_names)
    }


def min_over_processes(count: int) -> int:
    """Return the smallest ``count`` among all processes."""
    if get_world_size() == 1:
        return count
    smallest = torch.tensor(count)
    all_reduce(smallest, 'min')
    return int(smallest)


def detach(tensors: List[Tensor]) -> List[Tensor]:
    """Return tensors with the same values but without gradient."""
    return [tensor.detach() for tensor in tensors]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Switch off gradients of a module's parameters in this context."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
