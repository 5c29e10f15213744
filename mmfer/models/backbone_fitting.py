"""Build backbones for the images of a data set, and make images fit them."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmfer.registry import MODELS

from .feature_sizes import constructor_parameters, get_class
from .utils import as_map, last_feature, probe

# Sides are padded to multiples of these numbers. HRNet, for example, joins
# branches of different strides, and needs multiples of all of them.
DIVISORS = (8, 16, 32)

Padding = Tuple[int, int, int, int]


class ImageFitting(NamedTuple):
    """Changes to prepared images so that the backbone can process them.

    Attributes:
        colour (bool): Whether a grey channel is repeated three times.
        padding (tuple[int, int, int, int]): Zeros added left, right, top and
            bottom, in pixels.
    """

    colour: bool = False
    padding: Padding = (0, 0, 0, 0)

    def __call__(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) with these changes."""
        if self.colour:
            images = images.expand(-1, 3, -1, -1)
        return F.pad(images, self.padding) if any(self.padding) else images


def build_backbone(cfg: dict, channels: int) -> nn.Module:
    """Build a backbone for images of ``channels`` channels.

    Args:
        cfg (dict): Its config. ``in_channels`` is filled in if the images do
            not have three channels and the backbone takes the argument.
        channels (int): Channels of an image.
    """
    cfg = dict(cfg)
    if channels != 3 and takes_channels(cfg):
        cfg.setdefault('in_channels', channels)
    return MODELS.build(cfg)


def takes_channels(cfg: dict) -> bool:
    """Return whether a backbone class has an option for the number of channels.

    VGG and the mobile networks of mmpretrain have none. For them a grey image
    is repeated three times.
    """
    return 'in_channels' in constructor_parameters(get_class(cfg))


def fit_images(
    backbone: nn.Module, example: Tensor, colour: bool, cfg: Optional[dict] = None
) -> Tuple[ImageFitting, Any]:
    """Find the smallest change that makes images fit a backbone.

    Images stay as they are wherever the backbone can process them. Otherwise
    their sides are padded to the next multiple of 8, 16 or 32.

    Args:
        backbone (nn.Module): Any backbone.
        example (Tensor): Blank images, (2, C, H, W).
        colour (bool): Whether grey images are repeated three times.
        cfg (dict, optional): Config of the backbone. With it, an error says
            which of its options to change.

    Returns:
        tuple[ImageFitting, Any]: The change, and what the backbone returns
        for the changed images.

    Raises:
        ValueError: The backbone cannot process the images, changed or not.
            The message gives the reason, and what the backbone can process.
    """
    height, width = example.shape[2:]
    paddings: Dict[Padding, None] = {(0, 0, 0, 0): None}
    for divisor in DIVISORS:
        rows, columns = -height % divisor, -width % divisor
        paddings[columns // 2, columns - columns // 2, rows // 2, rows - rows // 2] = (
            None
        )
    first = None
    # LeNet-5 accepts grey images only, so grey images are tried too.
    for repeat in [True, False] if colour else [False]:
        for padding in paddings:
            fitting = ImageFitting(repeat, padding)
            try:
                return fitting, run_backbone(backbone, fitting(example))
            # Backbones raise errors of any type if sizes do not fit.
            except Exception as error:
                first = first or error
    reason = ' '.join(str(first).split()).rstrip('.')
    ways = [] if cfg is None else suggest_options(backbone, cfg, example, colour)
    raise ValueError(
        f'{type(backbone).__name__} cannot process images of shape '
        f'{tuple(example.shape[1:])} (data_preprocessor.input_shape): '
        f'{reason}. '
        + (
            f'It can with {", or with ".join(ways)}.'
            if ways
            else ('' if cfg is None else 'Images of 224 or 32 px do not help. ')
            + 'Give it other options, or take another backbone.'
        )
    ) from first


def suggest_options(
    backbone: nn.Module, cfg: dict, example: Tensor, colour: bool
) -> List[str]:
    """Find options or image shapes with which a backbone works.

    Args:
        backbone (nn.Module): Backbone as it was built.
        cfg (dict): Its config.
        example (Tensor): Blank images, (2, C, H, W).
        colour (bool): Whether grey images are repeated three times.

    Returns:
        list[str]: Each entry describes one way; empty if none was found.
    """
    _, channels, height, width = example.shape
    accepted = constructor_parameters(get_class(cfg))
    ways = []
    sizes = {(height, width): None, (-(-height // 32) * 32, -(-width // 32) * 32): None}
    small: Dict[str, Any] = dict(pad_small_map=True)
    tried: List[Dict[str, Any]] = [
        dict(img_size=size[0] if size[0] == size[1] else size) for size in sizes
    ]
    # TinyViT does not accept a single number.
    tried += (
        [dict(img_size=size) for size in sizes]
        + [small]
        + [dict(small, **options) for options in tried]
    )

    def build_with(options: Dict[str, Any]) -> Callable[[], nn.Module]:
        return lambda: build_backbone(dict(cfg, **options), channels)

    for options in tried:
        if accepted.issuperset(options) and can_process(
            build_with(options), example, colour
        ):
            ways.append(
                ' and '.join(
                    f'backbone.{name}={value}' for name, value in options.items()
                )
            )
            break
    for shape in ((channels, 224, 224), (1, 32, 32)):
        if can_process(
            lambda: backbone, torch.zeros(2, *shape), colour and shape[0] == 1
        ):
            ways.append(
                f'images of shape {shape} (set '
                'data_preprocessor.input_shape, and the sizes in '
                'the pipelines)'
            )
            break
    return ways


def can_process(build: Callable[[], nn.Module], example: Tensor, colour: bool) -> bool:
    """Return whether a backbone can be built, and can process ``example``."""
    # Backbones raise errors of any type for options or sizes that do not suit.
    try:
        fit_images(build(), example, colour)
    except Exception:
        return False
    return True


def run_backbone(backbone: nn.Module, example: Tensor) -> Any:
    """Return the features of blank images, and leave the backbone unchanged.

    Raises:
        ValueError: The backbone returns no features.
    """
    feats = probe(backbone, example)
    as_map(last_feature(feats))
    return feats
