"""Data preprocessor that states the shape of the images."""

from typing import Any, Optional, Tuple, Union

import torch
import torch.nn as nn
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import Tensor

from mmfer.registry import MODELS


@MODELS.register_module()
class FERDataPreprocessor(ClsDataPreprocessor):
    """``ClsDataPreprocessor`` that also knows the shape of its images.

    The base config of a data set states here everything that a model must
    know about its input. So any base config of a model works with any base
    config of a data set.

    In configs of mmpretrain, ``data_preprocessor`` often has no ``type``.
    :class:`FERClassifier` then uses this class. Such a config needs
    ``input_shape`` only if its images are not of 224 px.

    Args:
        input_shape (tuple[int, int, int]): (C, H, W) of a prepared image.
            Defaults to (3, 224, 224).
        num_classes (int, optional): Number of classes. Defaults to None.
        **kwargs: See mmpretrain's ``ClsDataPreprocessor``.
    """

    def __init__(
        self,
        input_shape: Tuple[int, int, int] = (3, 224, 224),
        num_classes: Optional[int] = None,
        **kwargs: Any,
    ):
        super().__init__(num_classes=num_classes, **kwargs)
        self.input_shape = tuple(input_shape)


def build_data_preprocessor(
    data_preprocessor: Union[dict, nn.Module, None], train_cfg: Optional[dict] = None
) -> nn.Module:
    """Build a data preprocessor, ``FERDataPreprocessor`` by default.

    Args:
        data_preprocessor (dict | nn.Module, optional): Config. A module is
            returned unchanged.
        train_cfg (dict, optional): ``batch_augments`` to use if the config
            states none.
    """
    if isinstance(data_preprocessor, nn.Module):
        return data_preprocessor
    return MODELS.build(
        dict(
            dict(type='FERDataPreprocessor', batch_augments=train_cfg),
            **(data_preprocessor or {}),
        )
    )


def blank_images(data_preprocessor: nn.Module) -> Tensor:
    """Return two blank images, zeros of shape (2, C, H, W).

    There are two, because the variance over a batch of one is undefined.
    """
    shape: Any = getattr(data_preprocessor, 'input_shape', (3, 224, 224))
    return torch.zeros(2, *shape)


def check_shape(images: Tensor, expected: Tuple[int, ...]) -> None:
    """Check that images have the shape for which the model was built.

    Args:
        images (Tensor): Prepared images (B, C, H, W).
        expected (tuple[int, ...]): (C, H, W).

    Raises:
        ValueError: The shapes differ. The message says what to write.
    """
    shape = tuple(images.shape[1:])
    if shape != expected:
        raise ValueError(
            f'the prepared images have the shape (C, H, W) = {shape}, but the '
            f'model was built for data_preprocessor.input_shape = {expected}. '
            'Set data_preprocessor='
            "dict(type='mmfer.FERDataPreprocessor', "
            f'input_shape={shape}, ...), or bring the images to another size '
            'in the pipelines.'
        )
