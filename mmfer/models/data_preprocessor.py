"""Data preprocessor that states the shape of the images."""

from typing import Any, Dict, Optional, Tuple, Union, cast

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import Tensor

from mmfer.datasets.batches import (
    PlannedImages,
    SampleBatch,
    Samples,
    has_field,
    stack_field,
)
from mmfer.datasets.images import ImageStore
from mmfer.registry import MODELS

# Bytes of images that are copied to a GPU at once.
COPY_BYTES = 1 << 26
SAME_SIZE = (
    'End the transforms of SecondView with a crop or Resize to the size of the first '
    'view.'
)


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

    Attributes:
        second_view (bool): In training, augment each image a second time, with other
            draws. The result is the field ``second_view`` of the samples, float32
            (B, C, H, W). A method that needs it sets this. Batches that the data
            loader has augmented already have this field only if the pipeline has the
            step :class:`~mmfer.datasets.transforms.SecondView`.
    """

    second_view: bool = False

    def __init__(
        self,
        input_shape: Tuple[int, int, int] = (3, 224, 224),
        num_classes: Optional[int] = None,
        **kwargs: Any,
    ):
        super().__init__(num_classes=num_classes, **kwargs)
        self.input_shape = tuple(input_shape)
        # Images of whole data sets on the device, by key; no part of a checkpoint.
        self._resident: Dict[str, Tensor] = {}

    def keep_images(self, key: str, images: ImageStore) -> bool:
        """Keep the images of a data set on the GPU, if there is room.

        Args:
            key (str): Name by which batches refer to the images.
            images (ImageStore): N images of one shape.

        Returns:
            bool: False if they would take more than a quarter of the free memory of
            the GPU. Without a GPU, they are in the memory of the computer anyway.
        """
        if self.device.type != 'cuda':
            return False
        # Images of an earlier run make room.
        self._resident.pop(key, None)
        if images.nbytes > torch.cuda.mem_get_info(self.device)[0] / 4:
            return False
        self._resident[key] = copy_to_device(images, self.device)
        return True

    def drop_images(self) -> None:
        """Free the memory of the images on the GPU."""
        self._resident.clear()

    def forward(self, data: dict, training: bool = False) -> dict:
        """Move a batch to the device, augment it and normalise it.

        Args:
            data (dict): Batch of a data loader. See
                :func:`~mmfer.datasets.batches.fer_collate`; batches of other
                collate functions are taken, too.
            training (bool): Whether to apply ``batch_augments``, such as
                Mixup. Defaults to False.

        Returns:
            dict: ``inputs``, float32 (B, C, H, W), and ``data_samples``.
        """
        # Only copies to a GPU can run beside the host.
        self._non_blocking = self.device.type == 'cuda'
        inputs, samples = data['inputs'], data.get('data_samples')
        second: Optional[Tensor] = None
        if isinstance(inputs, PlannedImages):
            if training and self.second_view:
                view = inputs.second_view().to(self.device, self._non_blocking)
                second = view.apply(self._resident)
            inputs = inputs.to(self.device, self._non_blocking).apply(self._resident)
        if samples is not None and has_field(samples, 'second_view'):
            if training:
                inputs, samples = stack_views(inputs, samples)
            else:
                samples = without_views(samples)
        if not isinstance(samples, SampleBatch) or self.pad_size_divisor > 1:
            return super().forward(dict(data, inputs=inputs), training)
        images = self._normalise(self.cast_data(inputs))
        samples = samples.to(self.device, self._non_blocking)
        if second is None and 'second_view' in samples:
            second = samples.second_view
        if second is not None:
            second = self._normalise(self.cast_data(second))
            samples = samples.replace(second_view=second)
        if self.to_onehot and 'gt_score' not in samples and 'gt_label' in samples:
            assert self.num_classes is not None, (
                'soft labels, which Mixup and CutMix need, require '
                'data_preprocessor.num_classes'
            )
            scores = F.one_hot(samples.gt_label, self.num_classes)
            samples = samples.replace(gt_score=scores)
        if training and self.batch_augments is not None and 'gt_score' in samples:
            images, scores = self.batch_augments(images, samples.gt_score)
            samples = samples.replace(gt_score=scores)
        return dict(inputs=images, data_samples=samples)

    def _normalise(self, images: Tensor) -> Tensor:
        """Return images as float32, in RGB if the config says so.

        The numbers are those of ``ClsDataPreprocessor``. On a CPU this takes a third
        of its time, because bytes are brought into order before they become floats.

        Args:
            images (Tensor): Images of one size (B, C, H, W), usually uint8.
        """
        if images.device.type == 'cpu':
            images = images.contiguous()
        if self.to_rgb and images.size(1) == 3:
            images = images.flip(1)
        # The copy may be changed in place. Float images are not copied by float().
        images = images.float() if images.dtype != torch.float32 else images.clone()
        if self._enable_normalize:
            images = images.sub_(self.mean).div_(self.std)
        return images


def stack_views(inputs: Any, samples: Samples) -> Tuple[Any, SampleBatch]:
    """Return a batch with second views as tensors.

    Args:
        inputs (Tensor | list[Tensor]): B images.
        samples (SampleBatch | list[DataSample]): B samples with ``second_view``.

    Raises:
        ValueError: The second views have different sizes.
    """
    if isinstance(samples, SampleBatch):
        return inputs, samples
    shapes = {tuple(sample.second_view.shape) for sample in samples}
    if len(shapes) > 1:
        raise ValueError(
            f'the second views of a batch have the shapes {sorted(shapes)}. {SAME_SIZE}'
        )
    if not isinstance(inputs, Tensor):
        inputs = torch.stack(inputs)
    return inputs, SampleBatch.from_samples(samples)


def without_views(samples: Samples) -> Samples:
    """Return samples without second views, which predictions do not need.

    Args:
        samples (SampleBatch | list[DataSample]): Samples with ``second_view``. Data
            samples are changed.
    """
    if isinstance(samples, SampleBatch):
        return samples.drop('second_view')
    for sample in samples:
        sample.pop('second_view')
    return samples


def second_view(owner: str, inputs: Tensor, samples: Samples) -> Optional[Tensor]:
    """Return the second view of each image of a batch, None if there is none.

    Args:
        owner (str): Name of the model that needs it, for messages.
        inputs (Tensor): Prepared images, (B, C, H, W).
        samples (SampleBatch | list[DataSample]): Their samples.

    Returns:
        Tensor, optional: Prepared images, (B, C, H, W).

    Raises:
        ValueError: The views have another size, or nobody has normalised them.
    """
    if not has_field(samples, 'second_view'):
        return None
    views = stack_field(samples, 'second_view')
    if views.shape != inputs.shape:
        raise ValueError(
            f'{owner}: the images have the shape {tuple(inputs.shape[1:])}, and their '
            f'second views {tuple(views.shape[1:])}. {SAME_SIZE}'
        )
    if not views.is_floating_point():
        raise ValueError(
            f'{owner}: the second views are not normalised. FERDataPreprocessor does '
            "this: set data_preprocessor.type='FERDataPreprocessor', and no "
            'pad_size_divisor.'
        )
    return views


def copy_to_device(images: ImageStore, device: torch.device) -> Tensor:
    """Return all images of a store on a device, uint8 (N, H, W, C).

    Args:
        images (ImageStore): N images of one shape.
        device (torch.device): The device.
    """
    shape = (len(images), *cast(tuple, images.shape))
    copied = torch.empty(shape, dtype=torch.uint8, device=device)
    # A second copy of all images may not fit into the memory of the computer.
    step = max(COPY_BYTES * len(images) // images.nbytes, 1)
    for start in range(0, len(images), step):
        part = images.read(np.arange(start, min(start + step, len(images))))
        copied[start : start + step] = torch.from_numpy(part)
    return copied


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


def augments_batches(model: dict) -> bool:
    """Return whether a model can augment the batches of ``fer_collate``.

    Args:
        model (dict): Config of the model. Its ``data_preprocessor`` may be None.
    """
    kind = (model.get('data_preprocessor') or {}).get('type')
    if kind is None:
        # The models of mmfer choose FERDataPreprocessor, others do not.
        model_class = MODELS.get(model['type']) if 'type' in model else None
        return hasattr(model_class, 'predict_batch')
    preprocessor = MODELS.get(kind) if isinstance(kind, str) else kind
    return isinstance(preprocessor, type) and issubclass(
        preprocessor, FERDataPreprocessor
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
