"""Interface of the operations on a batch, and what several of them use."""

from typing import Any, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

Shape = Tuple[int, int, int]
"""Height, width and channels of an image."""

# What a CPU computes at once: intermediate results of so many values, which have
# four or eight bytes each, stay in its cache.
CHUNK_VALUES = 1 << 18


class UnsupportedShape(ValueError):
    """Error for images of a shape for which an operation has no batch form."""


class BatchOperation:
    """One step of a pipeline for a whole batch of uint8 images.

    A step of a pipeline draws random numbers and changes the pixels of an image.
    Here both parts are separate. :meth:`plan` turns uniform numbers into
    parameters, for all samples at once, in numpy. :meth:`apply` changes the pixels,
    on the device of the images. It is a function of its arguments, so a sample
    gets the same pixels in any batch.

    Subclasses write :meth:`plan` and :meth:`apply_static`. They write
    :meth:`neutral` if the step may be inside of ``RandomApply``.
    """

    draws: int = 0
    """Number of uniform numbers per sample."""

    columns: int = 0
    """Number of parameters per sample."""

    @classmethod
    def from_transform(cls, transform: Any) -> Optional['BatchOperation']:
        """Make the operation of a step of a pipeline.

        Args:
            transform (Callable): The step, of the class that belongs to this
                operation.

        Returns:
            BatchOperation | None: None if its options have no batch form.
        """
        raise NotImplementedError

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape (H, W, C) of the result for images of a shape (H, W, C).

        Raises:
            UnsupportedShape: The operation has no batch form for this shape.
        """
        return shape

    def plan(self, uniforms: np.ndarray, shape: Shape) -> np.ndarray:
        """Turn uniform numbers into parameters.

        Args:
            uniforms (np.ndarray): Numbers in [0, 1), shape (B, draws).
            shape (tuple): Height, width and channels of the images.

        Returns:
            np.ndarray: Shape (B, columns), float64.
        """
        return np.zeros((len(uniforms), 0))

    def neutral(self, shape: Shape) -> Optional[np.ndarray]:
        """Return the parameters that leave every pixel of an image as it is.

        Returns:
            np.ndarray | None: Shape (columns,), float64; None if there are none, as
            for an operation that changes the size of images.
        """
        return None

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Change the images as planned.

        On a GPU, all images take the same way, with shapes that do not depend on
        the plan and no read on the host. On a CPU, only the images that change are
        computed. Both ways give the same pixels.

        Args:
            images (Tensor): Shape (B, C, H, W), uint8, in any memory format. They
                are not changed in place.
            plan (Tensor): Result of :meth:`plan` on the device of the images,
                shape (B, columns), float64.

        Returns:
            Tensor: Shape (B, C, H', W'), uint8. It may be ``images`` itself.
        """
        if images.device.type != 'cpu':
            return self.apply_static(images, plan)
        batch, channels, height, width = images.shape
        shape = (height, width, channels)
        neutral = self.neutral(shape)
        if neutral is None:
            index = torch.arange(batch)
            result = empty_images(images, batch, *self.output_shape(shape))
        else:
            index = torch.from_numpy((plan.numpy() != neutral).any(1).nonzero()[0])
            if not len(index):
                return images
            result = copy_images(images)
        source, target = (x.permute(0, 2, 3, 1) for x in (images, result))
        step = max(CHUNK_VALUES // max(height * width * channels, 1), 1)
        for rows in index.split(step):
            chosen = source[rows].permute(0, 3, 1, 2)
            target[rows] = self.apply_static(chosen, plan[rows]).permute(0, 2, 3, 1)
        return result

    def apply_static(self, images: Tensor, plan: Tensor) -> Tensor:
        """Change the images as planned, with operations of static shapes.

        Arguments and result are those of :meth:`apply`.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        options = ', '.join(f'{name}={value!r}' for name, value in vars(self).items())
        return f'{type(self).__name__}({options})'


def empty_images(
    images: Tensor, batch: int, height: int, width: int, channels: int
) -> Tensor:
    """Make images of the type and on the device of others, without values.

    Returns:
        Tensor: Shape (B, C, H, W). A pixel has its channels together.
    """
    return torch.empty(
        (batch, channels, height, width),
        dtype=images.dtype,
        device=images.device,
        memory_format=torch.channels_last,
    )


def copy_images(images: Tensor) -> Tensor:
    """Copy images of shape (B, C, H, W), so that a pixel has its channels together."""
    return images.clone(memory_format=torch.channels_last)


def pixel_values(value: Any, channels: int) -> Optional[Tuple[int, ...]]:
    """Grey levels of each channel as OpenCV reads a border value.

    OpenCV gives a single number to the first channel, and zero to the others.

    Args:
        value (Number | Sequence[Number]): A number, or one per channel.
        channels (int): Number of channels.

    Returns:
        tuple[int, ...] | None: One grey level per channel; None if ``value`` has
        another number of channels.
    """
    values = list(value) if isinstance(value, Sequence) else [value]
    if isinstance(value, Sequence) and len(values) != channels:
        return None
    rounded = np.clip(np.rint(np.array(values, float)), 0, 255).astype(int).tolist()
    return tuple(rounded + [0] * (channels - len(rounded)))


def channel_tensor(values: Sequence[int], images: Tensor) -> Union[int, Tensor]:
    """Return one grey level per channel on the device of the images.

    The tensor is filled on the device: a copy from the host would be a read of a
    value in a CUDA graph.

    Returns:
        int | Tensor: A number if all channels have the same one, else shape
        (1, C, 1, 1), uint8.
    """
    if len(set(values)) == 1:
        return values[0]
    return torch.cat([images.new_full((1, 1, 1, 1), value) for value in values], 1)


def integers(uniform: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return integers in [0, count), float64; zero where ``count`` is below 1."""
    return np.maximum(np.floor(uniform * count), 0.0)
