"""Measure the size of prepared images, and how much of them is visible."""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# A random crop is drawn several times, and the largest draw counts. The reason:
# over many epochs a RandomResizedCrop sees the whole image, while a RandomCrop
# never sees more than its own size. DRAWS is the number of draws if all are
# equal, MAX_DRAWS if they differ. Four draws are not enough: with mmpretrain's
# default, all four are small for one image in twenty.
DRAWS, MAX_DRAWS = 4, 32
# Visible share of a side from which no further draws are needed.
ENOUGH = 0.8


class PreparedImage(NamedTuple):
    """Image after a pipeline, and how much of it is visible.

    Attributes:
        name (str): Name of the image, for messages.
        size (tuple[int, int]): Height and width of the file in pixels.
        shape (tuple[int, ...], optional): Shape (C, H, W) of the model input;
            None if the pipeline does not pack one image.
        visible (float): Share of the image's area that the model sees, in
            (0, 1].
        visible_before_resize (float): The same share after the crops that come
            before the first resize.
        inputs (Tensor, optional): Model input of shape ``shape``.
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
    """Run a pipeline step by step and follow the size of the image.

    Args:
        transforms (Sequence[Callable]): Steps of the pipeline.
        info (dict): Annotation of a sample, as a data set gives it; it is not
            changed.
        name (str): Name of the image, for messages.

    Returns:
        PreparedImage, optional: None if no step loads an image.
    """
    results = dict(info)
    if 'img' in results:
        # Some transforms write into their input image.
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
    """Measure the share of an image that is visible after a step.

    The step is run on ramps: images whose grey level rises from 0 to 255
    along one side. The range of grey levels after the step is the visible
    share of that side. So this works for the crops of any library.

    Args:
        transform (Callable): Step that changes the size.
        given (dict): Input of the step.
        new_size (tuple[int, int]): Height and width after the step.

    Returns:
        tuple[float, bool]: Share of the area, and whether the step scales
        the image, alone or after a crop. (1, True) if it cannot be measured.
    """
    share, scaled = 1.0, False
    old_size = image_size(given['img'])
    assert old_size is not None
    for axis, length in enumerate(old_size):
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
                # The transform needs more than an image and cannot be measured.
                return 1.0, True
            span = float(left.max() - left.min()) / 255
            seen, least = max(seen, span), min(least, span)
        pixels = 1 + seen * (length - 1)
        # The tolerance is needed because grey levels are whole numbers.
        scaled |= abs(pixels - new_size[axis]) > max(2, 3 * length / 255)
        share *= pixels / length
    return min(share, 1.0), scaled


def image_size(image: Any) -> Optional[Tuple[int, int]]:
    """Return height and width of an array, tensor or PIL image, else None."""
    if isinstance(image, Image.Image):
        return image.size[::-1]
    if isinstance(image, Tensor) and image.ndim >= 2:
        return image.shape[-2], image.shape[-1]
    if isinstance(image, np.ndarray) and image.ndim >= 2:
        return image.shape[0], image.shape[1]
    return None


def ramp(image: Any, axis: int) -> Any:
    """Make an image of the same kind and size that rises from 0 to 255.

    Args:
        image: Array, tensor or PIL image.
        axis (int): 0 to rise from top to bottom, 1 from left to right.
    """
    size = image_size(image)
    assert size is not None
    height, width = size
    line = np.linspace(0, 255, (height, width)[axis]).round()
    # Convert before the line is repeated: a photo as floats takes 300 MB.
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
