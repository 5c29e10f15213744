"""Two views of each image of a batch: one erased, one erased and mirrored."""

from typing import Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch import Tensor

from mmfer.datasets.batches.operations import EraseOperation, NoiseOperation
from mmfer.utils.checks import in_range, number_pair
from mmfer.utils.counter_random import uniforms
from mmfer.utils.random import step_key

# Streams of random numbers.
FIRST, SECOND, NOISE = range(3)


class MirroredViews:
    """Makes two views of a batch of prepared images, on their device.

    The first view gets noise with a probability, then a rectangle is erased with
    another. The second view is mirrored. Erased pixels are 0, the mean colour of
    normalised images. In a training step the draws depend on the seed, the step and
    the position of the image in the global batch.

    Args:
        shared_erasing (bool): The second view is the mirror image of the finished
            first one. False: it is the mirror image of the original, and its rectangle
            is drawn anew.
        erase_prob (float): Probability of a rectangle.
        erase_area (tuple[float, float]): Range of its share of the image, in (0, 1].
        erase_aspect (tuple[float, float]): Range of its height over its width, > 0.
        noise_prob (float): Probability of noise.
        noise_variance (float): Variance of the noise, in squared grey levels of images
            from 0 to 255.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        shared_erasing: bool = False,
        erase_prob: float = 0.5,
        erase_area: Sequence[float] = (0.02, 0.25),
        erase_aspect: Sequence[float] = (0.3, 3.3),
        noise_prob: float = 0.5,
        noise_variance: float = 30.0,
    ):
        owner = 'EACClassifier'
        self.shared_erasing = shared_erasing
        self.noise_prob = in_range(owner, 'noise_prob', noise_prob, 0, 1)
        variance = in_range(owner, 'noise_variance', noise_variance, 0)
        self.noise = NoiseOperation(variance)
        self.erasing = EraseOperation(
            in_range(owner, 'erase_prob', erase_prob, 0, 1),
            number_pair(
                owner, 'erase_area', erase_area, 0, 1, open_low=True, strict=False
            ),
            number_pair(
                owner, 'erase_aspect', erase_aspect, 0, open_low=True, strict=False
            ),
            color=(0.0,),
        )

    def make(
        self, images: Tensor, normalisation: Optional[Tuple[Tensor, Tensor]] = None
    ) -> Tuple[Tensor, Tensor]:
        """Return both views of a batch.

        Args:
            images (Tensor): Prepared images, (B, C, H, W); they are not changed.
            normalisation (tuple[Tensor, Tensor], optional): Mean and standard
                deviation by which they were normalised, each (C, 1, 1). Defaults to
                None: they have grey levels from 0 to 255.

        Returns:
            tuple[Tensor, Tensor]: Two batches of the shape of ``images``.
        """
        key = step_key('views')
        if key is None:
            key = int(np.random.randint(2**62))
        rank, world_size = get_dist_info()
        rows = np.arange(rank, len(images) * world_size, world_size)
        noisy = self._add_noise(images, normalisation, key, rows)
        first = self._erase(noisy, key, rows, FIRST)
        if self.shared_erasing:
            return first, first.flip(3)
        return first, self._erase(images.flip(3), key, rows, SECOND)

    def _erase(self, images: Tensor, key: int, rows: np.ndarray, stream: int) -> Tensor:
        """Erase a rectangle of some images."""
        channels, height, width = images.shape[1:]
        numbers = uniforms(key, 0, rows, stream, self.erasing.draws)
        plan = self.erasing.plan(numbers, (height, width, channels))
        return self.erasing.apply(images, to_device(plan, images))

    def _add_noise(
        self,
        images: Tensor,
        normalisation: Optional[Tuple[Tensor, Tensor]],
        key: int,
        rows: np.ndarray,
    ) -> Tensor:
        """Add white noise to some images; grey levels stay within 0 and 255."""
        channels, height, width = images.shape[1:]
        numbers = uniforms(key, 0, rows, NOISE, 1 + self.noise.draws)
        plan = self.noise.plan(numbers[:, 1:], (height, width, channels))
        plan[numbers[:, 0] >= self.noise_prob] = 0
        if not plan[:, 0].any():
            return images
        columns = to_device(plan, images)
        if normalisation is None:
            noisy = self.noise.apply(images, columns)
        else:
            mean, std = normalisation
            noisy = (self.noise.apply(images * std + mean, columns) - mean) / std
        # Rounding would change the others in their last digits.
        chosen = (columns[:, 0] > 0).view(-1, 1, 1, 1)
        return torch.where(chosen, noisy, images)


def to_device(plan: np.ndarray, images: Tensor) -> Tensor:
    """Return parameters on the device of the images, without waiting for it."""
    return torch.tensor(plan).to(images.device, non_blocking=True)
