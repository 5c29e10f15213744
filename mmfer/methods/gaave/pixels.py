"""Models as functions of pixels in [0, 1]."""

from typing import Callable

import torch
import torch.nn as nn
from torch import Tensor


def pixels(inputs) -> Tensor:
    """Images of a batch, in [0, 1].

    Raises:
        ValueError: They are not 8-bit, so that their scale is not known.
    """
    if not isinstance(inputs, Tensor) or inputs.dtype != torch.uint8:
        kind = inputs.dtype if isinstance(inputs, Tensor) else 'a list'
        raise ValueError(
            f'GAAVE attacks pixels in [0, 1], but the validation pipeline '
            f'gives {kind}: let it end with 8-bit images of one size, and '
            'have data_preprocessor normalise them.'
        )
    return inputs.float() / 255


def pixel_classifier(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Logits of images in [0, 1], normalised as the model does it."""

    def classify(images: Tensor) -> Tensor:
        data = model.data_preprocessor(dict(inputs=images * 255))
        return model(data['inputs'], mode='tensor')

    return classify


def exact():
    """Full float32, and the same in each run, on GPUs too."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
