"""Measure what a pipeline leaves of an image: its size, and how much of it."""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Draws of a random crop of which the largest counts: a RandomResizedCrop
# sees the whole image in time, a RandomCrop never sees more than its size. If
# the first draws differ, there are more: four of mmpretrain's default are all
# small for one image in twenty.
DRAWS, MAX_DRAWS = 4, 32
# Share of a side from which further draws would tell nothing.
ENOUGH = 0.8


class PreparedImage(NamedTuple):
    """One image, as a pipeline has made it.

    Attributes:
        name (str): Of the image, for messages.
        size (tuple[int, int]): Height and width of the file in pixels.
        shape (tuple[int, ...], optional): (C, H, W) of what the model gets;
            None if the pipeline packs no single image.
        visible (float): Share of the image's area that the model sees, in
            (0, 1].
        visible_before_resize (float): The same, but for crops in the size of
            the file alone, before any step has resized the image.
        inputs (Tensor, optional): What the model gets, of ``shape``.
    """

    name: str
    size: Tuple[int, int]
    shape: Optional[Tuple[int, ...]]
    visible: float
    visible_before_resize: float
    inputs: Optional[Tensor] = None


def spread_positions(length: int, count: int) -> List[int]:
    """Spread at most ``count`` positions evenly over ``length`` samples."""
    places = np.linspace(0, length - 1, min(length, count))
    return np.unique(places.round().astype(int)).tolist()


def prepare_image(
    transforms: Sequence[Callable], info: dict, name: str
) -> Optional[PreparedImage]:
    """Run a pipeline step by step and watch the size of the image.

    Args:
        transforms (Sequence[Callable]): Steps of the pipeline.
        info (dict): Annotation of a sample, as a data set gives it; it is
            left as it is.
        name (str): Of the image, for messages.

    Returns:
        PreparedImage, optional: None if no step loads an image.
    """
    results = dict(info)
    if 'img' in results:
        # Some transforms write into the image that they are given.
        results['img'] = results['img'].copy()
    first, visible, before_resize, resized = None, 1.0, 1.0, False
    for transform in transforms:
        size = image_size(results.get('img'))
        first = first or size
        given = dict(results)
        results = transform(results)
        if not isinstance(results, dict):
            break
        new_size = image_size(results.get('img'))
        if size is None or new_size is None or size == new_size:
            continue
        share, scaled = visible_share(transform, given, new_size)
        visible *= share
        resized |= scaled
        if not resized:
            before_resize *= share
    if first is None:
        return None
    inputs = results.get('inputs') if isinstance(results, dict) else None
    if not isinstance(inputs, Tensor):
        inputs = None
    return PreparedImage(
        name,
        first,
        inputs if inputs is None else tuple(inputs.shape),
        visible,
        before_resize,
        inputs,
    )


def visible_share(
    transform: Callable, given: dict, new_size: Tuple[int, int]
) -> Tuple[float, bool]:
    """Measure how much of an image a step lets through.

    The step is run on images that rise from 0 to 255 along one side; the
    span of grey levels that is left is the span of that side that is seen.
    So no list of the crops of all libraries is needed.

    Args:
        transform (Callable): A step that changes the size.
        given (dict): What it was given.
        new_size (tuple[int, int]): Height and width of what it made.

    Returns:
        tuple[float, bool]: Share of the area, and whether the step scales
        the image, alone or after a crop. (1, True) if it cannot be measured.
    """
    share, scaled = 1.0, False
    for axis, length in enumerate(image_size(given['img'])):
        seen, least = 0.0, 1.0
        for draw in range(MAX_DRAWS):
            if (
                seen >= ENOUGH
                or draw >= DRAWS
                and (seen - least) * length < 2 + length / 255
            ):
                break
            results = dict(given, img=ramp(given['img'], axis))
            try:
                left = np.asarray(transform(results)['img'], dtype=float)
            except Exception:
                # A transform that wants more than an image: say nothing.
                return 1.0, True
            span = float(left.max() - left.min()) / 255
            seen, least = max(seen, span), min(least, span)
        pixels = 1 + seen * (length - 1)
        # Grey levels are whole numbers.
        scaled |= abs(pixels - new_size[axis]) > max(2, 3 * length / 255)
        share *= pixels / length
    return min(share, 1.0), scaled


def image_size(image: Any) -> Optional[Tuple[int, int]]:
    """Height and width of an array, a tensor or a PIL image, else None."""
    if isinstance(image, Image.Image):
        return image.size[::-1]
    if isinstance(image, Tensor) and image.ndim >= 2:
        return tuple(image.shape[-2:])
    if isinstance(image, np.ndarray) and image.ndim >= 2:
        return image.shape[:2]
    return None


def ramp(image: Any, axis: int) -> Any:
    """Make an image of the same kind and size that rises from 0 to 255.

    Args:
        image: See :func:`image_size`.
        axis (int): 0: from top to bottom, 1: from left to right.
    """
    height, width = image_size(image)
    line = np.linspace(0, 255, (height, width)[axis]).round()
    # In its final type before it is spread: a photo as floats has 300 MB.
    line = line.astype(image.dtype if isinstance(image, np.ndarray) else np.uint8)
    plane = line if axis else line[:, None]
    if isinstance(image, np.ndarray):
        return np.broadcast_to(
            plane if image.ndim == 2 else plane[..., None], image.shape
        ).copy()
    plane = np.broadcast_to(plane, (height, width)).copy()
    if isinstance(image, Image.Image):
        return Image.fromarray(plane).convert(image.mode)
    return torch.from_numpy(plane).expand(image.shape).to(image.dtype).clone()
