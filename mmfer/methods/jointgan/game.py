"""Tuples of encoder and decoder, and helpers for a step of the game."""

from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.dist import get_dist_info
from torch import Tensor

from mmfer.models.gathering import gather_batch, interleave, own_images, step_normal

# BatchNorm statistics need at least so many tuples.
MIN_TUPLES = 2


class Tuples(NamedTuple):
    """Tuples of one batch, see Eq. 5.

    Each is a list of images, latent vectors (only with a decoder) and the labels
    of each label set, all (B, ...).

    Attributes:
        real (list[Tensor]): Tuples of the encoder: real images with the
            predicted latent vectors, classes, and valence and arousal.
        generated (list[Tensor]): Tuples of the decoder: generated images with
            the latent vectors and labels from which they were made.
    """

    real: List[Tensor]
    generated: List[Tensor]


class Complete(NamedTuple):
    """Images with complete labels in a batch; only these are used in the game.

    Attributes:
        mask (np.ndarray): Whether an image of the global batch is complete, bool
            (B * W, ), in the order of :mod:`mmfer.models.gathering`.
    """

    mask: np.ndarray

    @classmethod
    def of(cls, positions: np.ndarray, batch_size: int) -> 'Complete':
        """Join the complete images of all processes.

        Args:
            positions (np.ndarray): Complete images of this process, int64.
            batch_size (int): Number of images of this process, B.
        """
        mask = np.zeros(batch_size, np.uint8)
        mask[positions] = 1
        if get_dist_info()[1] > 1:
            mask = interleave(torch.from_numpy(mask)).numpy()
        return cls(mask.astype(bool))

    @property
    def own(self) -> np.ndarray:
        """Positions of complete images in the batch of this process, int64."""
        rank, world_size = get_dist_info()
        return np.flatnonzero(self.mask[rank::world_size])

    @property
    def fewest(self) -> int:
        """Smallest number of complete images in a process."""
        world_size = get_dist_info()[1]
        return int(self.mask.reshape(-1, world_size).sum(axis=0).min())

    @property
    def weight(self) -> float:
        """Factor of a mean over the complete images of this process.

        With it, the mean over the processes is that of the global batch.
        """
        return len(self.own) * get_dist_info()[1] / int(self.mask.sum())

    def previous(self, values: Tensor) -> Tensor:
        """Return for each complete image the value of the one before it.

        The order is that of the global batch. The first image gets the value of
        the last one.

        Args:
            values (Tensor): Values of complete images of this process, (n, ...).

        Returns:
            Tensor: Same shape.
        """
        everywhere, own = (
            torch.from_numpy(positions).to(values.device)
            for positions in (np.flatnonzero(self.mask), self.own)
        )
        batch_size = len(self.mask) // get_dist_info()[1]
        padded = values.new_zeros(batch_size, *values.shape[1:])
        gathered = gather_batch(padded.index_copy(0, own, values))
        moved = gathered[everywhere].roll(1, 0)
        return own_images(gathered.index_copy(0, everywhere, moved))[own]


def draw_latents(images: Tensor, width: int) -> Optional[Tuple[Tensor, Tensor]]:
    """Draw the random numbers of the tuples of one batch.

    Args:
        images (Tensor): Prepared images, (B, C, H, W).
        width (int): Length L of a latent vector.

    Returns:
        tuple[Tensor, Tensor], optional: Latent vectors for the decoder, and noise
        for those of the encoder, standard normal (B, L). None if there are too few
        images for a game.
    """
    if len(images) < MIN_TUPLES:
        return None
    return step_normal('latent', len(images), width, images)


def exchange_labels(
    real: List[Tensor], label_sets: int, complete: Optional[Complete] = None
) -> List[Tensor]:
    """Return tuples of the encoder, each with the labels of the one before it.

    Args:
        real (list[Tensor]): Tuples of the encoder, see :class:`Tuples`, without
            gradient.
        label_sets (int): Number of label sets. They are the last entries of
            ``real``.
        complete (Complete, optional): Images in the tuples. Defaults to all.
    """

    def previous(labels: Tensor) -> Tensor:
        if complete is not None:
            return complete.previous(labels)
        return own_images(gather_batch(labels).roll(1, 0))

    first = len(real) - label_sets
    return real[:first] + [previous(labels) for labels in real[first:]]


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
