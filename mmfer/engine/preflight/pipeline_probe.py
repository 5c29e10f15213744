"""Measure the size of prepared images, and how much of them is visible."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmfer.datasets import CropFace, LoadFERImage
from mmfer.datasets.images import MAX_PIXELS, upright_size

# A random crop is drawn several times, and the largest draw counts. The reason:
# over many epochs a RandomResizedCrop sees the whole image, while a RandomCrop
# never sees more than its own size. DRAWS is the number of draws if all are
# equal, MAX_DRAWS if they differ. Four draws are not enough: with mmpretrain's
# default, all four are small for one image in twenty.
DRAWS, MAX_DRAWS = 4, 32
# Visible share of a side from which no further draws are needed.
ENOUGH = 0.8
# Number of pixels from which a file is not decoded. A photo takes a third of a
# second, and its size is in its header.
LARGE = 1_000_000
# Libraries whose steps look at nothing but the image to choose its new size. Users'
# steps may crop around a face, which a list gives for each file.
PLAIN_LIBRARIES = ('mmcv', 'mmpretrain', 'mmfer', 'torchvision')
# Entries of a sample that do not matter to these steps.
LABELS = (
    'img',
    'img_path',
    'img_shape',
    'ori_shape',
    'sample_id',
    'sample_idx',
    'gt_label',
    'gt_label_sets',
    'gt_va',
)

# Visible share by the step and by the kind of image, see :func:`visible_share`.
Shares = Dict[tuple, Tuple[float, bool]]


class PreparedImage(NamedTuple):
    """Image after a pipeline, and how much of it is visible.

    Attributes:
        name (str): Name of the image, for messages.
        size (tuple[int, int]): Height and width of the file in pixels, or of
            the face that ``CropFace`` takes from it.
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
    transforms: Sequence[Callable],
    info: dict,
    name: str,
    shares: Optional[Shares] = None,
) -> Optional[PreparedImage]:
    """Run a pipeline step by step and follow the size of the image.

    Args:
        transforms (Sequence[Callable]): Steps of the pipeline.
        info (dict): Annotation of a sample, as a data set gives it; it is not
            changed.
        name (str): Name of the image, for messages.
        shares (dict, optional): What other images of this data set have shown; it
            is extended. Defaults to None: measure everything.

    Returns:
        PreparedImage, optional: None if no step loads an image.
    """
    shares = {} if shares is None else shares
    results = dict(info)
    if 'img' in results:
        # Some transforms write into their input image.
        results['img'] = results['img'].copy()
    first, visible, before_resize, resized = None, 1.0, 1.0, False
    for transform in transforms:
        size = image_size(results.get('img'))
        first = first or size
        given = dict(results)
        results = blank_photo(transform, results) or transform(results)
        if not isinstance(results, dict):
            break
        new_size = image_size(results.get('img'))
        if size is None or new_size is None or size == new_size:
            continue
        if type(transform) is CropFace:
            # The photo around the face is meant to be lost.
            first = new_size
            continue
        key = share_key(transform, given)
        if key in shares:
            share, scaled = shares[key]
        else:
            share, scaled, settled = visible_share(transform, given, new_size)
            if key is not None and settled:
                shares[key] = share, scaled
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


def blank_photo(transform: Callable, results: dict) -> Optional[dict]:
    """Load a blank image of the right size in place of a large photo.

    Only the size counts here, and decoding 32 photos takes ten seconds.

    Args:
        transform (Callable): Step of a pipeline.
        results (dict): Input of the step; it is not changed.

    Returns:
        dict, optional: Output of the step; None if the step must be run.
    """
    if type(transform) is not LoadFERImage or 'img' in results:
        return None
    size = upright_size(results['img_path'])
    if size is None or not LARGE < size[0] * size[1] <= MAX_PIXELS:
        return None
    shape = size if transform.color_type == 'grayscale' else (*size, 3)
    image = np.zeros(shape, np.uint8)
    return dict(results, img=image, img_shape=size, ori_shape=size)


def share_key(transform: Callable, given: dict) -> Optional[tuple]:
    """Return what the visible share after a step depends on, None if unknown.

    Args:
        transform (Callable): Step that changes the size.
        given (dict): Input of the step.
    """
    library, *modules = type(transform).__module__.split('.')
    # A wrapper may contain a user's step.
    if library not in PLAIN_LIBRARIES or 'wrappers' in modules:
        return None
    image = given['img']
    kind = type(image), getattr(image, 'dtype', getattr(image, 'mode', None))
    shape = getattr(image, 'shape', None) or image_size(image)
    others = sorted((k, repr(v)) for k, v in given.items() if k not in LABELS)
    return id(transform), kind, shape, tuple(others)


def visible_share(
    transform: Callable, given: dict, new_size: Tuple[int, int]
) -> Tuple[float, bool, bool]:
    """Measure the share of an image that is visible after a step.

    The step is run on ramps: images whose grey level rises from 0 to 255
    along one side. The range of grey levels after the step is the visible
    share of that side. So this works for the crops of any library.

    Args:
        transform (Callable): Step that changes the size.
        given (dict): Input of the step.
        new_size (tuple[int, int]): Height and width after the step.

    Returns:
        tuple[float, bool, bool]: Share of the area; whether the step scales the
        image, alone or after a crop; and whether other images of this size would
        give the same, because the draws are equal or soon show enough. (1, True,
        False) if it cannot be measured.
    """
    share, scaled, settled = 1.0, False, True
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
                left = np.asarray(transform(results)['img'])
            except Exception:
                # The transform needs more than an image and cannot be measured.
                return 1.0, True, False
            span = (float(left.max()) - float(left.min())) / 255
            seen, least = max(seen, span), min(least, span)
        settled &= draw <= DRAWS
        pixels = 1 + seen * (length - 1)
        # The tolerance is needed because grey levels are whole numbers.
        scaled |= abs(pixels - new_size[axis]) > max(2, 3 * length / 255)
        share *= pixels / length
    return min(share, 1.0), scaled, settled


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
        # Copying whole rows is several times faster than copying pixels.
        rows = np.empty((height, image.size // height), image.dtype)
        rows[:] = np.repeat(line, rows.shape[1] // width) if axis else plane
        return rows.reshape(image.shape)
    plane = np.broadcast_to(plane, (height, width)).copy()
    if isinstance(image, Image.Image):
        return Image.fromarray(plane).convert(image.mode)
    return torch.from_numpy(plane).expand(image.shape).to(image.dtype).clone()
