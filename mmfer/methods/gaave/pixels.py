"""Use models as functions of pixels in [0, 1]."""

from typing import Any, Callable, ContextManager, Optional

import torch
from mmengine.model import BaseModel
from torch import Tensor


def to_unit_range(inputs: Any, device: Optional[torch.device] = None) -> Tensor:
    """Scale the images of a batch to [0, 1].

    Args:
        inputs (Tensor): 8-bit images, (B, C, H, W).
        device (torch.device, optional): Device of the result. Bytes are moved,
            not floats. Defaults to that of the inputs.

    Raises:
        ValueError: The images are not 8-bit, so their scale is not known.
    """
    if not isinstance(inputs, Tensor) or inputs.dtype != torch.uint8:
        kind = inputs.dtype if isinstance(inputs, Tensor) else 'a list'
        raise ValueError(
            f'GAAVE attacks pixels in [0, 1], but the validation pipeline '
            f'gives {kind}. End it with 8-bit images of one size, and let '
            'data_preprocessor normalise them.'
        )
    pixels = inputs.to(device).contiguous().float()
    # A GPU multiplies by the inverse of a number, and divides by a tensor. Only the
    # latter gives the same bits as a CPU.
    return pixels / pixels.new_full((), 255)


def pixel_classifier(model: BaseModel) -> Callable[[Tensor], Tensor]:
    """Return the logits of a classifier as a function of images in [0, 1].

    Args:
        model (BaseModel): Classifier whose data preprocessor normalises images.
    """

    def classify(images: Tensor) -> Tensor:
        data = model.data_preprocessor(dict(inputs=images * 255))
        return model(data['inputs'], mode='tensor')

    return classify


def exact_float32() -> ContextManager:
    """Return a context in which GPUs compute in full float32, repeatably."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
